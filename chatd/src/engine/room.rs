//! The public room: read by cursor, so that nothing is missed or shown twice.
//!
//! The server can read the room and says who wrote what; nothing here is end-to-end.

use std::time::Duration;

use chat_protocol::crypto::kdf::sha256;
use chat_protocol::ids::MessageId;
use chat_protocol::limits::MAX_ROOM_PAGE;
use chat_protocol::message::client::RoomSince;
use chat_protocol::message::server::{Post, Refusal, RoomPage};

use super::history::{self, Message, ROOM, State};
use super::state::Counter;
use super::turn::{Asked, Subject, Turn};
use super::{EngineError, contacts, outbox, profile};
use crate::store::{Place, RowsError, Table};

/// How far back a new cursor begins.
const FIRST_PAGE: u64 = 100;
/// Pause after the server would not show the room.
const PAUSE: Duration = Duration::from_secs(10);

fn cursor_known(turn: &Turn<'_>) -> Result<bool, RowsError> {
    Ok(turn.rows.get(Place::new(Table::Room, b"", b"begun"))?.is_some())
}

/// Asks for what was said since the cursor.
pub(crate) fn catch_up(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    if turn.paused(&Subject::Room) {
        return Ok(());
    }
    let request = if cursor_known(turn)? {
        RoomSince { seq: Some(Counter::Room.get(turn.rows)?), max: MAX_ROOM_PAGE }
    } else {
        RoomSince { seq: None, max: FIRST_PAGE }
    };
    turn.ask(Asked::Room, &request);
    Ok(())
}

/// Called once a connection is there and at ticks: reads on if the room is ahead.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    let Some(last) = turn.live.link.as_ref().map(|link| link.room_last) else { return Ok(()) };
    if last > Counter::Room.get(turn.rows)? || !cursor_known(turn)? {
        catch_up(turn)?;
    }
    Ok(())
}

/// A page of the room.
pub(crate) fn page(turn: &mut Turn<'_>, answer: Result<RoomPage, Refusal>) -> Result<(), EngineError> {
    let Ok(page) = answer else {
        turn.pause(Subject::Room, PAUSE);
        return Ok(());
    };
    turn.rows.put(Place::new(Table::Room, b"", b"begun"), 0, &[])?;
    let empty = page.posts.is_empty();
    for post in page.posts {
        take(turn, post)?;
    }
    if empty {
        // whatever lay between is no longer kept
        let cursor = Counter::Room.get(turn.rows)?;
        Counter::Room.set(turn.rows, cursor.max(page.last))?;
    }
    if let Some(link) = &mut turn.live.link {
        link.room_last = link.room_last.max(page.last);
    }
    Ok(())
}

/// A post as it is pushed: taken if it is the next one, otherwise a reason to read on.
pub(crate) fn pushed(turn: &mut Turn<'_>, post: Post) -> Result<(), EngineError> {
    if let Some(link) = &mut turn.live.link {
        link.room_last = link.room_last.max(post.room_seq);
    }
    if cursor_known(turn)? && Some(post.room_seq) == Counter::Room.get(turn.rows)?.checked_add(1) {
        take(turn, post)?;
    }
    Ok(())
}

fn take(turn: &mut Turn<'_>, post: Post) -> Result<(), EngineError> {
    if post.room_seq <= Counter::Room.get(turn.rows)? {
        return Ok(());
    }
    Counter::Room.set(turn.rows, post.room_seq)?;
    if post.device == turn.me.device
        && let Some(id) = own(turn, &post)?
    {
        return Ok(history::advance(turn, &id, State::Accepted)?);
    }
    if contacts::is_blocked(turn.rows, &post.user)? {
        return Ok(());
    }
    let own = post.device == turn.me.device;
    let message = Message {
        mine: post.user == turn.me.user,
        device: Some(post.device),
        sent: post.at,
        state: if own { State::Accepted } else { State::Received },
        room_seq: Some(post.room_seq),
        from_bot: profile::is_bot(turn.rows, &post.user)?,
        ..Message::text(id(&post), ROOM.to_owned(), post.user, post.text, turn.now)
    };
    Ok(history::append(turn, message)?)
}

/// The message a post of this device was sent as.
fn own(turn: &Turn<'_>, post: &Post) -> Result<Option<MessageId>, RowsError> {
    let found = turn.rows.get(Place::new(Table::Room, b"posts", post.submit_id.as_bytes()))?;
    Ok(found.and_then(|id| MessageId::try_from(id.as_slice()).ok()))
}

/// Room posts carry no message id: it follows from who posted what under which submit id.
fn id(post: &Post) -> MessageId {
    let hash = sha256(&[post.device.as_bytes().as_slice(), post.submit_id.as_bytes()].concat());
    let mut random = [0; 10];
    random.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    MessageId::from_parts(post.at, random)
}

/// Says something to everybody.
pub(crate) fn say(turn: &mut Turn<'_>, message: &Message) -> Result<(), EngineError> {
    outbox::admit(turn)?;
    let submit_id = outbox::post(turn, message.id, &message.text)?;
    let place = Place::new(Table::Room, b"posts", submit_id.as_bytes());
    Ok(turn.rows.put(place, turn.now.as_millis(), message.id.as_bytes())?)
}

/// The server has stored an own post.
pub(crate) fn posted(turn: &mut Turn<'_>, id: &MessageId) -> Result<(), RowsError> {
    history::advance(turn, id, State::Accepted)
}
