//! Errors as HTTP tells them: a status for tools, and the JSON-RPC error as body for everybody else.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chat_protocol::rpc::{Kind, RpcError};

use super::access::Local;
use crate::rpc::reply::{Failed, Id, Reply};

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
        response(self.status, &Reply::refused(&Id::null(), &self.error))
    }
}

/// The answer to a body. A call that failed has its own status; a batch was answered, however its calls ended.
pub(super) fn answered(reply: &Reply) -> Response {
    response(reply.failed().map_or(StatusCode::OK, |failed| status(failed.kind)), reply)
}

fn response(status: StatusCode, reply: &Reply) -> Response {
    let mut response = (status, json(reply.as_json())).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"chatd\""));
    }
    if let Some(Failed { retry_after_ms: Some(millis), .. }) = reply.failed() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1000)));
    }
    response
}

/// Nothing is at this path.
pub(super) async fn nowhere(_: Local) -> Refusal {
    RpcError::new(Kind::NotFound, "there is nothing at this path").with_hint("POST /rpc, GET /ws, GET /events").into()
}

/// Something is at this path, for another method.
pub(super) async fn other_method(_: Local) -> Refusal {
    let refusal = RpcError::new(Kind::InvalidRequest, "this path takes another method");
    Refusal::with_status(refusal.with_hint("POST /rpc; GET for everything else"), StatusCode::METHOD_NOT_ALLOWED)
}

/// A body of JSON. Nothing between here and the caller may keep it.
pub(super) fn json(text: &str) -> impl IntoResponse + use<> {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, text.to_owned())
}

/// The only place where a kind meets its status; the table in this package's README is held to it.
///
/// 4xx: it is for the caller, or its user, to do something. 5xx: it is for this daemon, the server or the way there.
const fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Parse | Kind::InvalidRequest | Kind::InvalidParams => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated | Kind::TokenExpired => StatusCode::UNAUTHORIZED,
        Kind::ForbiddenScope
        | Kind::ApprovalRequired
        | Kind::NotMember
        | Kind::NoPermission
        | Kind::Blocked
        | Kind::IdentityUnverified
        | Kind::BadCredentials => StatusCode::FORBIDDEN,
        Kind::UnknownMethod | Kind::NotFound | Kind::UnknownConsumer => StatusCode::NOT_FOUND,
        Kind::AmbiguousTarget
        | Kind::AlreadyExists
        | Kind::IdentityChanged
        | Kind::NoKeys
        | Kind::Conflict
        | Kind::IdempotencyMismatch => StatusCode::CONFLICT,
        Kind::CursorTrimmed => StatusCode::GONE,
        Kind::TooLarge | Kind::FrameTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::DecryptFailed => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::RateLimited | Kind::QuotaExceeded | Kind::MailboxFull | Kind::TooManySubscriptions => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::ServerRejected | Kind::VersionMismatch => StatusCode::BAD_GATEWAY,
        Kind::Locked | Kind::Offline | Kind::ServerUnreachable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_names_the_status_of_every_kind_of_error() {
        let readme = include_str!("../../../README.md");
        let mut statuses: Vec<u16> = Kind::ALL.iter().map(|kind| status(*kind).as_u16()).collect();
        statuses.sort_unstable();
        statuses.dedup();
        for code in statuses {
            let of = |kind: &&Kind| status(**kind).as_u16() == code;
            let kinds: Vec<String> = Kind::ALL.iter().filter(of).map(|kind| format!("`{kind}`")).collect();
            let row = format!("| {code} | {} |", kinds.join(", "));
            assert!(readme.contains(&row), "missing or different: {row}");
        }
    }

    #[test]
    fn only_what_is_no_fault_of_the_caller_is_a_server_error() {
        let not_theirs: Vec<_> = Kind::ALL.iter().filter(|kind| status(**kind).is_server_error()).collect();
        assert_eq!(
            not_theirs,
            [
                &Kind::Internal,
                &Kind::Locked,
                &Kind::Offline,
                &Kind::Timeout,
                &Kind::ServerUnreachable,
                &Kind::ServerRejected,
                &Kind::VersionMismatch
            ]
        );
        assert!(Kind::ALL.iter().all(|kind| status(*kind).is_client_error() || status(*kind).is_server_error()));
    }
}
