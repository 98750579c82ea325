//! `GET /metrics`: what `daemon.metrics` answers, the way Prometheus fetches it.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chat_protocol::rpc::types::DaemonMetrics;

use super::Web;
use super::access::Known;
use super::refusal::Refusal;
use crate::rpc::{authorize, own};

/// The text, for whoever may ask for it on the socket.
pub(super) async fn text(State(web): State<Web>, Known(access): Known) -> Result<Response, Refusal> {
    authorize::open::<DaemonMetrics>(&access, web.table.shared.backend.as_ref()).await?;
    let answer = own::metrics(&web.table.shared, &access).await?;
    let headers = [(header::CONTENT_TYPE, answer.content_type), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((headers, answer.text).into_response())
}
