//! What the user decides about those who write and are not known.

use chat_protocol::ids::Username;

use crate::model::error::EngineError;
use crate::records::contacts;
use crate::records::requests;
pub use crate::records::requests::list;
use crate::txn::Txn;

/// Hears somebody from now on who asks, or was declined; what waits of theirs is shown in the same transaction, or soon after.
///
/// # Errors
/// `not_found` if nothing of theirs waits; `blocked`; `quota_exceeded`.
pub fn accept(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if contacts::is_blocked(txn.rows, user)? {
        return Err(EngineError::blocked(user));
    }
    if contacts::is_known(txn, user)? {
        return Ok(());
    }
    if !requests::has_asked(txn.rows, user)? {
        return Err(EngineError::no_request(user));
    }
    contacts::set_accepted(txn, user, true).map(drop)
}

/// Drops what waits of somebody, and what they write from now on; or takes back that they were accepted.
///
/// # Errors
/// `not_found` if nothing of theirs waits and they were not accepted.
pub fn decline(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    let was_accepted = contacts::set_accepted(txn, user, false)?;
    if requests::decline(txn, user)? || was_accepted { Ok(()) } else { Err(EngineError::no_request(user)) }
}
