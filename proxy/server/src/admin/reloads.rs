//! The route about the last attempt to replace the configuration.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use crate::shared::Shared;

/// Tells of the last attempt, and of the last one that was refused.
pub(super) async fn last(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.reloads.shown())
}
