//! The public room: read by cursor, so that nothing is missed or shown twice.
//!
//! The server can read the room and says who wrote what; nothing here is end-to-end. Its numbers are its word too. So
//! what one connection showed is read once more on the next. Where that shows something else, or never came as far as
//! the cursor, everything is read again from where reading began. What was shown already is passed over: it is known by
//! what it says, not by its number, also when the history has let it go. Where reading began moves on, months behind.

mod shown;

pub(crate) use shown::forget_old;

use chat_protocol::rpc::types::MessageState;
use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::ids::MessageId;
use chat_protocol::limits::MAX_ROOM_PAGE;
use chat_protocol::message::client::RoomSince;
use chat_protocol::message::server::{Post, Refusal, RoomPage};

use crate::model::error::EngineError;
use crate::queue::{outbox, posts};
use crate::records::history::{self, Message, ROOM};
use crate::records::{contacts, profile};
use crate::rows::ROOM_BEGUN;
use crate::rows::counter::Counter;
use crate::store::RowsError;
use crate::txn::Txn;
use crate::txn::live::{Asked, Subject};

/// How far back a new cursor begins.
const FIRST_PAGE: u64 = 100;
/// Posts at least that are read again at each login.
const OVERLAP: u64 = 16;
/// Pause after the server would not show the room, or contradicted itself; doubled with each time in a row.
const PAUSE: Duration = Duration::from_secs(10);

/// Where the cursor began; absent until then.
fn begun(txn: &Txn<'_>) -> Result<Option<u64>, RowsError> {
    ROOM_BEGUN.get(txn.rows)
}

/// A login says how far the room has come. Reading goes on where the connection before began.
pub(crate) fn online(txn: &mut Txn<'_>, last: u64) -> Result<(), RowsError> {
    let cursor = Counter::Room.get(txn.rows)?;
    if last < cursor {
        return go_back(txn, last);
    }
    let again = Counter::RoomBefore.get(txn.rows)?.min(cursor.saturating_sub(OVERLAP));
    Counter::RoomBefore.set(txn.rows, cursor)?;
    let beginning = begun(txn)?.unwrap_or(0);
    Counter::Room.set(txn.rows, again.max(beginning))
}

/// The room is another than the one that was read: some of that was not there.
fn go_back(txn: &mut Txn<'_>, last: u64) -> Result<(), RowsError> {
    tracing::warn!("the server's room is not what it showed before");
    let beginning = begun(txn)?.filter(|beginning| *beginning <= last);
    if beginning.is_none() {
        ROOM_BEGUN.delete(txn.rows)?;
    }
    Counter::RoomBefore.set(txn.rows, 0)?;
    Counter::Room.set(txn.rows, beginning.unwrap_or(0))
}

/// Asks for what was said since the cursor.
pub(crate) fn catch_up(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.paused(&Subject::Room) {
        return Ok(());
    }
    let since = Counter::Room.get(txn.rows)?;
    let request = match begun(txn)? {
        Some(_) => RoomSince { seq: Some(since), max: MAX_ROOM_PAGE },
        None => RoomSince { seq: None, max: FIRST_PAGE },
    };
    if txn.ask(Asked::Room, &request)
        && let Some(link) = &mut txn.live.link
    {
        link.room_asked = since;
    }
    Ok(())
}

/// Called once a connection is there and at ticks: reads on if the room is ahead.
pub(crate) fn maintain_room(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let Some(last) = txn.live.link.as_ref().map(|link| link.room_last) else { return Ok(()) };
    if last > Counter::Room.get(txn.rows)? || begun(txn)?.is_none() {
        catch_up(txn)?;
    }
    Ok(())
}

/// A page of the room.
pub(crate) fn page(txn: &mut Txn<'_>, answer: Result<RoomPage, Refusal>) -> Result<(), EngineError> {
    let asked = txn.live.link.as_ref().map_or(0, |link| link.room_asked);
    let page = match answer {
        Ok(page) if page.last >= asked => page,
        other => {
            txn.back_off(Subject::Room, PAUSE);
            return Ok(other.map_or(Ok(()), |page| go_back(txn, page.last))?);
        }
    };
    txn.succeeded(&Subject::Room);
    if begun(txn)?.is_none() {
        let first = page.posts.first().map_or(0, |post| post.room_seq.saturating_sub(1));
        ROOM_BEGUN.put(txn.rows, &first)?;
    }
    let before = Counter::Room.get(txn.rows)?;
    if asked > before {
        // reading went back meanwhile
        return Ok(());
    }
    for post in page.posts {
        if is_another(txn, &post)? {
            return Ok(go_back(txn, page.last)?);
        }
        take(txn, post)?;
    }
    let cursor = Counter::Room.get(txn.rows)?;
    if let Some(link) = &mut txn.live.link {
        // where nothing more comes whatever lies between is no longer kept, or was never there
        link.room_last = if cursor > before { link.room_last.max(page.last) } else { cursor };
    }
    Ok(())
}

/// Posts were left out of what is pushed, up to there: a reason to read on.
pub(crate) fn grew(txn: &mut Txn<'_>, seq: u64) {
    if let Some(link) = &mut txn.live.link {
        link.room_last = link.room_last.max(seq);
    }
}

/// A post as it is pushed: taken if it is the next one, otherwise a reason to read on.
pub(crate) fn pushed(txn: &mut Txn<'_>, post: Post) -> Result<(), EngineError> {
    grew(txn, post.room_seq);
    let cursor = Counter::Room.get(txn.rows)?;
    if begun(txn)?.is_none() || post.room_seq > cursor.saturating_add(1) {
        return Ok(());
    }
    if post.room_seq > cursor {
        return take(txn, post);
    }
    // a repeated one, unless something else was shown under the numbers up to the cursor
    if is_known(txn, &post)? { Ok(()) } else { Ok(go_back(txn, post.room_seq.saturating_sub(1))?) }
}

fn take(txn: &mut Txn<'_>, post: Post) -> Result<(), EngineError> {
    if post.room_seq <= Counter::Room.get(txn.rows)? {
        return Ok(());
    }
    Counter::Room.set(txn.rows, post.room_seq)?;
    if is_known(txn, &post)? {
        return Ok(());
    }
    shown::mark_shown(txn, &id(&post))?;
    if post.device == txn.me.device
        && let Some(id) = shown::sent_as(txn.rows, &post.submit_id)?
    {
        return Ok(history::advance(txn, &id, MessageState::Accepted)?);
    }
    if contacts::is_blocked(txn.rows, &post.user)? {
        return Ok(());
    }
    let own = post.device == txn.me.device;
    let message = Message {
        mine: post.user == txn.me.user,
        device: Some(post.device),
        sent: post.at,
        state: own.then_some(MessageState::Accepted),
        room_seq: Some(post.room_seq),
        from_bot: profile::is_bot(txn.rows, &post.user)?,
        ..Message::text(id(&post), ROOM.to_owned(), post.user, post.text, txn)
    };
    Ok(history::append(txn, message)?)
}

/// Whether a post was taken before, under whatever number.
fn is_known(txn: &Txn<'_>, post: &Post) -> Result<bool, RowsError> {
    shown::is_known(txn.rows, &id(post))
}

/// Whether a post is not what a connection before showed up to its number.
fn is_another(txn: &Txn<'_>, post: &Post) -> Result<bool, RowsError> {
    Ok(post.room_seq <= Counter::RoomBefore.get(txn.rows)? && !is_known(txn, post)?)
}

/// Room posts carry no message id: it follows from who posted what under which submit id.
fn id(post: &Post) -> MessageId {
    let hash = sha256(&cbor::encode(&(&post.user, post.device, post.submit_id, &post.text)));
    let mut random = [0; 10];
    random.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    MessageId::from_parts(post.at, random)
}

/// Says something to everybody.
pub(crate) fn say(txn: &mut Txn<'_>, message: &Message) -> Result<(), EngineError> {
    outbox::admit(txn)?;
    let submit_id = posts::post(txn, message.id, &message.text)?;
    Ok(shown::sent(txn, &submit_id, &message.id)?)
}
