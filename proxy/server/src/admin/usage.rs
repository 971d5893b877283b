//! Routes about usage plans of API keys, and what they have used.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use portcullis_config::SharedLimits;
use portcullis_limits::Day;
use portcullis_state::{Credential, Kind, check_forgiven};
use serde::Deserialize;

use super::input::{Document, Parameters, Segments};
use super::problem::Problem;
use super::store::Store;
use crate::shared::Shared;
use crate::usage::{self, Forgiven, OwnUsage, Usage};

/// What the routes work with.
#[derive(Clone)]
struct Plans {
    store: Store,
    shared: Arc<Shared>,
}

/// The routes.
pub(super) fn router(store: Store, shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/keys/{id}/plan", put(set_plan).delete(remove_plan))
        .route("/keys/{id}/usage", get(show))
        .route("/keys/{id}/usage/reset", post(reset))
        .route("/keys/{id}/usage/extend", post(extend))
        .with_state(Plans { store, shared: Arc::clone(shared) })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planned {
    plan: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Days {
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    requests: u64,
}

async fn set_plan(
    State(plans): State<Plans>,
    Segments(id): Segments<String>,
    Document(Planned { plan }): Document<Planned>,
) -> Result<Json<Credential>, Problem> {
    plans.change_plan("API key put into a plan", id, Some(plan)).await
}

async fn remove_plan(
    State(plans): State<Plans>,
    Segments(id): Segments<String>,
) -> Result<Json<Credential>, Problem> {
    plans.change_plan("API key taken out of its plan", id, None).await
}

async fn show(
    State(plans): State<Plans>,
    Segments(id): Segments<String>,
    Parameters(Days { from, to }): Parameters<Days>,
) -> Result<Json<Usage>, Problem> {
    let day = |text: Option<String>| {
        let parsed = text.map(|text| text.parse::<Day>()).transpose();
        parsed.map_err(|problem| Problem::Query(problem.to_string()))
    };
    plans.usage(id, (day(from)?, day(to)?)).await
}

async fn reset(
    State(plans): State<Plans>,
    Segments(id): Segments<String>,
) -> Result<Json<Usage>, Problem> {
    plans.forgive_in_common(&id, Forgiven::All).await?;
    let known = plans.shared.current.load().plans.clone();
    let store = &plans.store;
    let done = store.change_usage("usage reset", id.clone(), move |database, id| {
        usage::reset(database, &known, id)
    });
    done.await?;
    plans.usage(id, (None, None)).await
}

async fn extend(
    State(plans): State<Plans>,
    Segments(id): Segments<String>,
    Document(Extension { requests }): Document<Extension>,
) -> Result<Json<Usage>, Problem> {
    check_forgiven(requests)?;
    plans.forgive_in_common(&id, Forgiven::Some(requests)).await?;
    let store = &plans.store;
    let done = store.change_usage("usage extended", id.clone(), move |database, id| {
        usage::extend(database, id, requests)
    });
    done.await?;
    plans.usage(id, (None, None)).await
}

impl Plans {
    async fn change_plan(
        &self,
        what: &'static str,
        id: String,
        plan: Option<String>,
    ) -> Result<Json<Credential>, Problem> {
        let changed = self.store.change(what, id, move |database, id| {
            database.set_plan(Kind::ApiKey, id, plan.as_deref())?;
            database.credential(Kind::ApiKey, id)
        });
        changed.await.map(Json)
    }

    async fn usage(
        &self,
        id: String,
        days: (Option<Day>, Option<Day>),
    ) -> Result<Json<Usage>, Problem> {
        let own = self.own_usage(id, days).await?;
        Ok(Json(own.with_others(self.shared_limits().as_ref()).await?))
    }

    async fn forgive_in_common(&self, id: &str, forgiven: Forgiven) -> Result<(), Problem> {
        let own = self.own_usage(id.to_owned(), (None, None)).await?;
        Ok(own.forgive_in_common(self.shared_limits().as_ref(), forgiven).await?)
    }

    async fn own_usage(
        &self,
        id: String,
        days: (Option<Day>, Option<Day>),
    ) -> Result<OwnUsage, Problem> {
        let known = self.shared.current.load().plans.clone();
        let read = move |database: &_| OwnUsage::read(database, &known, &id, days);
        self.store.read_usage(read).await
    }

    fn shared_limits(&self) -> Option<SharedLimits> {
        self.shared.current.load().pipeline.limits().shared_limits().cloned()
    }
}
