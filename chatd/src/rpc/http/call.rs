//! `POST /rpc`: one call or batch, and its answer.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chat_protocol::rpc::{Kind, MAX_LINE_BYTES, RpcError, openrpc};
use tokio::time::timeout;

use super::Web;
use super::access::{Known, Local};
use super::refusal::{Refusal, answered, json};
use crate::rpc::requests::parse;
use crate::rpc::service::{Caller, Service};

/// How long a body may take: a mebibyte over a slow pipe.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Written once: whoever may reach the endpoint may ask for it, as often as it likes.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| openrpc::document().to_string());

/// Carries out what the body asks for.
pub(super) async fn answer(
    State(web): State<Web>,
    Known(access): Known,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // what a page may send without being asked first (a form, plain text) is not taken
    if !is_json(&headers) {
        let refusal = RpcError::new(Kind::InvalidRequest, "the body must be JSON");
        let refusal = refusal.with_hint("send `Content-Type: application/json`");
        return Err(Refusal::with_status(refusal, StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let read = timeout(BODY_WITHIN, axum::body::to_bytes(body, MAX_LINE_BYTES)).await;
    let slow = || RpcError::new(Kind::Timeout, "the body did not come in time");
    let body = read.map_err(|_| Refusal::with_status(slow(), StatusCode::REQUEST_TIMEOUT))?;
    let body = body.map_err(|_| RpcError::from(Kind::FrameTooLarge))?;
    let service = Service::new(web.table.clone(), Caller::new(access, None), None);
    let reply = parse(&body, &web.table).run(&service).await;
    Ok(reply.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |reply| answered(&reply)))
}

/// `GET /openrpc.json`: the document, for whoever may reach the endpoint.
pub(super) async fn document(_: Local) -> Response {
    json(&DOCUMENT).into_response()
}

/// One of the types that JSON-RPC over HTTP goes by.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/json-rpc", "application/jsonrequest"]
        .iter()
        .any(|known| essence.eq_ignore_ascii_case(known))
}
