//! The listener for operators: health, readiness and metrics for whoever can reach it, the
//! state for who has the token.

mod api;
mod consumers;
mod credentials;
mod gate;
mod input;
mod policies;
mod problem;
mod reloads;
mod store;
mod usage;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};

use crate::shared::Shared;
pub(crate) use api::Api;
use problem::Problem;

/// What operators may ask about.
#[derive(Clone)]
pub(crate) struct Admin {
    shared: Arc<Shared>,
    draining: Arc<AtomicBool>,
    api: Option<Api>,
}

impl Admin {
    /// Tells of what the process shares; where there is a token, also of the state.
    pub(crate) fn new(shared: Arc<Shared>, api: Option<Api>) -> Self {
        Self { shared, draining: Arc::new(AtomicBool::new(false)), api }
    }

    /// From now on, new requests are unwelcome.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Binds the address, and serves there until the process ends.
    pub(crate) async fn listen(&self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let router = self.router();
        if self.api.is_some() && !bound.ip().is_loopback() {
            tracing::warn!(
                "the admin listener serves plain HTTP on {bound}: anybody on the way can read its token and the keys it shows"
            );
        }
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!("the admin listener stopped: {error}");
            }
        });
        Ok(bound)
    }

    fn router(&self) -> Router {
        let open = Router::new()
            .route("/health", get(|| async { "ok\n" }))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone());
        let router = match &self.api {
            Some(api) => open.merge(api.router(&self.shared)),
            None => open,
        };
        router
            .fallback(|| async { Problem::NoSuchRoute })
            .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
    }
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let Shared { current, held_bytes, credentials, telemetry, reloads: _ } = admin.shared.as_ref();
    let credentials = credentials.as_ref().map(|store| store.reading());
    let kind =
        [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    match telemetry.scrape(&current.load(), held_bytes.used(), credentials) {
        Ok(text) => (StatusCode::OK, kind, text),
        Err(error) => {
            tracing::error!("the metrics cannot be encoded: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, kind, String::new())
        }
    }
}
