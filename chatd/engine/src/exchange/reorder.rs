//! Bodies in the order their author sent them: what came too early waits, what never comes is given up.
//!
//! ```text
//! n = next   shown, and with it whatever waited right behind it
//! n > next   waits, at most 60 s; then "n messages missing" is shown and it follows
//! n < next   shown, marked `late` if it had been given up
//! ```
//! There is one stream per conversation and device of its author. It begins with the number the author names as the first
//! one for this device, whatever arrives first: who keeps back the beginning of a talk is found out like anybody else.

use chat_protocol::limits::{MAX_GIVEN_UP, ORDER_WAIT};
use chat_protocol::session::content::SenderSeq;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::exchange::amendments::AuthorEvent;
use crate::model::rows::{decode, save};
use crate::queue::{own_receipts, receipts};
use crate::records::streams::{self, Stream, StreamId};
use crate::records::{contacts, events, history};
use crate::store::{Direction, Place, RowsError, Table};
use crate::txn::Txn;

/// Something that came before what its author sent earlier.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Buffered {
    #[n(0)]
    said: AuthorEvent,
    #[n(1)]
    until: Timestamp,
}

/// Takes what was not seen before and lets everything take effect that its number allows.
pub(crate) fn arrived(
    txn: &mut Txn<'_>,
    stream_id: &StreamId,
    seq: &SenderSeq,
    said: AuthorEvent,
) -> Result<(), RowsError> {
    let mut stream = match streams::stream(txn, &stream_id.chat, &stream_id.device)? {
        Some(stream) if stream.epoch > seq.epoch => return said.late(true).take_effect(txn),
        Some(stream) if stream.epoch == seq.epoch => stream,
        Some(ended) => end(txn, stream_id, ended).map(|()| Stream::begun(seq))?,
        None => Stream::begun(seq),
    };
    if seq.n > stream.next {
        put(txn, stream_id, &stream)?;
        return wait(txn, stream_id, seq.n, said);
    }
    if seq.n < stream.next {
        let late = give_back(&mut stream, seq.n);
        said.late(late).take_effect(txn)?;
        return put(txn, stream_id, &stream);
    }
    said.take_effect(txn)?;
    stream.next += 1;
    follow(txn, stream_id, &mut stream)
}

/// Something came again that is known by its id: its number counts, also if it has another one since its author
/// lost its state. What waits under that number goes on waiting.
pub(crate) fn repeated(txn: &mut Txn<'_>, stream_id: &StreamId, seq: &SenderSeq) -> Result<(), RowsError> {
    let current =
        streams::stream(txn, &stream_id.chat, &stream_id.device)?.is_some_and(|stream| stream.epoch == seq.epoch);
    let waits = txn.rows.get(Place::new(Table::Held, &stream_id.buffered_scope(), &seq.n.to_be_bytes()))?.is_some();
    if current && waits { Ok(()) } else { arrived(txn, stream_id, seq, AuthorEvent::Unheard) }
}

/// The author lost its state and counts from the beginning: what waited will not become complete.
fn end(txn: &mut Txn<'_>, stream_id: &StreamId, mut stream: Stream) -> Result<(), RowsError> {
    while let Some((n, _)) = first(txn, &stream_id.buffered_scope())? {
        give_up(txn, stream_id, &mut stream, n)?;
    }
    Ok(())
}

/// Takes `n` off the list of numbers given up.
fn give_back(stream: &mut Stream, n: u64) -> bool {
    let before = stream.given_up.len();
    stream.given_up.retain(|known| *known != n);
    stream.given_up.len() < before
}

fn put(txn: &mut Txn<'_>, stream_id: &StreamId, stream: &Stream) -> Result<(), RowsError> {
    save(txn.rows, Place::new(Table::Held, &stream_id.stream_scope(), stream_id.device.as_bytes()), 0, stream)
}

fn wait(txn: &mut Txn<'_>, stream_id: &StreamId, n: u64, said: AuthorEvent) -> Result<(), RowsError> {
    let until = txn.now + ORDER_WAIT;
    let (scope, key) = (stream_id.buffered_scope(), n.to_be_bytes());
    let place = Place::new(Table::Held, &scope, &key);
    if txn.rows.get(place)?.is_some() {
        // its author gave the number twice: neither takes the other's place
        return said.take_effect(txn);
    }
    save(txn.rows, place, n, &Buffered { said, until })?;
    save(txn.rows, Place::new(Table::Held, b"waiting", &scope), 0, stream_id)?;
    txn.wake(until);
    Ok(())
}

/// Shows what waited right behind, and keeps the stream.
fn follow(txn: &mut Txn<'_>, stream_id: &StreamId, stream: &mut Stream) -> Result<(), RowsError> {
    let scope = stream_id.buffered_scope();
    while let Some((n, early)) = first(txn, &scope)? {
        if n != stream.next {
            break;
        }
        take(txn, &scope, n, early.said)?;
        stream.next += 1;
    }
    if txn.rows.last_order(Table::Held, &scope)?.is_none() {
        txn.rows.delete(Place::new(Table::Held, b"waiting", &scope))?;
    }
    put(txn, stream_id, stream)
}

fn first(txn: &Txn<'_>, scope: &[u8]) -> Result<Option<(u64, Buffered)>, RowsError> {
    let found = txn.rows.scan(Table::Held, scope, 0..=u64::MAX, Direction::Ascending, 1)?;
    found.first().map(|(n, bytes)| Ok((*n, decode(Table::Held, bytes)?))).transpose()
}

fn take(txn: &mut Txn<'_>, scope: &[u8], n: u64, said: AuthorEvent) -> Result<(), RowsError> {
    txn.rows.delete(Place::new(Table::Held, scope, &n.to_be_bytes()))?;
    said.take_effect(txn)
}

/// Gives up gaps that were waited for long enough.
pub(crate) fn sweep(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    for stream_id in streams::waiting(txn)? {
        give_up_due(txn, &stream_id)?;
    }
    Ok(())
}

fn give_up_due(txn: &mut Txn<'_>, stream_id: &StreamId) -> Result<(), RowsError> {
    let scope = stream_id.buffered_scope();
    while let Some((n, early)) = first(txn, &scope)? {
        if !txn.is_time(early.until) {
            txn.wake(early.until);
            break;
        }
        let Some(mut stream) = streams::stream(txn, &stream_id.chat, &stream_id.device)? else { break };
        give_up(txn, stream_id, &mut stream, n)?;
        match (stream_id.user == txn.me.user, history::peer(&stream_id.chat)) {
            (false, _) => receipts::schedule(txn, &stream_id.user, &stream_id.device)?,
            (true, peer) => {
                own_receipts::schedule(txn, &stream_id.device, &peer.unwrap_or_else(|| stream_id.user.clone()), None)?
            }
        }
    }
    Ok(())
}

/// Says that everything before `n` is missing, and goes on with `n`.
fn give_up(txn: &mut Txn<'_>, stream_id: &StreamId, stream: &mut Stream, n: u64) -> Result<(), RowsError> {
    let missing = n.saturating_sub(stream.next);
    if missing > 0 {
        if !contacts::is_blocked(txn.rows, &stream_id.user)? {
            events::missing(txn, &stream_id.chat, &stream_id.user, missing)?;
        }
        let newest = n.saturating_sub(MAX_GIVEN_UP as u64).max(stream.next);
        stream.given_up.extend(newest..n);
        let surplus = stream.given_up.len().saturating_sub(MAX_GIVEN_UP);
        stream.given_up.drain(..surplus);
    }
    stream.next = n;
    follow(txn, stream_id, stream)
}
