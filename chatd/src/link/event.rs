//! What a link tells the daemon.

use std::time::Duration;

use chat_protocol::message::Answer;
use chat_protocol::message::server::{LoggedIn, Push, Refusal, Welcome};
use chat_protocol::rpc::types::ConnectionTrouble;
use chat_protocol::time::Timestamp;
use thiserror::Error;

/// What the daemon hears of its connection.
#[derive(Debug)]
pub enum LinkEvent {
    /// An attempt begins.
    Connecting,
    /// Logged in: from here on requests are sent.
    Online {
        /// The server's greeting.
        welcome: Welcome,
        /// Where the server stands with this device.
        logged_in: LoggedIn,
        /// The server's clock less ours, in milliseconds.
        server_offset_ms: i64,
        /// How long the login took to be answered.
        round_trip: Duration,
    },
    /// The server answered a ping.
    RoundTrip(Duration),
    /// No connection. Whatever was not answered will not be.
    Offline {
        /// Why, for the user.
        reason: String,
        /// What kind of trouble that is.
        trouble: ConnectionTrouble,
        /// When the next attempt begins.
        retry_at: Timestamp,
    },
    /// The server does not let this device in.
    AuthFailed {
        /// What it said.
        reason: AuthFailure,
    },
    /// A request was answered.
    Answer {
        /// As given to [`super::LinkHandle::request`].
        id: u64,
        /// What it is, or the refusal.
        result: Result<Answer, Refusal>,
    },
    /// The server said something unasked.
    Push(Push),
}

/// Why the server does not let a device in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthFailure {
    /// It does not know the device.
    #[error("the server does not accept this device: it does not know it")]
    Denied,
    /// Its account ended it, or was reset: that is the server's word, which nothing proves here.
    #[error(
        "the server says that this device was revoked, or its account was reset. If `chatctl device list` on another one \
         shows it as active, that is not so: keep its keys, and `chatctl login` tries again. To be a new device: \
         `chatctl logout --forget-keys --yes`, then `chatctl login`"
    )]
    Revoked,
    /// Another device of the account has to approve it first.
    #[error("this device waits to be approved by another device of the account")]
    ApprovalRequired,
}
