//! What the user decides about the identity of another account.

use chat_protocol::ids::{Fingerprint, Head, Username};
use chat_protocol::message::Blob;
use chat_protocol::rpc::types::Compared;

use crate::exchange::pin_change;
use crate::model::error::EngineError;
use crate::peers;
pub use crate::peers::unverify;
use crate::turn::Turn;

/// The user decides which identity counts.
///
/// # Errors
/// [`EngineError::UnknownUser`]; [`EngineError::Conflict`] if no identity is the named one.
pub fn accept(turn: &mut Turn<'_>, user: &Username, fingerprint: &Fingerprint, head: &Head) -> Result<(), EngineError> {
    let change = peers::accept(turn, user, fingerprint, head)?;
    pin_change::apply(turn, change)
}

/// The user has compared an identity. While a change is undecided that decides it.
///
/// # Errors
/// [`EngineError::UnknownUser`]; [`EngineError::NotTheirs`] if no identity of theirs is the one compared.
pub fn verify(turn: &mut Turn<'_>, user: &Username, compared: &Compared) -> Result<(), EngineError> {
    let change = peers::accept_compared(turn, user, compared)?;
    pin_change::apply(turn, change)?;
    peers::mark_verified(turn, user, compared)
}

/// A whole account log, as the server shows it now.
///
/// # Errors
/// [`EngineError::Rows`].
pub fn shown(turn: &mut Turn<'_>, user: &Username, entries: &[Blob]) -> Result<(), EngineError> {
    pin_change::shown(turn, user, entries)
}
