//! What is inside a message: written for one device, read from one session.
//!
//! A content speaks for the session it came through and for nothing else: another conversation than
//! the peer's, or acknowledgements of what was never sent, change nothing.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Fingerprint, MessageId, Username};
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::session::content::{
    Ack, Body, Content, Conversation, Delete, Edit, Heads, LogEntries, Profile, Reaction, Receipt, Reply, SenderSeq,
    Text,
};
use chat_protocol::time::Timestamp;

use super::changes::{Change, Said, What};
use super::history::{self, Kind, Message};
use super::order::{self, Whose};
use super::outbox::{self, Number};
use super::peers::Named;
use super::receipts::{self, Debt};
use super::sessions::Received;
use super::settings::Settings;
use super::siblings::{Owed, Read};
use super::turn::Turn;
use super::{EngineError, contacts, events, peers, profile, siblings};
use crate::store::RowsError;

/// What is written for every device alike.
pub(crate) struct Letter {
    id: MessageId,
    sent: Timestamp,
    kept: Timestamp,
    body: Body,
}

impl Letter {
    /// What it is known by.
    pub(crate) const fn id(&self) -> &MessageId {
        &self.id
    }

    /// When it was said, in time that was seen to pass.
    pub(crate) const fn kept(&self) -> Timestamp {
        self.kept
    }

    /// A message of the history.
    pub(crate) fn message(message: &Message) -> Self {
        let (text, mentions, ttl_s) = (message.text.clone(), message.mentions.clone(), message.ttl_s);
        let body = match message.reply_to {
            Some(to) => Body::Reply(Reply { text, to, mentions, ttl_s }),
            None => Body::Text(Text { text, mentions, ttl_s }),
        };
        Self { id: message.id, sent: message.sent, kept: message.kept, body }
    }

    /// A change of a message.
    pub(crate) fn change(id: MessageId, change: &Change) -> Self {
        Self { id, sent: change.at, kept: change.kept, body: change.body() }
    }

    /// Takes the place of a message that has a number and will never be sent.
    pub(crate) fn gone(id: MessageId, turn: &Turn<'_>) -> Self {
        Self { id, sent: turn.clock, kept: turn.now, body: Body::Delete(Delete { target: id }) }
    }
}

/// A letter for one device of the recipient, or of the own account.
pub(crate) fn letter(
    turn: &mut Turn<'_>,
    peer: &Username,
    reader: &Username,
    device: &DeviceId,
    (letter, (epoch, n)): (&Letter, Number),
) -> Result<Vec<u8>, EngineError> {
    // each reader's own name for the chat
    let chat = if *reader == turn.me.user { peer.clone() } else { turn.me.user.clone() };
    let mut content = content(turn, reader, chat, letter.id, letter.body.clone())?;
    // what was overtaken on its way to this device names itself
    let first = outbox::owed_from(turn, device, peer, epoch)?.map(|first| first.min(n)).filter(|first| *first > 1);
    content.sender_seq = Some(SenderSeq { epoch, n, first });
    content.sent = letter.sent;
    let shown_in = if *reader == turn.me.user { siblings::chat_of(turn, peer) } else { history::private(reader) };
    let acks = acks(turn, &shown_in, device)?;
    // what does not fit without growing the message follows in a receipt
    if content.fit_acks(&acks) < acks.len() {
        match *reader == turn.me.user {
            true => siblings::owe(turn, device, peer, None)?,
            false => receipts::owe(turn, reader, device)?,
        }
    }
    encode(&content)
}

/// Acknowledgements, and what was read.
pub(crate) fn receipt(
    turn: &mut Turn<'_>,
    reader: &Username,
    device: &DeviceId,
    debt: Option<&Debt>,
) -> Result<Vec<u8>, EngineError> {
    // it may have been noted before they were switched off, or the reader blocked
    let told = Settings::get(turn.rows)?.read_receipts && !contacts::is_blocked(turn.rows, reader)?;
    let read = debt.and_then(|debt| debt.read).filter(|_| told).map(|(epoch, n)| ack(*device, (epoch, n + 1), vec![]));
    let body = Body::Receipt(Receipt { read: read.into_iter().collect() });
    let mut content = control(turn, reader, body)?;
    content.acks = acks(turn, &history::private(reader), device)?;
    encode(&content)
}

/// What arrived from a sibling device in one chat, and what was read there.
pub(crate) fn sibling(turn: &mut Turn<'_>, owed: &Owed) -> Result<Vec<u8>, EngineError> {
    let up_to = |read: &Read| ack(read.device, (read.number.0, read.number.1 + 1), vec![]);
    let body = Body::Receipt(Receipt { read: owed.reads.iter().map(up_to).collect() });
    let (id, me) = (MessageId::from_parts(turn.clock, turn.random()), turn.me.user.clone());
    let mut content = content(turn, &me, owed.peer.clone(), id, body)?;
    let chat = siblings::chat_of(turn, &owed.peer);
    content.acks = acks(turn, &chat, &owed.device)?;
    encode(&content)
}

/// Nothing but a turn of the ratchet.
pub(crate) fn heartbeat(turn: &mut Turn<'_>, reader: &Username) -> Result<Vec<u8>, EngineError> {
    let content = control(turn, reader, Body::Heartbeat)?;
    encode(&content)
}

/// The first content of a session that replaces broken ones.
pub(crate) fn reset(turn: &mut Turn<'_>, reader: &Username) -> Result<Vec<u8>, EngineError> {
    let content = control(turn, reader, Body::Reset)?;
    encode(&content)
}

/// What this account says of itself.
pub(crate) fn profile(turn: &mut Turn<'_>, reader: &Username, profile: &Profile) -> Result<Vec<u8>, EngineError> {
    let content = control(turn, reader, Body::Profile(profile.clone()))?;
    encode(&content)
}

/// Entries of an account log that the reader's device lacks.
pub(crate) fn log_entries(turn: &mut Turn<'_>, reader: &Username, log: LogEntries) -> Result<Vec<u8>, EngineError> {
    let content = control(turn, reader, Body::LogEntries(log))?;
    encode(&content)
}

fn control(turn: &mut Turn<'_>, reader: &Username, body: Body) -> Result<Content, EngineError> {
    let id = MessageId::from_parts(turn.clock, turn.random());
    let me = turn.me.user.clone();
    content(turn, reader, me, id, body)
}

fn content(
    turn: &mut Turn<'_>,
    reader: &Username,
    chat: Username,
    id: MessageId,
    body: Body,
) -> Result<Content, EngineError> {
    let own = peers::own(turn)?.pinned.log.head();
    let peer = peers::known(turn, reader)?.ok_or(EngineError::UnknownUser)?.pinned.log.head();
    Ok(Content {
        conversation: Conversation::Direct(chat),
        id,
        sender_seq: None,
        sent: turn.clock,
        heads: Heads { own, peer },
        acks: Vec::new(),
        body,
    })
}

/// What arrived from a device in a chat.
fn acks(turn: &mut Turn<'_>, chat: &str, device: &DeviceId) -> Result<Vec<Ack>, EngineError> {
    let line = order::line(turn, chat, device)?;
    let ack = line.map(|line| ack(*device, (line.epoch, line.next), line.given_up));
    Ok(ack.into_iter().collect())
}

/// Of the highest number there is nobody can be told that it came: what would say so is no number any more.
fn ack(device: DeviceId, (epoch, below): (u64, u64), given_up: Vec<u64>) -> Ack {
    Ack { device, epoch, below: below.min(MAX_NUMBER), given_up }
}

fn encode(content: &Content) -> Result<Vec<u8>, EngineError> {
    content.encode().map_err(|_| EngineError::Damaged("a message that cannot be written"))
}

/// An opened content takes its effect, in the transaction that stores the session it came through.
pub(crate) fn arrived(turn: &mut Turn<'_>, received: &Received) -> Result<(), EngineError> {
    let content = match Content::decode(&received.plaintext) {
        Ok(content) => content,
        Err(_) => return marker(turn, received, Kind::Malformed),
    };
    let named = logs(turn, received, &content)?;
    got(turn, received, &content)?;
    if received.user == turn.me.user {
        return siblings::arrived(turn, received, content);
    }
    if content.conversation != Conversation::Direct(received.user.clone()) {
        tracing::warn!(user = %received.user, "a message that names another chat than its author's");
        return marker(turn, received, Kind::Unsupported);
    }
    for ack in content.acks.iter().filter(|ack| ack.device == turn.me.device) {
        receipts::heard(turn, (&received.user, &received.device), ack)?;
    }
    match content.body {
        Body::Receipt(receipt) => receipt
            .read
            .iter()
            .filter(|ack| ack.device == turn.me.device)
            .try_for_each(|ack| Ok(receipts::read(turn, (&received.user, &received.device), ack)?)),
        Body::Reset => outbox::was_reset(turn, &received.device),
        Body::Profile(profile) => Ok(profile::heard(turn, &received.user, profile)?),
        // control of later versions creates no duty either
        _ if !content.body.is_message() => Ok(()),
        _ => match named {
            Named::Awaited(until) if peers::wait(turn, received, until)? => Ok(()),
            _ => shown(turn, received, content, named),
        },
    }
}

/// What a device, a sibling too, got itself in the conversation it names.
fn got(turn: &mut Turn<'_>, received: &Received, content: &Content) -> Result<(), RowsError> {
    let Conversation::Direct(chat) = &content.conversation else { return Ok(()) };
    let me = turn.me.device;
    let mut mine = content.acks.iter().filter(|ack| ack.device == me);
    mine.try_for_each(|ack| outbox::acknowledged(turn, &received.device, chat, ack))
}

/// What a content says of account logs: its author's, and this account's.
fn logs(turn: &mut Turn<'_>, received: &Received, content: &Content) -> Result<Named, EngineError> {
    let (user, me) = (&received.user, turn.me.user.clone());
    if let Body::LogEntries(log) = &content.body {
        peers::logs::told(turn, user, log)?;
    }
    peers::logs::named(turn, (user, &received.device), &content.heads, content.body.is_message())?;
    peers::announced(turn, &me, content.heads.peer)?;
    peers::announced(turn, user, content.heads.own)
}

/// A message that waited for its author's log comes again: since that has grown, with the time it waits until; or since
/// that time has come.
pub(crate) fn come(turn: &mut Turn<'_>, received: &Received, until: Option<Timestamp>) -> Result<(), EngineError> {
    let Ok(content) = Content::decode(&received.plaintext) else { return Ok(()) };
    if peers::device(turn, &received.user, &received.device)?.is_none() {
        return Ok(events::held(turn, &received.user, "device_revoked")?);
    }
    match (peers::announced(turn, &received.user, content.heads.own)?, until) {
        (Named::Awaited(_), Some(until)) if peers::wait(turn, received, until)? => Ok(()),
        (named, _) => shown(turn, received, content, named),
    }
}

/// A content with a number: shown once, in order, and acknowledged.
fn shown(turn: &mut Turn<'_>, received: &Received, content: Content, named: Named) -> Result<(), EngineError> {
    receipts::owe(turn, &received.user, &received.device)?;
    let Some(seq) = content.sender_seq else { return Ok(()) };
    let Some(peer) = peers::known(turn, &received.user)? else { return Ok(()) };
    let whose = Whose { chat: history::private(&received.user), user: received.user.clone(), device: received.device };
    if history::seen_before(turn, &peer.pinned.log.fingerprint(), &content.id)? {
        return Ok(order::repeated(turn, &whose, &seq)?);
    }
    let author = Some(peer.pinned.log.fingerprint());
    let from_bot = profile::is_bot(turn.rows, &received.user)?;
    let unverified_log = named != Named::Known;
    let unverified_device = peers::policy(turn.rows, &received.user)?.leaves_out(&peer, &received.device);
    let said = match content.body {
        _ if contacts::is_blocked(turn.rows, &received.user)? => Said::Unheard,
        Body::Edit(Edit { target, text }) => {
            changed((received, turn.now), author, content.sent, (target, What::Edit(text)))
        }
        Body::Delete(Delete { target }) => changed((received, turn.now), author, content.sent, (target, What::Delete)),
        Body::Reaction(Reaction { target, emoji }) => {
            changed((received, turn.now), author, content.sent, (target, What::React(emoji)))
        }
        body => {
            let message = incoming(turn, received, content.id, content.sent, Kind::Text, String::new());
            let message = Message { author, number: Some((seq.epoch, seq.n)), from_bot, ..filled(message, body) };
            Said::Message(Box::new(Message { unverified_log, unverified_device, ..message }))
        }
    };
    Ok(order::arrived(turn, &whose, &seq, said)?)
}

fn changed(
    (received, kept): (&Received, Timestamp),
    author: Option<Fingerprint>,
    at: Timestamp,
    (target, what): (MessageId, What),
) -> Said {
    let chat = history::private(&received.user);
    Said::Change(Change { chat, by: received.user.clone(), author, target, at, what, kept })
}

/// A message with what its body says.
pub(crate) fn filled(message: Message, body: Body) -> Message {
    let (text, reply_to, mentions, ttl_s) = match body {
        Body::Text(Text { text, mentions, ttl_s }) => (text, None, mentions, ttl_s),
        Body::Reply(Reply { text, to, mentions, ttl_s }) => (text, Some(to), mentions, ttl_s),
        _ => return Message { kind: Kind::Unsupported, ..message },
    };
    // the clock of who wrote it says nothing here
    let expires = ttl_s.map(|ttl_s| message.stored + Duration::from_secs(ttl_s.into()));
    Message { text, reply_to, mentions, ttl_s, expires, ..message }
}

/// Something was sealed correctly and makes no sense: the history says so, and nobody is asked again.
pub(crate) fn marker(turn: &mut Turn<'_>, received: &Received, kind: Kind) -> Result<(), EngineError> {
    if contacts::is_blocked(turn.rows, &received.user)? {
        return Ok(());
    }
    let id = MessageId::from_parts(turn.clock, turn.random());
    let message = incoming(turn, received, id, turn.clock, kind, String::new());
    Ok(history::append(turn, message)?)
}

fn incoming(turn: &Turn<'_>, received: &Received, id: MessageId, sent: Timestamp, kind: Kind, text: String) -> Message {
    let chat = siblings::chat_of(turn, &received.user);
    Message { device: Some(received.device), kind, sent, ..Message::text(id, chat, received.user.clone(), text, turn) }
}
