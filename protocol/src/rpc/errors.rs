//! What can go wrong on the socket: the kind is the contract, the words are for people.
//!
//! The table below is the only place where a kind meets its code, whether trying again may help,
//! and the exit code `chatctl` gives it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Kind, wire name, code, retryable, exit code of chatctl.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, $code:literal, $retry:literal, $exit:literal;)*) => {
        /// Why a call failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $wire)] $name,)*
        }

        impl Kind {
            /// Every kind there is, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire),* }
            }

            /// JSON-RPC error code.
            #[must_use]
            pub const fn code(self) -> i32 {
                match self { $(Self::$name => $code),* }
            }

            /// Whether the same call may succeed later with nothing else changed.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => $retry),* }
            }

            /// What chatctl exits with, after sysexits.h.
            #[must_use]
            pub const fn exit_code(self) -> u8 {
                match self { $(Self::$name => $exit),* }
            }
        }
    };
}

kinds! {
    /// The line is not JSON.
    Parse = "parse", -32700, false, 64;
    /// JSON, but not a request, or not a batch of 1 to 100.
    InvalidRequest = "invalid_request", -32600, false, 64;
    /// No such method.
    UnknownMethod = "unknown_method", -32601, false, 64;
    /// A parameter is missing, unknown, or not what it should be; `path` says which.
    InvalidParams = "invalid_params", -32602, false, 64;
    /// The daemon's own failure.
    Internal = "internal", -32603, false, 70;
    /// No account yet, or no credentials given.
    Unauthenticated = "unauthenticated", 1001, false, 77;
    /// The token does not allow this.
    ForbiddenScope = "forbidden_scope", 1002, false, 77;
    /// The token has expired.
    TokenExpired = "token_expired", 1003, false, 77;
    /// The store waits for its passphrase.
    Locked = "locked", 1004, false, 77;
    /// Somebody, or another device, has to agree first.
    ApprovalRequired = "approval_required", 1005, false, 77;
    /// No such user, chat or message.
    NotFound = "not_found", 1010, false, 66;
    /// The target fits several; `candidates` names them.
    AmbiguousTarget = "ambiguous_target", 1011, false, 66;
    /// Taken.
    AlreadyExists = "already_exists", 1012, false, 66;
    /// Not a member of that chat.
    NotMember = "not_member", 1013, false, 66;
    /// A member, but without that right.
    NoPermission = "no_permission", 1014, false, 66;
    /// The user is blocked.
    Blocked = "blocked", 1015, false, 66;
    /// Only with `require_online`: there is no connection.
    Offline = "offline", 1020, true, 69;
    /// It took too long; the call may or may not have had its effect.
    Timeout = "timeout", 1021, true, 69;
    /// The server could not be reached.
    ServerUnreachable = "server_unreachable", 1022, true, 69;
    /// The server refused.
    ServerRejected = "server_rejected", 1023, false, 69;
    /// The two sides speak no common version.
    VersionMismatch = "version_mismatch", 1024, false, 69;
    /// Too often.
    RateLimited = "rate_limited", 1030, true, 75;
    /// Too much stored or waiting already.
    QuotaExceeded = "quota_exceeded", 1031, false, 75;
    /// The text or file is over its limit.
    TooLarge = "too_large", 1032, false, 75;
    /// The line is over its limit; it was skipped.
    FrameTooLarge = "frame_too_large", 1033, false, 75;
    /// The recipient's mailbox is full.
    MailboxFull = "mailbox_full", 1034, true, 75;
    /// The peer's identity is not the one known; nothing was sent.
    IdentityChanged = "identity_changed", 1040, false, 76;
    /// The policy wants a verified identity.
    IdentityUnverified = "identity_unverified", 1041, false, 76;
    /// The peer has no keys yet.
    NoKeys = "no_keys", 1042, true, 76;
    /// It does not open.
    DecryptFailed = "decrypt_failed", 1043, false, 76;
    /// Wrong user or password; which of them is not said.
    BadCredentials = "bad_credentials", 1044, false, 76;
    /// Something changed meanwhile, or was decided already.
    Conflict = "conflict", 1050, false, 65;
    /// The same `client_id` with another body.
    IdempotencyMismatch = "idempotency_mismatch", 1051, false, 65;
    /// The history asked for is gone.
    CursorTrimmed = "cursor_trimmed", 1060, false, 74;
    /// No consumer of that name.
    UnknownConsumer = "unknown_consumer", 1061, false, 66;
    /// Too many subscriptions on this connection.
    TooManySubscriptions = "too_many_subscriptions", 1062, false, 74;
}

/// Can happen to every call; a device that waits to be let in, and one that was revoked, answer so whatever they are asked.
pub(crate) const ALWAYS: &[Kind] = &[
    Kind::InvalidRequest,
    Kind::InvalidParams,
    Kind::Internal,
    Kind::Unauthenticated,
    Kind::ApprovalRequired,
    Kind::ServerRejected,
    Kind::ForbiddenScope,
    Kind::TokenExpired,
    Kind::Locked,
    Kind::RateLimited,
    Kind::QuotaExceeded,
    Kind::TooLarge,
];
/// What can happen to every call that needs the network.
pub(crate) const NETWORK: &[Kind] = &[
    Kind::NotFound,
    Kind::AlreadyExists,
    Kind::Offline,
    Kind::Timeout,
    Kind::ServerUnreachable,
    Kind::VersionMismatch,
    Kind::MailboxFull,
    Kind::BadCredentials,
    Kind::Conflict,
];

impl Kind {
    /// What writing to somebody adds.
    pub(crate) const WRITING: &[Self] = &[
        Self::NotFound,
        Self::AmbiguousTarget,
        Self::NotMember,
        Self::NoPermission,
        Self::Blocked,
        Self::Offline,
        Self::IdentityChanged,
        Self::IdentityUnverified,
        Self::NoKeys,
        Self::Conflict,
        Self::IdempotencyMismatch,
    ];

    /// The kind with this wire name.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// The kind with this code.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed call, as the daemon says it and as the client reads it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct RpcError {
    /// What kind of failure: programs decide by this.
    pub kind: Kind,
    /// For people: lower case, no full stop.
    pub message: String,
    /// When trying again may help, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// The parameter that is wrong.
    pub path: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// With `ambiguous_target`: what it could mean.
    pub candidates: Vec<String>,
}

/// `error.data` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// Name of the [`Kind`]; a newer daemon may say one this version does not know.
    pub kind: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// When trying again may help, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The parameter that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// With `ambiguous_target`: what it could mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

impl RpcError {
    /// A failure with its words and nothing more.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message, retry_after_ms: None, path: None, hint: None, candidates: Vec::new() }
    }

    /// The parameter at `path` is wrong.
    #[must_use]
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::new(Kind::InvalidParams, message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds when trying again may help.
    #[must_use]
    pub fn with_retry_after_ms(self, millis: u64) -> Self {
        Self { retry_after_ms: Some(millis), ..self }
    }

    /// `error.data`.
    #[must_use]
    pub fn data(&self) -> ErrorData {
        ErrorData {
            kind: self.kind.as_str().to_owned(),
            retryable: self.kind.retryable(),
            retry_after_ms: self.retry_after_ms,
            path: self.path.clone(),
            hint: self.hint.clone(),
            candidates: self.candidates.clone(),
        }
    }

    /// Reads what a daemon sent; an unknown kind becomes the nearest known one.
    #[must_use]
    pub fn from_wire(code: i32, message: &str, data: Option<ErrorData>) -> Self {
        let named = data.as_ref().and_then(|data| Kind::from_wire(&data.kind));
        let kind = named.or_else(|| Kind::from_code(code)).unwrap_or(Kind::Internal);
        let plain = Self::new(kind, message);
        match data {
            None => plain,
            Some(data) => Self {
                retry_after_ms: data.retry_after_ms,
                path: data.path,
                hint: data.hint,
                candidates: data.candidates,
                ..plain
            },
        }
    }
}

impl From<Kind> for RpcError {
    fn from(kind: Kind) -> Self {
        Self::new(kind, kind.as_str().replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_code_and_one_name_each() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
            assert_eq!(Kind::from_wire(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
    }

    #[test]
    fn exit_codes_follow_the_groups() {
        let group = |code: i32| match code {
            -32603 => 70,
            -32700..=-32600 => 64,
            1001..=1009 => 77,
            1010..=1019 => 66,
            1020..=1029 => 69,
            1030..=1039 => 75,
            1040..=1049 => 76,
            1050..=1059 => 65,
            // nobody's name, as any other that is not there
            1061 => 66,
            1060..=1069 => 74,
            _ => 0,
        };
        for kind in Kind::ALL {
            assert_eq!(kind.exit_code(), group(kind.code()), "{kind}");
        }
    }

    #[test]
    fn an_error_reads_back_as_sent_and_unknown_kinds_are_survived() {
        let error = RpcError::invalid("to", "not a target").with_hint("write @bob");
        assert_eq!(RpcError::from_wire(error.kind.code(), &error.message, Some(error.data())), error);
        let newer = ErrorData { kind: "of_tomorrow".to_owned(), ..error.data() };
        assert_eq!(RpcError::from_wire(1999, "hm", Some(newer)).kind, Kind::Internal);
    }
}
