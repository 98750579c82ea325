//! `GET /health/live` and `/health/ready`, for whoever watches the daemon: no secret is in them, so no token is asked for.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Web;
use super::access::Local;
use super::refusal;

/// Whether the daemon's loop runs.
pub(super) async fn live(State(web): State<Web>, _: Local) -> Response {
    let live = web.table.shared.backend.health().await.is_ok_and(|health| health.live);
    said(live, &json!({ "live": live }))
}

/// Whether messages are received.
pub(super) async fn ready(State(web): State<Web>, _: Local) -> Response {
    match web.table.shared.backend.health().await {
        Ok(health) => said(
            health.ready,
            &json!({ "ready": health.ready, "connection": health.connection.state, "reason": health.reason }),
        ),
        Err(error) => said(false, &json!({ "ready": false, "reason": error.message })),
    }
}

fn said(good: bool, body: &serde_json::Value) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, refusal::json(&body.to_string())).into_response()
}
