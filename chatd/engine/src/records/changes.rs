//! Changes of own messages that are in line, under way, or have arrived a moment ago.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::FailReason;
use chat_protocol::session::content as wire;
use chat_protocol::session::content::Body;

use crate::records::{events, history};
use crate::rows::CHANGES;
use crate::rows::outbox::{Change, ChangeKind};
use crate::store::RowsError;
use crate::txn::Txn;

/// A change that is in line, under way, or has arrived a moment ago.
pub(crate) fn submitted(txn: &Txn<'_>, id: &MessageId) -> Result<Option<Change>, RowsError> {
    CHANGES.get(txn.rows, id)
}

/// A change has arrived at a device. Another one may still have to get it again, for as long as that is done.
pub(crate) fn delivered(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), RowsError> {
    let Some(change) = submitted(txn, id)? else { return Ok(()) };
    CHANGES.put(txn.rows, id, change.kept.as_millis().max(1), &change)?;
    // those that did not arrive are under 0
    let old = (txn.now - RESENT_WITHIN).as_millis();
    CHANGES.delete_range(txn.rows, 1..=old)
}

/// A change that was in line under this id will not be sent; says whether there was one.
pub(crate) fn failed(txn: &mut Txn<'_>, id: &MessageId, reason: FailReason) -> Result<bool, RowsError> {
    let Some(change) = submitted(txn, id)? else { return Ok(false) };
    CHANGES.delete(txn.rows, id)?;
    if let Some((_, message)) = history::get(txn.rows, &change.target)? {
        events::change_failed(txn, &message, reason)?;
    }
    Ok(true)
}

impl Change {
    /// As it is written for the peer.
    pub(crate) fn body(&self) -> Body {
        let target = self.target;
        match &self.kind {
            ChangeKind::Edit(text) => Body::Edit(wire::Edit { target, text: text.clone() }),
            ChangeKind::Delete => Body::Delete(wire::Delete { target }),
            ChangeKind::React(emoji) => Body::Reaction(wire::Reaction { target, emoji: emoji.clone() }),
        }
    }
}

/// Older messages do not go again by themselves.
pub(crate) const RESENT_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
