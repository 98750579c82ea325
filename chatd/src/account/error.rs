//! Why an enrolment failed, sorted the way callers tell failures apart.

use chat_protocol::handshake::HandshakeError;
use chat_protocol::identity::account_log::LogError;
use chat_protocol::identity::device::CertError;
use chat_protocol::ids::Username;
use chat_protocol::message::server::{Code, Refusal};
use chat_protocol::rpc::RpcError;
use chat_protocol::rpc::errors::Kind;
use thiserror::Error;

use super::AccessError;
use crate::keys::KeyError;
use crate::link::{CallError, ConnectError, Lost};
use crate::report::Chain;
use crate::store::RowsError;

/// Why there is no account, or none of the wanted kind.
#[derive(Debug, Error)]
pub enum AccountError {
    /// This daemon serves another account.
    #[error("this daemon serves {user} already; for another account start `chatd --profile NAME`")]
    Another {
        /// Whose.
        user: Username,
    },
    /// This daemon serves this very account.
    #[error("this daemon is logged in as {user} already")]
    Already {
        /// Whose.
        user: Username,
    },
    /// There is none yet.
    #[error("there is no account here yet; register or log in with an invite first")]
    NoAccount,
    /// Somebody has that name.
    #[error("the name {user} is taken")]
    NameTaken {
        /// The name.
        user: Username,
    },
    /// Wrong user or password; the server does not say which.
    #[error("the server does not accept this user and password")]
    BadCredentials,
    /// The server admits by personal invite, and this was none, or was used.
    #[error("the server admits new accounts by personal invite only, and this one has none or was used already")]
    InviteRefused,
    /// The account has no log to replace.
    #[error("no device was ever logged in to this account: log in instead")]
    NothingToReset,
    /// This device was ended by its account, the server says.
    #[error(
        "the server says that this device was revoked, or its account was reset. If `chatctl device list` on another one \
         shows it as active, that is not so: keep its keys, and log in again later"
    )]
    Revoked,
    /// The digits are others.
    #[error("these are not the digits of this device: if the other screen shows them, somebody is in between")]
    Digits,
    /// The server shows another account than the one whose digits were compared.
    #[error("the server shows another account log than the one whose digits were compared: it is not believed")]
    AnotherLog,
    /// Nobody waits here.
    #[error("this device does not wait to be let in")]
    NotWaiting,
    /// Any other no.
    #[error("the server refused: {}", words(.0.code))]
    Refused(Refusal),
    /// There is no way to the server in what was given.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection ended too early; doing the same again finishes it.
    #[error("the talk with the server was cut short; do the same again to finish it")]
    Lost(#[from] Lost),
    /// The keys of the device.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The store.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Own certificate or genesis entry: not to be expected.
    #[error("the device's own certificate is refused: {0}")]
    Identity(String),
    /// The daemon is going down.
    #[error("the daemon is stopping")]
    Stopped,
}

impl From<CallError> for AccountError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) if refusal.code == Code::Denied => Self::BadCredentials,
            CallError::Refused(refusal) if refusal.code == Code::Revoked => Self::Revoked,
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Lost(lost) => Self::Lost(lost),
        }
    }
}

impl From<CertError> for AccountError {
    fn from(error: CertError) -> Self {
        Self::Identity(error.to_string())
    }
}

impl From<LogError> for AccountError {
    fn from(error: LogError) -> Self {
        Self::Identity(error.to_string())
    }
}

impl AccountError {
    /// The kind the control socket gives it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NameTaken { .. } => Kind::AlreadyExists,
            Self::Another { .. } | Self::Already { .. } | Self::Digits => Kind::Conflict,
            Self::NoAccount | Self::Revoked => Kind::Unauthenticated,
            Self::NothingToReset | Self::NotWaiting => Kind::NotFound,
            Self::AnotherLog => Kind::ServerRejected,
            Self::BadCredentials => Kind::BadCredentials,
            Self::InviteRefused => Kind::ServerRejected,
            Self::Refused(refusal) => refused_kind(refusal.code),
            Self::Access(_) => Kind::InvalidParams,
            Self::Connect(ConnectError::Handshake { source: HandshakeError::Unsupported { .. }, .. }) => {
                Kind::VersionMismatch
            }
            Self::Connect(ConnectError::Keys { .. }) => Kind::ServerRejected,
            Self::Connect(_) | Self::Lost(_) => Kind::ServerUnreachable,
            Self::Rows(RowsError::Full) => Kind::QuotaExceeded,
            Self::Keys(_) | Self::Rows(_) | Self::Identity(_) | Self::Stopped => Kind::Internal,
        }
    }

    fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Refused(refusal) => refusal.retry_after_ms,
            _ => None,
        }
    }
}

impl From<AccountError> for RpcError {
    fn from(error: AccountError) -> Self {
        Self { retry_after_ms: error.retry_after_ms(), ..Self::new(error.kind(), Chain(&error).to_string()) }
    }
}

const fn refused_kind(code: Code) -> Kind {
    match code {
        Code::RateLimited | Code::Busy => Kind::RateLimited,
        Code::Unsupported => Kind::VersionMismatch,
        Code::ApprovalRequired => Kind::ApprovalRequired,
        Code::Stale => Kind::Conflict,
        Code::TooLarge => Kind::QuotaExceeded,
        Code::Exists => Kind::AlreadyExists,
        Code::Denied => Kind::BadCredentials,
        Code::Revoked => Kind::Unauthenticated,
        Code::BadRequest | Code::MailboxFull | Code::NotFound | Code::Internal => Kind::ServerRejected,
    }
}

const fn words(code: Code) -> &'static str {
    match code {
        Code::BadRequest => "it does not understand the request",
        Code::Unsupported => "it does not know this kind of request",
        Code::Denied => "not allowed",
        Code::ApprovalRequired => "another device of the account has to approve this one",
        Code::Busy => "it is too busy right now",
        Code::RateLimited => "too many attempts; wait a little",
        Code::Stale => "something changed meanwhile; try again",
        Code::MailboxFull => "the mailbox is full",
        Code::TooLarge => "the account has too many devices, or the request is too large",
        Code::Exists => "it exists already",
        Code::NotFound => "there is no such account",
        Code::Internal => "it has trouble of its own; try again later",
        Code::Revoked => "the account ended this device",
    }
}
