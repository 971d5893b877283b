//! Routes about API keys and access keys.

use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use portcullis_state::{
    Attributes, Credential, Effect, Existing, Import, Imported, Kind, NewCredential, Session,
    Status, expiry, milliseconds,
};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::input::{self, Body, Document, Listing, Parameters, Segments, Wanted};
use super::problem::Problem;
use super::store::Store;

/// Credentials of one kind.
#[derive(Clone)]
struct Credentials {
    store: Store,
    kind: Kind,
}

/// The routes about one kind of credential, below this path.
pub(super) fn router(store: Store, kind: Kind, base: &str) -> Router {
    let collection = match kind {
        Kind::ApiKey => get(list).post(add_key),
        Kind::AccessKey => get(list).post(add_access_key),
    };
    let imports = match kind {
        Kind::ApiKey => Router::new().route(&format!("{base}/import"), post(import)),
        Kind::AccessKey => Router::new(),
    };
    imports
        .route(base, collection)
        .route(&format!("{base}/{{id}}"), get(show).delete(remove))
        .route(&format!("{base}/{{id}}/rotate"), post(rotate))
        .route(&format!("{base}/{{id}}/enable"), post(enable))
        .route(&format!("{base}/{{id}}/disable"), post(disable))
        .with_state(Credentials { store, kind })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    consumer: String,
    name: Option<String>,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default, deserialize_with = "input::duration")]
    expires: Option<Duration>,
    /// The usage plan.
    plan: Option<String>,
    /// A key of the operator's own.
    #[serde(default, deserialize_with = "input::secret")]
    key: Option<Zeroizing<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccessKey {
    consumer: String,
    name: Option<String>,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default, deserialize_with = "input::duration")]
    expires: Option<Duration>,
    #[serde(default)]
    session_token: bool,
}

/// How a file of API keys is imported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of the query")]
struct Importing {
    consumer: Option<String>,
    #[serde(default)]
    replace: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long the old one goes on.
    #[serde(default, deserialize_with = "input::duration")]
    grace: Option<Duration>,
}

/// What was issued: the only time that its secret is seen.
type Issued = (StatusCode, Json<Value>);

async fn list(
    State(Credentials { store, kind }): State<Credentials>,
    wanted: Wanted,
) -> Result<Json<Listing<Credential>>, Problem> {
    let listing = store.read(move |database| {
        let items = database.credentials(kind, wanted.consumer.as_deref(), wanted.page())?;
        Ok(Listing::cut(items, &wanted, |one| &one.id))
    });
    listing.await.map(Json)
}

async fn show(
    State(Credentials { store, kind }): State<Credentials>,
    Segments(id): Segments<String>,
) -> Result<Json<Credential>, Problem> {
    store.read(move |database| database.credential(kind, &id)).await.map(Json)
}

async fn add_key(
    State(Credentials { store, .. }): State<Credentials>,
    Document(written): Document<NewKey>,
) -> Result<Issued, Problem> {
    let NewKey { consumer, name, attributes, expires, plan, key } = written;
    let new = NewCredential { name, attributes, expires_at: expiry(expires), plan };
    let issued = store.change("API key added", consumer, move |database, consumer| {
        let key = key.as_ref().map(|key| key.as_str());
        database.add_api_key(consumer, new, key).map(|issued| issued.shown())
    });
    issued.await.map(created)
}

async fn import(
    State(Credentials { store, .. }): State<Credentials>,
    Parameters(asked): Parameters<Importing>,
    Body(text): Body,
) -> Result<Json<Imported>, Problem> {
    let existing = if asked.replace { Existing::Replace } else { Existing::Refuse };
    let (what, effect) = match asked.dry_run {
        true => ("import of API keys tried", Effect::DryRun),
        false => ("API keys imported", Effect::Kept),
    };
    let consumer = asked.consumer;
    let name = consumer.clone().unwrap_or_default();
    let imported = store.change(what, name, move |database, _| {
        let import = Import { consumer: consumer.as_deref(), existing, effect };
        database.import_api_keys(&text, import)
    });
    imported.await.map(Json)
}

async fn add_access_key(
    State(Credentials { store, .. }): State<Credentials>,
    Document(written): Document<NewAccessKey>,
) -> Result<Issued, Problem> {
    let NewAccessKey { consumer, name, attributes, expires, session_token } = written;
    let new = NewCredential { name, attributes, expires_at: expiry(expires), plan: None };
    let session = if session_token { Session::Token } else { Session::None };
    let issued = store.change("access key added", consumer, move |database, consumer| {
        database.add_access_key(consumer, new, session).map(|issued| issued.shown())
    });
    issued.await.map(created)
}

async fn rotate(
    State(Credentials { store, kind }): State<Credentials>,
    Segments(id): Segments<String>,
    Document(Rotation { grace }): Document<Rotation>,
) -> Result<Issued, Problem> {
    let grace = milliseconds(grace.unwrap_or_default());
    let issued = store.change("credential rotated", id, move |database, id| {
        database.rotate(kind, id, grace).map(|issued| issued.shown())
    });
    issued.await.map(created)
}

async fn enable(
    State(credentials): State<Credentials>,
    Segments(id): Segments<String>,
) -> Result<Json<Credential>, Problem> {
    credentials.set_status("credential enabled", id, Status::Enabled).await
}

async fn disable(
    State(credentials): State<Credentials>,
    Segments(id): Segments<String>,
) -> Result<Json<Credential>, Problem> {
    credentials.set_status("credential disabled", id, Status::Disabled).await
}

async fn remove(
    State(Credentials { store, kind }): State<Credentials>,
    Segments(id): Segments<String>,
) -> Result<StatusCode, Problem> {
    let removed = store
        .change("credential removed", id, move |database, id| database.remove_credential(kind, id));
    removed.await.map(|()| StatusCode::NO_CONTENT)
}

impl Credentials {
    async fn set_status(
        &self,
        what: &'static str,
        id: String,
        status: Status,
    ) -> Result<Json<Credential>, Problem> {
        let kind = self.kind;
        let changed = self.store.change(what, id, move |database, id| {
            database.set_status(kind, id, status)?;
            database.credential(kind, id)
        });
        changed.await.map(Json)
    }
}

fn created(shown: Value) -> Issued {
    (StatusCode::CREATED, Json(shown))
}
