//! Routes about what is attached to credentials and consumers.

use axum::extract::State;
use axum::routing::{get, put};
use axum::{Json, Router};
use http::StatusCode;
use portcullis_state::{Database, Kind, PolicyRecord, PolicyTarget, StateError};
use serde_json::{Value, json};

use super::input::{Body, Segments};
use super::problem::Problem;
use super::store::Store;

/// What policies are attached to.
#[derive(Debug, Clone, Copy)]
enum Owner {
    Consumer,
    Credential(Kind),
}

/// Policies of one sort of owner.
#[derive(Clone)]
struct Policies {
    store: Store,
    owner: Owner,
}

/// The routes.
pub(super) fn router(store: &Store) -> Router {
    let owners = [
        ("/consumers", Owner::Consumer),
        ("/keys", Owner::Credential(Kind::ApiKey)),
        ("/access-keys", Owner::Credential(Kind::AccessKey)),
    ];
    owners.into_iter().fold(Router::new(), |router, (base, owner)| {
        router.merge(
            Router::new()
                .route(&format!("{base}/{{owner}}/policies"), get(list))
                .route(&format!("{base}/{{owner}}/policies/{{name}}"), put(attach).delete(detach))
                .with_state(Policies { store: store.clone(), owner }),
        )
    })
}

impl Owner {
    /// The owner of this name or id, if it is one of this sort.
    fn named(self, database: &Database, name: &str) -> Result<PolicyTarget, StateError> {
        match self {
            Self::Consumer => Ok(PolicyTarget::Consumer(name.to_owned())),
            Self::Credential(kind) => {
                database.credential(kind, name)?;
                Ok(PolicyTarget::Credential(name.to_owned()))
            }
        }
    }
}

async fn list(
    State(Policies { store, owner }): State<Policies>,
    Segments(name): Segments<String>,
) -> Result<Json<Value>, Problem> {
    let attached = store.read(move |database| {
        let target = owner.named(database, &name)?;
        database.policies(&target)
    });
    let items: Vec<Value> = attached.await?.into_iter().map(shown).collect();
    Ok(Json(json!({ "items": items })))
}

async fn attach(
    State(Policies { store, owner }): State<Policies>,
    Segments((of, name)): Segments<(String, String)>,
    Body(document): Body,
) -> Result<StatusCode, Problem> {
    let document = String::from_utf8(document.to_vec())
        .map_err(|_| Problem::Body("a policy is text in UTF-8".to_owned()))?;
    let attached = store.change("policy attached", of, move |database, of| {
        let target = owner.named(database, of)?;
        database.attach_policy(&target, &name, &document)
    });
    attached.await.map(|()| StatusCode::NO_CONTENT)
}

async fn detach(
    State(Policies { store, owner }): State<Policies>,
    Segments((of, name)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let detached = store.change("policy detached", of, move |database, of| {
        let target = owner.named(database, of)?;
        database.detach_policy(&target, &name)
    });
    detached.await.map(|()| StatusCode::NO_CONTENT)
}

/// A policy with its document as JSON, which it is.
fn shown(PolicyRecord { name, document }: PolicyRecord) -> Value {
    let document = serde_json::from_str(&document).unwrap_or(Value::String(document));
    json!({ "name": name, "document": document })
}
