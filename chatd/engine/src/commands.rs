//! What the local socket asks the engine to change. Each runs within one transaction.

pub mod amend;
pub mod contacts;
pub(crate) mod messages;
pub mod profile;
mod read;
pub mod requests;
pub mod trust;

use chat_protocol::ids::Username;

use crate::model::error::EngineError;
use crate::records::events;
use crate::txn::Txn;

pub use self::messages::send;
pub use self::read::mark_read;

/// Starts sessions with a user's devices although nothing waits to be sent.
pub fn open(txn: &mut Txn<'_>, user: &Username) {
    txn.live.wanted.insert(user.clone());
}

/// Tells consumers that the daemon ends.
///
/// # Errors
/// [`EngineError::Rows`].
pub fn stopping(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    Ok(events::stopping(txn)?)
}
