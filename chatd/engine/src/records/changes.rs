//! Changes of own messages that are in line, under way, or have arrived a moment ago.

use std::time::Duration;

use chat_protocol::ids::{Fingerprint, MessageId, Username};
use chat_protocol::session::content as wire;
use chat_protocol::session::content::Body;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::rows::{load, save};
use crate::records::{events, history};
use crate::store::{Place, RowsError, Table};
use crate::txn::Txn;

/// A change of a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Change {
    /// The chat of the message.
    #[n(0)]
    pub(crate) chat: String,
    /// Who changes it.
    #[n(1)]
    pub(crate) by: Username,
    /// The identity of somebody else who does.
    #[n(2)]
    pub(crate) author: Option<Fingerprint>,
    /// The message.
    #[n(3)]
    pub(crate) target: MessageId,
    /// The clock of who changes it.
    #[n(4)]
    pub(crate) at: Timestamp,
    #[n(5)]
    pub(crate) kind: ChangeKind,
    /// When it came to be here, in time that was seen to pass.
    #[n(6)]
    pub(crate) kept: Timestamp,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum ChangeKind {
    /// Another text.
    #[n(0)]
    Edit(#[n(0)] String),
    /// It is taken back.
    #[n(1)]
    Delete,
    /// A sign; empty takes it back.
    #[n(2)]
    React(#[n(0)] String),
}

const CHANGES: &[u8] = b"changes";

pub(crate) fn place(id: &MessageId) -> Place<'_> {
    Place::new(Table::Outbox, CHANGES, id.as_bytes())
}

/// A change that is in line, under way, or has arrived a moment ago.
pub(crate) fn submitted(txn: &Txn<'_>, id: &MessageId) -> Result<Option<Change>, RowsError> {
    load(txn.rows, place(id))
}

/// A change has arrived at a device. Another one may still have to get it again, for as long as that is done.
pub(crate) fn delivered(txn: &mut Txn<'_>, id: &MessageId) -> Result<(), RowsError> {
    let Some(change) = submitted(txn, id)? else { return Ok(()) };
    save(txn.rows, place(id), change.kept.as_millis().max(1), &change)?;
    // those that did not arrive are under 0
    let old = (txn.now - RESENT_WITHIN).as_millis();
    txn.rows.delete_range(Table::Outbox, CHANGES, 1..=old).map(drop)
}

/// A change that was in line under this id will not be sent; says whether there was one.
pub(crate) fn failed(txn: &mut Txn<'_>, id: &MessageId, error: &str) -> Result<bool, RowsError> {
    let Some(change) = submitted(txn, id)? else { return Ok(false) };
    txn.rows.delete(place(id))?;
    if let Some((_, message)) = history::get(txn.rows, &change.target)? {
        events::change_failed(txn, &message, error)?;
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
