//! What the user decides about the identity of another account.

use chat_protocol::ids::{Fingerprint, Head, Username};
use chat_protocol::message::Blob;
use chat_protocol::rpc::types::Compared;

use crate::exchange::pin_change;
use crate::model::error::EngineError;
use crate::peers;
pub use crate::peers::unverify;
use crate::txn::Txn;

/// The user decides which identity counts.
///
/// # Errors
/// `not_found`; `conflict` if no identity is the named one.
pub fn accept(txn: &mut Txn<'_>, user: &Username, fingerprint: &Fingerprint, head: &Head) -> Result<(), EngineError> {
    let change = peers::accept(txn, user, fingerprint, head)?;
    pin_change::apply(txn, change)
}

/// The user has compared an identity. While a change is undecided that decides it.
///
/// # Errors
/// `not_found`; `identity_unverified` if no identity of theirs is the one compared.
pub fn verify(txn: &mut Txn<'_>, user: &Username, compared: &Compared) -> Result<(), EngineError> {
    let change = peers::accept_compared(txn, user, compared)?;
    pin_change::apply(txn, change)?;
    peers::mark_verified(txn, user, compared)
}

/// A whole account log, as the server shows it now.
///
/// # Errors
/// [`EngineError::Rows`].
pub fn apply_shown_log(txn: &mut Txn<'_>, user: &Username, entries: &[Blob]) -> Result<(), EngineError> {
    pin_change::apply_shown_log(txn, user, entries)
}
