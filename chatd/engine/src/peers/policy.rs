//! What happens when a peer's account gets a new device: it is told, shown in the chat, or left out.

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::TrustPolicy;

use crate::model::error::EngineError;
use crate::records::contacts;
use crate::records::history;
use crate::records::pins::Peer;
use crate::records::settings::{self, Settings};
use crate::rows::POLICIES;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// What was decided for the chat with `user`, if anything was.
///
/// # Errors
/// [`RowsError`].
pub fn policy_of_chat(rows: &dyn Rows, user: &Username) -> Result<Option<TrustPolicy>, RowsError> {
    POLICIES.get(rows, user)
}

/// What is in force in the chat with `user`.
///
/// # Errors
/// [`RowsError`].
pub fn policy(rows: &dyn Rows, user: &Username) -> Result<TrustPolicy, RowsError> {
    match policy_of_chat(rows, user)? {
        Some(policy) => Ok(policy),
        None => Ok(Settings::get(rows)?.trust_policy),
    }
}

/// Decides for the chat with a user, or for all where nothing else was decided. `None` takes a decision back.
///
/// # Errors
/// `invalid_params` if the default shall be nothing.
pub fn set_policy(txn: &mut Txn<'_>, user: Option<&Username>, policy: Option<TrustPolicy>) -> Result<(), EngineError> {
    match (user, policy) {
        (Some(user), Some(policy)) => Ok(POLICIES.put(txn.rows, user, 0, &policy)?),
        (Some(user), None) => Ok(POLICIES.delete(txn.rows, user).map(drop)?),
        (None, Some(policy)) => Ok(settings::set_policy(txn, policy)?),
        (None, None) => Err(EngineError::invalid("policy", "missing: only a chat can go by the default")),
    }
}

/// The log of a peer has grown beyond the entry `before`. Says whether the devices it `added` are left out.
pub(crate) fn grown(rows: &dyn Rows, peer: &mut Peer, before: u64, added: bool) -> Result<bool, RowsError> {
    let known_to = peer.known_to.unwrap_or(before);
    let left_out = added && policy(rows, &peer.user)? == TrustPolicy::Strict;
    // whoever was left out once is so again as soon as the policy says so, whatever it said meanwhile
    let waits = left_out || known_to < before;
    peer.known_to = Some(if waits { known_to } else { peer.pinned.log.head().seq });
    Ok(left_out)
}

/// Writes into the chat that there are new devices, unless an event is all the user wants.
pub(crate) fn notice(txn: &mut Txn<'_>, user: &Username, added: usize) -> Result<(), RowsError> {
    let policy = policy(txn.rows, user)?;
    if added == 0 || policy == TrustPolicy::Tofu || contacts::keeps_back(txn, user)? {
        return Ok(());
    }
    let what = if added == 1 { "a new device, which" } else { "new devices, which" };
    let gets =
        if policy == TrustPolicy::Strict { "get nothing until you compare again" } else { "get your messages too" };
    let gets = if added == 1 { gets.replacen("get", "gets", 1) } else { gets.to_owned() };
    history::append_notice(txn, user, format!("{user} has {what} {gets}: chatctl verify @{user}"))
}
