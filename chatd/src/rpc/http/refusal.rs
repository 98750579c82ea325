//! Errors as HTTP tells them: a status for tools, and the JSON-RPC error as body for everybody else.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chat_protocol::rpc::{Kind, RpcError};
use jsonrpsee::types::Id;

use crate::rpc::service::refuse;

/// A request that was not carried out.
pub(super) struct Refusal {
    error: RpcError,
    status: StatusCode,
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Self { status: status(error.kind), error }
    }
}

impl Refusal {
    /// With a status that says more than the kind.
    pub(super) const fn with_status(error: RpcError, status: StatusCode) -> Self {
        Self { error, status }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, json(refuse(Id::Null, &self.error).into_json().get())).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"chatd\""));
        }
        if let Some(seconds) = self.error.retry_after_ms.map(|millis| millis.div_ceil(1000)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A body of JSON. Nothing between here and the caller may keep it.
pub(super) fn json(text: &str) -> impl IntoResponse + use<> {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, text.to_owned())
}

const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Parse | Kind::InvalidRequest | Kind::InvalidParams => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated | Kind::TokenExpired => StatusCode::UNAUTHORIZED,
        Kind::ForbiddenScope => StatusCode::FORBIDDEN,
        Kind::NotFound | Kind::UnknownMethod | Kind::UnknownConsumer => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::CursorTrimmed => StatusCode::GONE,
        Kind::TooLarge | Kind::FrameTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Offline | Kind::ServerUnreachable | Kind::Locked => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
