//! Failures of the engine and the store, in the kinds of the socket.

use chat_protocol::message::server::{Code, Refusal};
use chat_protocol::rpc::{Kind, RpcError};

use crate::engine::EngineError;
use crate::store::RowsError;

/// Either failure while reading.
pub(super) enum Reading {
    /// Of the rows.
    Rows(RowsError),
    /// Already in the socket's words.
    Rpc(RpcError),
}

impl From<RowsError> for Reading {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

impl From<RpcError> for Reading {
    fn from(error: RpcError) -> Self {
        Self::Rpc(error)
    }
}

impl From<Reading> for RpcError {
    fn from(error: Reading) -> Self {
        match error {
            Reading::Rows(error) => rows(&error),
            Reading::Rpc(error) => error,
        }
    }
}

/// The store failed: nothing was changed.
pub(super) fn rows(error: &RowsError) -> RpcError {
    match error {
        RowsError::Full => RpcError::new(Kind::QuotaExceeded, "no space left for the database; nothing was stored")
            .with_hint("make room on the disk and call again"),
        error => RpcError::new(Kind::Internal, error.to_string()),
    }
}

/// There is no account to do this for.
pub(super) fn no_account() -> RpcError {
    RpcError::new(Kind::Unauthenticated, "this daemon has no account yet")
        .with_hint("chatctl register, or chatctl login")
}

/// A command of the engine failed.
pub(super) fn engine(error: &EngineError) -> RpcError {
    let said = |kind| RpcError::new(kind, error.to_string());
    match error {
        EngineError::Rows(error) => rows(error),
        EngineError::Damaged(_) => said(Kind::Internal),
        EngineError::UnknownUser | EngineError::NotFound => said(Kind::NotFound),
        EngineError::NoDevice(_) => said(Kind::NotFound).with_hint("chatctl device list"),
        EngineError::Digits => said(Kind::Conflict),
        EngineError::IdentityChanged(user) => said(Kind::IdentityChanged)
            .with_hint(format!("ask {user} in another way whether that is true, then compare: chatctl verify @{user}")),
        EngineError::Unverified(user) => said(Kind::IdentityUnverified).with_hint(format!("chatctl verify @{user}")),
        EngineError::Invalid(path, why) => RpcError::invalid(*path, *why),
        EngineError::Post => said(Kind::NoPermission)
            .with_hint("the server keeps posts as they are: say it right in a new one, or delete it with scope self"),
        EngineError::NotAllowed(_) => said(Kind::NoPermission),
        EngineError::TooLate(_) => said(Kind::Conflict),
        EngineError::Empty => RpcError::invalid("text", error.to_string()),
        EngineError::TooLong { .. } => said(Kind::TooLarge),
        EngineError::IdempotencyMismatch => said(Kind::IdempotencyMismatch),
        EngineError::QueueFull => said(Kind::QuotaExceeded),
        EngineError::UnknownConsumer => said(Kind::UnknownConsumer).with_hint("chatctl consumers"),
        EngineError::Taken(_) => said(Kind::AlreadyExists),
        EngineError::Full(_) => said(Kind::QuotaExceeded),
        EngineError::Version(_) => said(Kind::Conflict),
        EngineError::Blocked(user) => said(Kind::Blocked).with_hint(format!("chatctl contact unblock @{user}")),
        EngineError::BeyondLog(_) => RpcError::invalid("seq", error.to_string()),
        EngineError::Conflict => said(Kind::Conflict),
        EngineError::NotTheirs(_) => said(Kind::IdentityUnverified)
            .with_hint("somebody may be in the middle: write nothing secret until you know why it differs"),
    }
}

/// The server refused a question.
pub(super) fn refusal(refusal: &Refusal) -> RpcError {
    let kind = match refusal.code {
        Code::BadRequest | Code::Stale => Kind::ServerRejected,
        Code::Unsupported => Kind::VersionMismatch,
        Code::Denied => Kind::BadCredentials,
        Code::ApprovalRequired => Kind::ApprovalRequired,
        Code::Busy | Code::RateLimited => Kind::RateLimited,
        Code::MailboxFull => Kind::MailboxFull,
        Code::TooLarge => Kind::TooLarge,
        Code::Exists => Kind::AlreadyExists,
        Code::NotFound => Kind::NotFound,
        Code::Internal | Code::Revoked => Kind::ServerRejected,
    };
    let error = RpcError::new(kind, format!("the server refused: {}", words(refusal.code)));
    match refusal.retry_after_ms {
        Some(millis) => error.with_retry_after_ms(millis),
        None => error,
    }
}

const fn words(code: Code) -> &'static str {
    match code {
        Code::BadRequest => "the request breaks a rule",
        Code::Unsupported => "it does not know this request",
        Code::Denied => "wrong credentials, or not allowed",
        Code::ApprovalRequired => "another device has to approve this one",
        Code::Busy => "it is busy",
        Code::RateLimited => "too often",
        Code::Stale => "something changed meanwhile",
        Code::MailboxFull => "the mailbox is full",
        Code::TooLarge => "too large",
        Code::Exists => "it exists already",
        Code::NotFound => "no such account or device",
        Code::Internal => "it failed and stored nothing",
        Code::Revoked => "the account ended this device",
    }
}
