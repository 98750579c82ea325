//! What the user decides about those who write and are not known.

use chat_protocol::ids::Username;

use crate::model::error::EngineError;
use crate::records::contacts;
use crate::records::requests;
pub use crate::records::requests::list;
use crate::txn::Txn;

/// Hears somebody from now on; what waits of theirs is shown in the same transaction, or soon after.
///
/// # Errors
/// `invalid_params` for the own account; `blocked`; `quota_exceeded`.
pub fn accept(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if *user == txn.me.user {
        return Err(EngineError::invalid("user", "that is this account"));
    }
    if contacts::is_blocked(txn.rows, user)? {
        return Err(EngineError::blocked(user));
    }
    contacts::accept(txn, user)
}

/// Drops what waits of somebody, and what they write from now on.
///
/// # Errors
/// `not_found` if nothing of theirs waits.
pub fn decline(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if requests::decline(txn, user)? { Ok(()) } else { Err(EngineError::no_request(user)) }
}
