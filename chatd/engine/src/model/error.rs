//! Why an input or a command had no effect, in the kinds and words of the local socket.

use chat_protocol::ids::Username;
use chat_protocol::rpc::{Kind, RpcError};
use thiserror::Error;

use crate::store::RowsError;

/// Why an input had no effect.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The rows could not be read or written. The engine has to be started again.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// It broke a rule. Whoever called hears this as it is.
    #[error("{0}")]
    Refused(Box<RpcError>),
}

impl From<RpcError> for EngineError {
    fn from(error: RpcError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl EngineError {
    /// What is wrong, if a rule was broken.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self {
            Self::Rows(_) => None,
            Self::Refused(refused) => Some(refused.kind),
        }
    }

    /// The parameter that is out of its bounds, if that is what is wrong.
    #[must_use]
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Rows(_) => None,
            Self::Refused(refused) => refused.path.as_deref(),
        }
    }

    /// A failure of a kind, with its words and nothing more.
    fn refused(kind: Kind, message: impl Into<String>) -> Self {
        RpcError::new(kind, message).into()
    }

    fn with_hint(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        RpcError::new(kind, message).with_hint(hint).into()
    }

    /// The parameter at `path` is out of its bounds.
    pub(crate) fn invalid(path: &str, why: impl Into<String>) -> Self {
        RpcError::invalid(path, why).into()
    }

    /// Something in the rows contradicts itself.
    #[must_use]
    pub fn damaged(what: &str) -> Self {
        Self::refused(Kind::Internal, format!("damaged in the database: {what}"))
    }

    /// What was named is not there.
    pub(crate) fn none(what: &str) -> Self {
        Self::refused(Kind::NotFound, format!("there is no {what}"))
    }

    /// No such account, as far as is known here.
    pub(crate) fn unknown_user() -> Self {
        Self::refused(Kind::NotFound, "no such user")
    }

    /// Nothing of a user waits for a decision.
    pub(crate) fn no_request(user: &Username) -> Self {
        Self::with_hint(
            Kind::NotFound,
            format!("nothing of {user} waits"),
            "`chatctl requests` shows who does; `chatctl contact set` makes others known",
        )
    }

    /// No such message or chat.
    pub(crate) fn not_found() -> Self {
        Self::refused(Kind::NotFound, "no such message or chat")
    }

    /// No such device of the account.
    pub(crate) fn no_device(message: &str) -> Self {
        Self::with_hint(Kind::NotFound, message, "chatctl device list")
    }

    /// The peer's identity is not the one known.
    pub(crate) fn identity_changed(user: &Username) -> Self {
        let hint = format!("ask {user} in another way whether that is true, then compare: chatctl verify @{user}");
        Self::with_hint(Kind::IdentityChanged, format!("the identity of {user} changed"), hint)
    }

    /// The peer's identity was not compared.
    pub(crate) fn unverified(user: &Username) -> Self {
        let message = format!("the identity of {user} was not compared");
        Self::with_hint(Kind::IdentityUnverified, message, format!("chatctl verify @{user}"))
    }

    /// What was compared belongs to no identity of the peer.
    pub(crate) fn not_theirs(message: &str) -> Self {
        let hint = "somebody may be in the middle: write nothing secret until you know why it differs";
        Self::with_hint(Kind::IdentityUnverified, message, hint)
    }

    /// The digits are not those of the device.
    pub(crate) fn digits() -> Self {
        let message = "these are not the digits of this device: if its screen shows them, somebody is in between";
        Self::refused(Kind::Conflict, message)
    }

    /// What was named is not what is known.
    pub(crate) fn conflict() -> Self {
        Self::refused(Kind::Conflict, "not the identity that is known here")
    }

    /// The user wants to hear nothing of them.
    pub(crate) fn blocked(user: &Username) -> Self {
        Self::with_hint(Kind::Blocked, format!("{user} is blocked"), format!("chatctl contact unblock @{user}"))
    }

    /// A post in the public room, which the server keeps as it is.
    pub(crate) fn post() -> Self {
        let hint = "the server keeps posts as they are: say it right in a new one, or delete it with scope self";
        Self::with_hint(Kind::NoPermission, "posts of the public room cannot be changed", hint)
    }

    /// Somebody else's message, or one that cannot be changed.
    pub(crate) fn not_allowed(message: &str) -> Self {
        Self::refused(Kind::NoPermission, message)
    }

    /// It has gone too far, or has ended.
    pub(crate) fn too_late(message: &str) -> Self {
        Self::refused(Kind::Conflict, message)
    }

    /// The text is empty.
    pub(crate) fn empty() -> Self {
        Self::invalid("text", "the text is empty")
    }

    /// The text has `len` bytes, and may have `max`.
    pub(crate) fn too_long(len: usize, max: usize) -> Self {
        Self::refused(Kind::TooLarge, format!("the text has {len} bytes, at most {max} are possible"))
    }

    /// The same client id with another body.
    pub(crate) fn idempotency_mismatch() -> Self {
        Self::refused(Kind::IdempotencyMismatch, "this client_id was used for another message")
    }

    /// Something of this name is there.
    pub(crate) fn taken(message: &str) -> Self {
        Self::refused(Kind::AlreadyExists, message)
    }

    /// There are as many as there may be.
    pub(crate) fn full(message: impl Into<String>) -> Self {
        Self::refused(Kind::QuotaExceeded, message)
    }

    /// Too much waits to be sent.
    pub(crate) fn queue_full() -> Self {
        Self::full("too many messages wait to be sent")
    }

    /// The value has another version.
    pub(crate) fn version(version: u64) -> Self {
        Self::refused(Kind::Conflict, format!("the version is {version}"))
    }

    /// No consumer of that name.
    pub(crate) fn unknown_consumer() -> Self {
        Self::with_hint(Kind::UnknownConsumer, "there is no such consumer", "chatctl consumers")
    }

    /// An event that has not happened: the log ends at `newest`.
    pub(crate) fn beyond_log(newest: u64) -> Self {
        Self::invalid("seq", format!("the log ends at {newest}"))
    }
}
