//! Posts of the public room: in a line, of which only the first is under way.
//!
//! The room has the order in which the server took the posts, and nothing in a post would let a reader mend it. So
//! none may overtake one that was put off, or whose answer was lost with its connection.

use chat_protocol::cbor;
use chat_protocol::ids::{MessageId, SubmitId};
use chat_protocol::message::Call;
use chat_protocol::message::client::RoomPost;
use chat_protocol::time::Timestamp;

use super::flights::{self, Cargo, Flight};
use super::{expiry, tally};
use crate::engine::history::{self, State};
use crate::engine::state::decode;
use crate::engine::turn::Turn;
use crate::store::{Direction, Place, Rows, RowsError, Table};

pub(super) const LINE: &[u8] = b"posts";

fn place(id: &SubmitId) -> Place<'_> {
    Place::new(Table::Submits, LINE, id.as_bytes())
}

/// Puts a post in line, and under way if none is before it.
pub(crate) fn post(turn: &mut Turn<'_>, id: MessageId, text: &str) -> Result<SubmitId, RowsError> {
    let submit_id = flights::next_submit_id(turn)?;
    let payload = cbor::encode(&RoomPost { submit_id, text: text.to_owned() });
    let flight = Flight::new(submit_id, RoomPost::TYPE, payload, Cargo::Post(id));
    let first = !any(turn.rows)?;
    tally::join(turn, place(&submit_id), submit_id.counter(), &cbor::encode(&flight))?;
    if first {
        flights::launch(turn, flight)?;
    }
    Ok(submit_id)
}

/// The first post was answered for good: the next one leaves.
pub(super) fn landed(turn: &mut Turn<'_>, id: &SubmitId) -> Result<(), RowsError> {
    if !tally::leave(turn, place(id))? {
        return Ok(());
    }
    let next = turn.rows.scan(Table::Submits, LINE, 0..=u64::MAX, Direction::Ascending, 1)?;
    match next.first() {
        Some((_, bytes)) => flights::launch(turn, decode(Table::Submits, bytes)?),
        None => Ok(()),
    }
}

/// Whether any post is in line, the first of which is under way.
pub(super) fn any(rows: &dyn Rows) -> Result<bool, RowsError> {
    Ok(rows.last_order(Table::Submits, LINE)?.is_some())
}

/// Ends the posts that joined the line before a time, the one under way excepted; how many that were.
pub(super) fn expire(turn: &mut Turn<'_>, before: Timestamp) -> Result<usize, RowsError> {
    let found = turn.rows.scan(Table::Submits, LINE, 0..=u64::MAX, Direction::Ascending, expiry::STEP + 1)?;
    let mut ended = 0;
    for (_, bytes) in found.iter().skip(1) {
        let flight: Flight = decode(Table::Submits, bytes)?;
        let Cargo::Post(id) = flight.cargo else { continue };
        if expiry::joined(turn, &id)? >= before {
            break;
        }
        tally::leave(turn, place(&flight.submit_id))?;
        history::end(turn, &id, State::Failed, Some(expiry::ERROR))?;
        ended += 1;
    }
    Ok(ended)
}
