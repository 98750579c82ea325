//! The engine's values as the local socket shows them.

use std::collections::{BTreeMap, BTreeSet};

use chat_protocol::identity::account_log::LogDevice;
use chat_protocol::ids::Username;
use chat_protocol::rpc::types::{
    self, ChatKind, IdentityState, LogFork, LogHead, PeerDevice, PeerIdentity, SeenIdentity, TrustPolicy,
};
use chat_protocol::rpc::{ChatId, Target};
use chat_protocol::time::Timestamp;

use crate::records::device_tables::{self, DeviceTable};
use crate::records::history::{self, Chat, Message, MessageKind, ROOM, SELF};
use crate::records::pins::{Identity, Peer, Trust};
use crate::store::{Rows, RowsError};

/// Shown instead of a content this version does not know.
const UNSUPPORTED: &str = "[a message of a kind this version cannot show]";
/// Shown instead of a content that was sealed correctly and makes no sense.
const MALFORMED: &str = "[a message that cannot be read]";

/// A message; `None` if its chat has no name the socket knows.
#[must_use]
pub fn message(message: &Message) -> Option<types::Message> {
    let text = match message.kind {
        _ if message.deleted => String::new(),
        MessageKind::Text | MessageKind::Notice => message.text.clone(),
        MessageKind::Unsupported => UNSUPPORTED.to_owned(),
        MessageKind::Malformed => MALFORMED.to_owned(),
    };
    Some(types::Message {
        id: message.id,
        chat: chat_id(&message.chat)?,
        from: message.from.clone(),
        outgoing: message.mine,
        text,
        sent_ms: message.sent.as_millis(),
        stored_ms: message.stored.as_millis(),
        state: message.state,
        error: message.error,
        held: None,
        late: message.late,
        client_id: message.client_id.clone(),
        reply_to: message.reply_to,
        mentions: message.mentions.clone(),
        edited_ms: message.edited.map(Timestamp::as_millis),
        deleted: message.deleted,
        reactions: reactions(message),
        expires_ms: message.expires.filter(|_| !message.deleted).map(Timestamp::as_millis),
        at_ms: message.at.map(Timestamp::as_millis),
        from_bot: message.from_bot,
        unverified_log: message.unverified_log,
        unverified_device: message.unverified_device,
        notice: message.kind == MessageKind::Notice,
    })
}

/// Each sign with all who gave it, both in order.
fn reactions(message: &Message) -> Vec<types::Reaction> {
    let mut signs: BTreeMap<&str, BTreeSet<&Username>> = BTreeMap::new();
    for given in &message.reactions {
        signs.entry(&given.emoji).or_default().insert(&given.user);
    }
    let shown = |(emoji, users): (&str, BTreeSet<&Username>)| types::Reaction {
        emoji: emoji.to_owned(),
        users: users.into_iter().cloned().collect(),
    };
    signs.into_iter().map(shown).collect()
}

/// A chat's id as the socket writes it.
#[must_use]
pub fn chat_id(chat: &str) -> Option<ChatId> {
    chat.parse::<Target>().ok().map(|target| ChatId::from(&target))
}

/// A chat with its newest message.
///
/// # Errors
/// [`RowsError`].
pub fn chat(rows: &dyn Rows, id: &str, known: Option<&Chat>) -> Result<Option<types::Chat>, RowsError> {
    let Some(shown) = chat_id(id) else { return Ok(None) };
    let peer = history::peer(id);
    let identity = peer.as_ref().map(|user| identity_state(rows, user)).transpose()?;
    let newest = history::list(rows, id, 0, u64::MAX, 1)?;
    Ok(Some(types::Chat {
        id: shown,
        kind: kind(id),
        title: title(id),
        end_to_end: id != ROOM,
        unread: known.map_or(0, |chat| chat.unread),
        last: newest.first().and_then(|(_, newest)| message(newest)),
        peer,
        identity,
        muted_until_ms: known.map(|chat| chat.muted_until.as_millis()).filter(|until| *until > 0),
        ttl_s: known.and_then(|chat| chat.ttl_s),
        archived: known.is_some_and(|chat| chat.archived),
    }))
}

fn kind(id: &str) -> ChatKind {
    match id {
        ROOM => ChatKind::Room,
        SELF => ChatKind::Myself,
        _ => ChatKind::Direct,
    }
}

fn title(id: &str) -> String {
    match id {
        ROOM => "Public room".to_owned(),
        SELF => "Notes to self".to_owned(),
        private => private.trim_start_matches('@').to_owned(),
    }
}

/// What is thought of a user's identity.
///
/// # Errors
/// [`RowsError`].
pub fn identity_state(rows: &dyn Rows, user: &Username) -> Result<IdentityState, RowsError> {
    Ok(device_tables::get(rows, user)?.map_or(IdentityState::New, |table| state_of(table.changed, table.trust)))
}

const fn state_of(changed: bool, trust: Trust) -> IdentityState {
    match (changed, trust) {
        (true, _) => IdentityState::Changed,
        (false, Trust::Tofu) => IdentityState::Tofu,
        (false, Trust::Verified) => IdentityState::Verified,
    }
}

/// Every identity a user was seen with. Safety numbers, and what is in force, are the caller's to add.
#[must_use]
pub fn identity(peer: &Peer) -> PeerIdentity {
    let pinned = state_of(false, peer.trust);
    let former = peer.former.iter().map(|identity| seen(peer, identity, IdentityState::Revoked));
    let others = peer.others.iter().map(|identity| seen(peer, identity, other_state(peer, identity)));
    let rival = peer.rival.iter().map(|identity| seen(peer, identity, IdentityState::Changed));
    PeerIdentity {
        user: peer.user.clone(),
        state: state_of(peer.rival.is_some(), peer.trust),
        safety_number: None,
        seen: former.chain([seen(peer, &peer.pinned, pinned)]).chain(others).chain(rival).collect(),
        devices: Vec::new(),
        policy: TrustPolicy::Tofu,
        refreshed: false,
        log_withheld: peer.withheld.is_some() && peer.withheld_since.is_none(),
    }
}

/// Of what else was shown: undecided like the rival, or refused, or evidence.
fn other_state(peer: &Peer, identity: &Identity) -> IdentityState {
    let evidence = peer.fork(&identity.log).is_some_and(|fork| fork.by_revoked);
    if peer.rival.is_some() && !evidence { IdentityState::Changed } else { IdentityState::Revoked }
}

fn seen(peer: &Peer, identity: &Identity, state: IdentityState) -> SeenIdentity {
    let fork = peer.fork(&identity.log);
    SeenIdentity {
        fingerprint: identity.log.fingerprint(),
        head: LogHead::from(identity.log.head()),
        first_seen_ms: identity.first_seen.as_millis(),
        state,
        safety_number: None,
        fork: fork.map(|fork| LogFork { seq: fork.seq, by: fork.by, by_revoked: fork.by_revoked }),
    }
}

/// The active devices of a peer.
#[must_use]
pub fn devices(peer: &Peer, policy: TrustPolicy) -> Vec<PeerDevice> {
    let (table, active) =
        (DeviceTable::of(peer), peer.pinned.log.devices().iter().filter(|device| device.revoked.is_none()));
    let shown = |device: &LogDevice| {
        let device_id = device.cert.id();
        PeerDevice {
            device_id,
            added_ms: device.added_at.as_millis(),
            unverified: table.is_new(&device_id),
            left_out: device_tables::leaves_out(policy, &table, &device_id),
        }
    };
    active.map(shown).collect()
}
