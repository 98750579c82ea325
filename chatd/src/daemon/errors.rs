//! Failures of the engine and the store, in the kinds of the socket.

use chat_protocol::ids::Username;
use chat_protocol::message::server::{Code, Refusal};
use chat_protocol::rpc::{Kind, RpcError};

use crate::account::{Account, AccountError, Standing};
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
        RowsError::Corrupt(_) => RpcError::new(Kind::Internal, error.to_string()).with_hint(
            "put store.db back from a copy, or move the data directory away and log in anew with `chatctl login NAME`",
        ),
        error => RpcError::new(Kind::Internal, error.to_string()),
    }
}

/// There is no account to do this for.
fn no_account() -> RpcError {
    RpcError::new(Kind::Unauthenticated, "this daemon has no account yet")
        .with_hint("make one with `chatctl register NAME`, or log in with `chatctl login NAME`")
}

/// Why nothing can be done for the account that is here, or is not.
pub(super) fn idle(account: Option<&Account>) -> RpcError {
    let Some(Account { user, standing, .. }) = account else { return no_account() };
    match standing {
        Standing::Waiting => waits(user),
        Standing::Lapsed => lapsed(user),
        Standing::LoggedOut => logged_out(user),
        Standing::Revoked => revoked(user),
        // the loop is about to hear of it
        Standing::Active => RpcError::new(Kind::Internal, "the account is only just being entered; call again"),
    }
}

/// There is one, and its user left it here.
fn logged_out(user: &Username) -> RpcError {
    RpcError::new(Kind::Unauthenticated, format!("{user} is logged out on this device"))
        .with_hint(format!("log in again with `chatctl login {user}`"))
}

/// The server says that the account ended this device.
pub(super) fn revoked(user: &Username) -> RpcError {
    RpcError::from(AccountError::Revoked).with_hint(format!(
        "to be a new device: `chatctl logout --forget-keys --yes`, then `chatctl login {user}`; {}",
        if_none_is_left(user)
    ))
}

/// What failed on the way into the account of this user.
pub(super) fn entering(error: AccountError, user: &Username) -> RpcError {
    match error {
        AccountError::Revoked => revoked(user),
        other => other.into(),
    }
}

/// A reset is called off by a device that is in the account, which this one is not.
pub(super) fn cannot_cancel(user: &Username) -> RpcError {
    let why = format!("only a device that {user} is logged in on can cancel a reset of {user}, and this one is none");
    RpcError::new(Kind::Unauthenticated, why).with_hint(format!(
        "say `chatctl reset --cancel` on a device of {user} that `chatctl status` shows as ready; what was asked for here \
         is done by saying `chatctl reset {user}` again, and by nothing else"
    ))
}

/// This device is not let in yet.
fn waits(user: &Username) -> RpcError {
    let why = "this device waits to be let in by another one of the account";
    RpcError::new(Kind::ApprovalRequired, why).with_hint(let_in(user))
}

/// This device was not let in.
fn lapsed(user: &Username) -> RpcError {
    RpcError::new(Kind::ApprovalRequired, "nobody let this device in within a day")
        .with_hint(format!("ask again with `chatctl login {user}`; {}", if_none_is_left(user)))
}

/// What lets a device in.
fn let_in(user: &Username) -> String {
    format!("compare the digits with `chatctl device approve` on both; {}", if_none_is_left(user))
}

fn if_none_is_left(user: &Username) -> String {
    format!("if no other device of the account is left, `chatctl reset {user}` begins it anew, with a new identity")
}

/// A command of the engine failed.
pub(super) fn engine(error: EngineError) -> RpcError {
    match error {
        EngineError::Rows(error) => rows(&error),
        EngineError::Refused(refused) => *refused,
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
        Code::Revoked => Kind::Unauthenticated,
        Code::Internal => Kind::ServerRejected,
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
        Code::RateLimited => "it limits how often it is asked",
        Code::Stale => "something changed meanwhile",
        Code::MailboxFull => "the mailbox is full",
        Code::TooLarge => "too large",
        Code::Exists => "it exists already",
        Code::NotFound => "no such account or device",
        Code::Internal => "it failed and stored nothing",
        Code::Revoked => "the account ended this device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_device_hears_everywhere_that_it_is_and_what_brings_it_back() {
        let alice: Username = "alice".parse().unwrap();
        let refused = AccountError::Refused(Refusal::new(Code::Revoked));
        assert_eq!((refused.kind().exit_code(), refusal(&Refusal::new(Code::Revoked)).kind.exit_code()), (77, 77));
        for error in [revoked(&alice), entering(AccountError::Revoked, &alice)] {
            assert_eq!(error.kind.exit_code(), 77);
            assert!(error.message.contains("this device was revoked"), "{error:?}");
            let hint = error.hint.unwrap();
            assert!(hint.contains("`chatctl logout --forget-keys --yes`, then `chatctl login alice`"), "{hint}");
            assert!(hint.contains("`chatctl reset alice`"), "{hint}");
        }
    }
}
