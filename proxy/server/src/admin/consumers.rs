//! Routes about consumers.

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{delete, get};
use axum::{Json, Router};
use http::StatusCode;
use portcullis_state::{Attributes, Consumer};
use serde::Deserialize;

use super::input::{Document, Listing, Segments, Wanted};
use super::problem::Problem;
use super::store::Store;

/// The routes.
pub(super) fn router(store: Store) -> Router {
    Router::new()
        .route("/consumers", get(list).post(add))
        .route("/consumers/{name}", delete(remove))
        .with_state(store)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    #[serde(default)]
    attributes: Attributes,
}

async fn list(
    State(store): State<Store>,
    wanted: Wanted,
) -> Result<Json<Listing<Consumer>>, Problem> {
    if wanted.consumer.is_some() {
        return Err(Problem::Query("consumers are listed by `after` and `limit` alone".to_owned()));
    }
    let listing = store.read(move |database| {
        let items = database.consumers(wanted.page())?;
        Ok(Listing::cut(items, &wanted, |one| &one.name))
    });
    listing.await.map(Json)
}

async fn add(
    State(store): State<Store>,
    Document(New { name, attributes }): Document<New>,
) -> Result<impl IntoResponse, Problem> {
    let added = store.change("consumer added", name, move |database, name| {
        database.add_consumer(name, &attributes)
    });
    Ok((StatusCode::CREATED, Json(added.await?)))
}

async fn remove(
    State(store): State<Store>,
    Segments(name): Segments<String>,
) -> Result<StatusCode, Problem> {
    let removed = store
        .change("consumer removed", name, move |database, name| database.remove_consumer(name));
    removed.await.map(|()| StatusCode::NO_CONTENT)
}
