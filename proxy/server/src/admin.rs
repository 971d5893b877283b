//! The listener for operators: health, readiness, metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};

use crate::shared::Shared;

/// What operators may ask about.
#[derive(Clone)]
pub(crate) struct Admin {
    shared: Arc<Shared>,
    draining: Arc<AtomicBool>,
}

impl Admin {
    /// Tells of what the process shares.
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, draining: Arc::new(AtomicBool::new(false)) }
    }

    /// From now on, new requests are unwelcome.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Binds the address, and serves there until the process ends.
    pub(crate) async fn listen(&self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let router = Router::new()
            .route("/health", get(|| async { "ok\n" }))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone());
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!("the admin listener stopped: {error}");
            }
        });
        Ok(bound)
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
    let Shared { current, held_bytes, credentials, telemetry } = admin.shared.as_ref();
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
