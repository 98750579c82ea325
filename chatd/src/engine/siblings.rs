//! What the account's own other devices say: the same user speaks there, in whichever chat.
//!
//! A message of another device is shown as an own one in the chat it names, in the order of that device. Sibling devices
//! owe each other word of what arrived, and of what their user has read; neither makes a message delivered.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Fingerprint, Username};
use chat_protocol::limits::MAX_ACKS;
use chat_protocol::session::content::{Ack, Body, Content, Conversation, Delete, Edit, Reaction};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::changes::{Change, Said, What};
use super::history::{self, Kind, Message, SELF, State};
use super::order::{self, Whose};
use super::outbox::{self, Cargo, Number};
use super::peers::{self, Recipients};
use super::sessions::{self, Received, Sealed};
use super::state::{decode, load, save};
use super::turn::Turn;
use super::{EngineError, content, profile, receipts};
use crate::store::{Direction, Place, RowsError, Table};

/// Receipts to one device are gathered this long.
const COALESCE: Duration = Duration::from_millis(100);
const OWED: &[u8] = b"owed-own";

/// What is owed to a sibling device about one chat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Owed {
    #[n(0)]
    pub(crate) device: DeviceId,
    /// The peer of the chat, or the own account for notes to oneself.
    #[n(1)]
    pub(crate) peer: Username,
    /// Up to where each of the peer's devices was read.
    #[n(2)]
    pub(crate) reads: Vec<Read>,
    /// Not before.
    #[cbor(n(3), default)]
    pub(crate) after: Timestamp,
}

impl Owed {
    /// What one receipt can say, and what another one has to.
    fn parts(&self) -> (Self, Option<Self>) {
        let (now, later) = self.reads.split_at(self.reads.len().min(MAX_ACKS));
        let with = |reads: &[Read]| Self { reads: reads.to_vec(), ..self.clone() };
        (with(now), (!later.is_empty()).then(|| with(later)))
    }
}

/// Up to where the messages of one device were read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Read {
    #[n(0)]
    pub(crate) device: DeviceId,
    #[n(1)]
    pub(crate) number: Number,
}

/// The chat that a conversation with `peer` is shown in.
pub(crate) fn chat_of(turn: &Turn<'_>, peer: &Username) -> String {
    if *peer == turn.me.user { SELF.to_owned() } else { history::private(peer) }
}

/// The active devices of this account but this one.
pub(crate) fn all(turn: &mut Turn<'_>) -> Result<Vec<DeviceId>, EngineError> {
    let mine = turn.me.device;
    let own = peers::own(turn)?;
    Ok(own.pinned.log.active_devices().map(|cert| cert.id()).filter(|id| *id != mine).collect())
}

/// A content that came through the session with a sibling device.
pub(crate) fn arrived(turn: &mut Turn<'_>, received: &Received, said: Content) -> Result<(), EngineError> {
    let Conversation::Direct(peer) = said.conversation.clone() else {
        return content::marker(turn, received, Kind::Unsupported);
    };
    match said.body {
        Body::Receipt(receipt) => {
            receipt.read.iter().try_for_each(|ack| read_there(turn, (&received.device, &peer), ack))
        }
        Body::Reset => outbox::was_reset(turn, &received.device),
        Body::Profile(profile) => Ok(profile::adopt(turn, profile)?),
        // control of later versions creates no duty either
        _ if !said.body.is_message() => Ok(()),
        _ => shown(turn, received, &peer, said),
    }
}

/// A content with a number: shown once, in order, as an own one.
fn shown(turn: &mut Turn<'_>, received: &Received, peer: &Username, said: Content) -> Result<(), EngineError> {
    owe(turn, &received.device, peer, None)?;
    let Some(seq) = said.sender_seq else { return Ok(()) };
    let number = (seq.epoch, seq.n);
    let chat = chat_of(turn, peer);
    let whose = Whose { chat: chat.clone(), user: received.user.clone(), device: received.device };
    let own = peers::own(turn)?.pinned.log.fingerprint();
    if history::seen_before(turn, &own, &said.id)? {
        return Ok(order::repeated(turn, &whose, &seq)?);
    }
    let kept = turn.now;
    let change = |target, what| {
        Said::Change(Change {
            chat: chat.clone(),
            by: received.user.clone(),
            author: Some(own),
            target,
            at: said.sent,
            what,
            kept,
        })
    };
    let said = match said.body.clone() {
        Body::Edit(Edit { target, text }) => change(target, What::Edit(text)),
        Body::Delete(Delete { target }) => change(target, What::Delete),
        Body::Reaction(Reaction { target, emoji }) => change(target, What::React(emoji)),
        body => Said::Message(Box::new(content::filled(own_message(turn, received, &said, (chat, own, number)), body))),
    };
    Ok(order::arrived(turn, &whose, &seq, said)?)
}

/// An own message that was written elsewhere, without what it says. The server has it; whoever it is for may have too.
fn own_message(
    turn: &Turn<'_>,
    received: &Received,
    said: &Content,
    (chat, own, number): (String, Fingerprint, Number),
) -> Message {
    let state = if chat == SELF { State::Read } else { State::Accepted };
    Message {
        device: Some(received.device),
        mine: true,
        sent: said.sent,
        state,
        accepted: Some(turn.clock),
        silent: Some(turn.now),
        number: Some(number),
        author: Some(own),
        ..Message::text(said.id, chat, received.user.clone(), String::new(), turn)
    }
}

fn owed_key(device: &DeviceId, peer: &Username) -> Vec<u8> {
    [device.as_bytes().as_slice(), peer.as_str().as_bytes()].concat()
}

/// Notes that a sibling is to hear what arrived from it, and perhaps what was read.
pub(crate) fn owe(
    turn: &mut Turn<'_>,
    device: &DeviceId,
    peer: &Username,
    read: Option<&Read>,
) -> Result<(), RowsError> {
    let reads = read.into_iter().cloned().collect();
    put_back(turn, &Owed { device: *device, peer: peer.clone(), reads, after: Timestamp::ZERO })
}

/// What was to be told is still to be told, along with whatever else is by now.
pub(crate) fn put_back(turn: &mut Turn<'_>, owed: &Owed) -> Result<(), RowsError> {
    let key = owed_key(&owed.device, &owed.peer);
    let known: Option<Owed> = load(turn.rows, Place::new(Table::Outbox, OWED, &key))?;
    let mut all = known.unwrap_or_else(|| Owed { reads: Vec::new(), ..owed.clone() });
    owed.reads.iter().for_each(|read| further(&mut all.reads, read));
    all.after = all.after.max(owed.after);
    let due = all.after.max(turn.now + COALESCE);
    turn.wake(due);
    save(turn.rows, Place::new(Table::Outbox, OWED, &key), due.as_millis(), &all)
}

/// Of what was read the highest number of each device counts.
fn further(reads: &mut Vec<Read>, read: &Read) {
    match reads.iter_mut().find(|known| known.device == read.device) {
        Some(known) => known.number = known.number.max(read.number),
        None => reads.push(read.clone()),
    }
}

/// A letter to a sibling tells what arrived from it; what was read has to wait for a receipt.
pub(crate) fn paid(turn: &mut Turn<'_>, device: &DeviceId, peer: &Username) -> Result<(), RowsError> {
    let key = owed_key(device, peer);
    let place = Place::new(Table::Outbox, OWED, &key);
    match load::<Owed>(turn.rows, place)? {
        Some(owed) if owed.reads.is_empty() => turn.rows.delete(place).map(drop),
        _ => Ok(()),
    }
}

/// Sends the receipts that are due.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    receipts::pay_due(turn, OWED, settle)
}

fn settle(turn: &mut Turn<'_>, owed: &Owed) -> Result<(), EngineError> {
    let me = turn.me.user.clone();
    let key = owed_key(&owed.device, &owed.peer);
    let Recipients::Devices(devices) = peers::recipients(turn, &me)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == owed.device) else {
        turn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
        return Ok(());
    };
    if !sessions::ready(turn, &[(user, cert.clone())])? {
        return Ok(());
    }
    let (told, later) = owed.parts();
    let Sealed { heads, to } = sessions::seal_for_sibling(turn, &cert, &told)?;
    turn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
    if let Some(later) = later {
        put_back(turn, &later)?;
    }
    Ok(outbox::submit(turn, heads, to, Cargo::Sibling(told))?)
}

/// The user has read something here: the siblings are to know.
pub(crate) fn tell_read(turn: &mut Turn<'_>, peer: &Username, reads: &[Read]) -> Result<(), EngineError> {
    for sibling in all(turn)? {
        for read in reads {
            owe(turn, &sibling, peer, Some(read))?;
        }
    }
    Ok(())
}

/// Up to where the messages of one device were read on a sibling.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct There {
    #[n(0)]
    read: Read,
    /// The sibling that said so.
    #[n(1)]
    by: DeviceId,
}

fn there_scope(chat: &str) -> Vec<u8> {
    [b"read-there-by:", chat.as_bytes()].concat()
}

/// The user has read something on a sibling device, perhaps before it came here.
fn read_there(turn: &mut Turn<'_>, (by, peer): (&DeviceId, &Username), ack: &Ack) -> Result<(), EngineError> {
    let Some(last) = ack.below.checked_sub(1).filter(|_| *peer != turn.me.user) else { return Ok(()) };
    let chat = history::private(peer);
    let scope = there_scope(&chat);
    let place = Place::new(Table::Chats, &scope, ack.device.as_bytes());
    let number = (ack.epoch, last);
    if load::<There>(turn.rows, place)?.is_none_or(|known| known.read.number < number) {
        save(turn.rows, place, 0, &There { read: Read { device: ack.device, number }, by: *by })?;
    }
    Ok(catch_up(turn, &chat)?)
}

/// A device of the account is none any more: what it said was read says nothing of what comes.
pub(crate) fn ended(turn: &mut Turn<'_>, sibling: &DeviceId) -> Result<(), RowsError> {
    for chat in history::chats(turn.rows, usize::MAX)? {
        let scope = there_scope(&chat.id);
        for (_, bytes) in turn.rows.scan(Table::Chats, &scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
            let there: There = decode(Table::Chats, &bytes)?;
            if there.by == *sibling {
                turn.rows.delete(Place::new(Table::Chats, &scope, there.read.device.as_bytes()))?;
            }
        }
    }
    Ok(())
}

/// A message of somebody else was stored: perhaps it was read elsewhere before.
pub(crate) fn stored(turn: &mut Turn<'_>, message: &Message) -> Result<(), RowsError> {
    if !message.mine && is_read_there(turn, message)? { catch_up(turn, &message.chat) } else { Ok(()) }
}

fn is_read_there(turn: &Turn<'_>, message: &Message) -> Result<bool, RowsError> {
    let (Some(device), Some(number)) = (message.device, message.number) else { return Ok(false) };
    let scope = there_scope(&message.chat);
    let there: Option<There> = load(turn.rows, Place::new(Table::Chats, &scope, device.as_bytes()))?;
    Ok(there.is_some_and(|there| number <= there.read.number))
}

/// Marks read what was read elsewhere, up to the first message that was not.
fn catch_up(turn: &mut Turn<'_>, id: &str) -> Result<(), RowsError> {
    let Some(chat) = history::chat(turn.rows, id)? else { return Ok(()) };
    let mut up_to = None;
    for (position, message) in history::page(
        turn.rows,
        id,
        chat.read_to + 1..=chat.last.max(chat.read_to + 1),
        Direction::Ascending,
        usize::MAX,
    )? {
        // a marker has no number: it was seen with what is around it
        if !message.mine && message.number.is_some() && !is_read_there(turn, &message)? {
            break;
        }
        if is_read_there(turn, &message)? {
            up_to = Some(position);
        }
    }
    match up_to {
        Some(_) => history::mark_read(turn, id, up_to).map(drop),
        None => Ok(()),
    }
}
