//! The routes that need the token.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use portcullis_config::Secret;
use portcullis_state::{CredentialStore, Kind};

use super::gate::{self, Gate};
use super::store::Store;
use super::{consumers, credentials, policies, reloads, usage};
use crate::shared::Shared;

/// Bytes of a request body.
const BODY_BYTES: usize = 64 << 10;

/// What the routes with a token are made of.
#[derive(Clone)]
pub(crate) struct Api {
    gate: Gate,
    store: Store,
}

impl Api {
    /// Opens for who has this token, at these hosts too. The state is in the directory, if
    /// there is one.
    pub(crate) fn new(
        token: &Secret,
        hosts: &[String],
        state: Option<(PathBuf, Arc<CredentialStore>)>,
    ) -> Self {
        Self { gate: Gate::new(token, hosts), store: Store::new(state) }
    }

    /// The routes.
    pub(super) fn router(&self, shared: &Arc<Shared>) -> Router {
        let reload = get(reloads::last).with_state(Arc::clone(shared));
        Router::new()
            .merge(consumers::router(self.store.clone()))
            .merge(credentials::router(self.store.clone(), Kind::ApiKey, "/keys"))
            .merge(credentials::router(self.store.clone(), Kind::AccessKey, "/access-keys"))
            .merge(policies::router(&self.store))
            .merge(usage::router(self.store.clone(), shared))
            .route("/reloads/last", reload)
            .layer(DefaultBodyLimit::max(BODY_BYTES))
            .route_layer(from_fn_with_state(self.gate.clone(), gate::check))
    }
}
