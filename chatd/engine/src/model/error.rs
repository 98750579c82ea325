//! Why an input or a command had no effect.

use chat_protocol::ids::Username;
use thiserror::Error;

use crate::store::RowsError;

/// Why an input had no effect.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The rows could not be read or written. The engine has to be started again.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Something in the rows contradicts itself.
    #[error("damaged in the database: {0}")]
    Damaged(&'static str),
    /// No such account, as far as is known here.
    #[error("no such user")]
    UnknownUser,
    /// No such message or chat.
    #[error("no such message or chat")]
    NotFound,
    /// The peer's identity is not the one known.
    #[error("the identity of {0} changed")]
    IdentityChanged(Username),
    /// The peer's identity was not compared.
    #[error("the identity of {0} was not compared")]
    Unverified(Username),
    /// A parameter is out of its bounds.
    #[error("{0} {1}")]
    Invalid(&'static str, &'static str),
    /// A post in the public room, which the server keeps as it is.
    #[error("posts of the public room cannot be changed")]
    Post,
    /// The user wants to hear nothing of them.
    #[error("{0} is blocked")]
    Blocked(Username),
    /// Something of this name is there.
    #[error("{0}")]
    Taken(&'static str),
    /// There are as many as there may be.
    #[error("{0}")]
    Full(&'static str),
    /// The value has another version.
    #[error("the version is {0}")]
    Version(u64),
    /// Somebody else's message, or one that cannot be changed.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// It has gone too far, or has ended.
    #[error("{0}")]
    TooLate(&'static str),
    /// The text is empty.
    #[error("the text is empty")]
    Empty,
    /// The text is too long.
    #[error("the text has {len} bytes, at most {max} are possible")]
    TooLong {
        /// Bytes it has.
        len: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The same client id with another body.
    #[error("this client_id was used for another message")]
    IdempotencyMismatch,
    /// Too much waits to be sent.
    #[error("too many messages wait to be sent")]
    QueueFull,
    /// No consumer of that name.
    #[error("there is no such consumer")]
    UnknownConsumer,
    /// An event that has not happened.
    #[error("the log ends at {0}")]
    BeyondLog(u64),
    /// No such device of the account.
    #[error("{0}")]
    NoDevice(&'static str),
    /// The digits are not those of the device.
    #[error("these are not the digits of this device: if its screen shows them, somebody is in between")]
    Digits,
    /// What was named is not what is known.
    #[error("not the identity that is known here")]
    Conflict,
    /// What was compared belongs to no identity of the peer.
    #[error("{0}")]
    NotTheirs(&'static str),
}
