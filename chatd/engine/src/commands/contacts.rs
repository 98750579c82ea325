//! Whom the user knows, and whom the user wants to hear nothing of.

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::{self, FailReason};

use crate::model::error::EngineError;
use crate::queue::failing;
pub use crate::records::contacts::{get, is_blocked, list, set};
use crate::records::{contacts, requests};
use crate::txn::Txn;

/// Begins or ends a block. What waits to be sent to them fails, unless it is under way already.
///
/// # Errors
/// `invalid_params` for the own account; `quota_exceeded`.
pub fn block(txn: &mut Txn<'_>, user: &Username, blocked: bool) -> Result<types::Contact, EngineError> {
    if *user == txn.me.user {
        return Err(EngineError::invalid("user", "that is this account"));
    }
    if blocked && !contacts::is_blocked(txn.rows, user)? {
        failing::fail_unsealed(txn, user, FailReason::Blocked)?;
        requests::decline(txn, user)?;
    }
    contacts::set_blocked(txn, user, blocked)
}
