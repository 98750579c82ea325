//! `GET /metrics`: what `daemon.metrics` answers, the way Prometheus fetches it.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chat_protocol::rpc::types::DaemonMetrics;

use super::Web;
use super::access::Known;
use super::refusal::Refusal;
use crate::rpc::{gate, methods};

/// The text, for whoever may ask for it on the socket.
pub(super) async fn text(State(web): State<Web>, Known(access): Known) -> Result<Response, Refusal> {
    gate::open::<DaemonMetrics>(&access, web.offer.api.as_ref()).await?;
    let answer = methods::metrics(web.offer.api.as_ref(), &access).await?;
    let headers = [(header::CONTENT_TYPE, answer.content_type), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((headers, answer.text).into_response())
}
