//! Bytes under way: kept until they are answered, and the same every time they are sent.
//!
//! The window is the oldest [`WINDOW`] flights. Everything in it was sent on the present connection, up to the
//! first that was put off: a server that is busy is busy for those behind it too, and none overtakes another. What
//! lies behind is sent once the window moves. So the flights are looked through when there is a reason, and not at
//! every pump. What waits for room in a mailbox, or failed by itself, is parked outside the window, so that it
//! holds up nobody else.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::SubmitId;
use chat_protocol::message::Call;
use chat_protocol::message::client::{Addressed, Submit};
use chat_protocol::time::Timestamp;

use crate::model::rows::{Counter, decode, load, save};
use crate::queue::submit_kind::{Cargo, Flight};
use crate::queue::{mailbox_full, posts};
use crate::store::{Direction, Place, Rows, RowsError, Table};
use crate::turn::Turn;
use crate::turn::live::Asked;

/// Most submits in flight: enough to keep a link busy, few enough that late encryption stays late.
const WINDOW: u64 = 64;
pub(crate) const SCOPE: &[u8] = b"flight";
/// Pause between two looks at parked flights for which the window has no room.
const PARKED_PAUSE: Duration = Duration::from_secs(1);
/// Flights that wait for something of their own, in order of the time they are to be tried again.
pub(crate) const PARKED: &[u8] = b"parked";

/// A submit id nobody has used.
pub(crate) fn next_submit_id(turn: &mut Turn<'_>) -> Result<SubmitId, RowsError> {
    let counter = Counter::Submit.next(turn.rows)?;
    Ok(SubmitId::new(counter, turn.random()))
}

fn place(id: &SubmitId) -> Place<'_> {
    Place::new(Table::Submits, SCOPE, id.as_bytes())
}

/// Whether another submit fits in the window.
pub(crate) fn has_room(turn: &Turn<'_>) -> Result<bool, RowsError> {
    Ok(count(turn.rows)? < WINDOW)
}

/// Flights that were not answered yet.
pub(crate) fn count(rows: &dyn Rows) -> Result<u64, RowsError> {
    rows.count(Table::Submits, SCOPE)
}

/// Puts envelopes under way under a fresh submit id.
pub(crate) fn submit(
    turn: &mut Turn<'_>,
    heads: Vec<chat_protocol::message::client::UserHead>,
    to: Vec<Addressed>,
    cargo: Cargo,
) -> Result<(), RowsError> {
    let submit_id = next_submit_id(turn)?;
    let payload = cbor::encode(&Submit { submit_id, heads, to });
    launch(turn, Flight::new(submit_id, Submit::TYPE, payload, cargo))
}

/// Keeps a flight, and sends it if it is within the window and there is a connection.
pub(crate) fn launch(turn: &mut Turn<'_>, flight: Flight) -> Result<(), RowsError> {
    keep(turn, &flight)?;
    // where the flights are looked through anyway it takes its turn there
    let looked_at = turn.live.link.as_ref().is_some_and(|link| link.flights.is_some());
    if !looked_at && count(turn.rows)? <= WINDOW {
        send(turn, flight);
    }
    Ok(())
}

/// The flight with this id, if it was not answered yet.
pub(crate) fn find(turn: &Turn<'_>, id: &SubmitId) -> Result<Option<Flight>, RowsError> {
    load(turn.rows, place(id))
}

/// A flight was answered for good.
pub(crate) fn land(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    leave_window(turn, flight)?;
    mailbox_full::landed(turn, flight)?;
    match flight.cargo {
        Cargo::Post(_) => posts::landed(turn, &flight.submit_id),
        _ => Ok(()),
    }
}

fn leave_window(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    turn.rows.delete(place(&flight.submit_id))?;
    if count(turn.rows)? >= WINDOW {
        look_at(turn, turn.now);
    }
    Ok(())
}

/// Sets a flight aside until its time.
pub(crate) fn park(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    leave_window(turn, flight)?;
    save(turn.rows, parked_place(&flight.submit_id), flight.after.as_millis(), flight)?;
    look_at_parked(turn, flight.after);
    Ok(())
}

/// Flights that are set aside.
pub(crate) fn parked(rows: &dyn Rows) -> Result<u64, RowsError> {
    rows.count(Table::Submits, PARKED)
}

/// Launches what was set aside until now, in the order it was sealed.
fn unpark(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    let Some(due) = turn.live.link.as_ref().and_then(|link| link.parked) else { return Ok(()) };
    if !turn.is_time(due) {
        turn.wake(due);
        return Ok(());
    }
    let room = usize::try_from(WINDOW.saturating_sub(count(turn.rows)?)).unwrap_or(0);
    let found = turn.rows.scan(Table::Submits, PARKED, 0..=u64::MAX, Direction::Ascending, room)?;
    let found = found.into_iter().filter(|(after, _)| turn.is_time(Timestamp::from_millis(*after)));
    let mut flights =
        found.map(|(_, bytes)| decode(Table::Submits, &bytes)).collect::<Result<Vec<Flight>, RowsError>>()?;
    flights.sort_by_key(|flight| flight.submit_id.counter());
    for flight in flights {
        turn.rows.delete(parked_place(&flight.submit_id))?;
        launch(turn, flight)?;
    }
    if let Some(link) = &mut turn.live.link {
        link.parked = None;
    }
    if let Some((next, _)) = turn.rows.scan(Table::Submits, PARKED, 0..=u64::MAX, Direction::Ascending, 1)?.first() {
        // what found no room in the window is looked at when something lands
        look_at_parked(turn, Timestamp::from_millis(*next).max(turn.now + PARKED_PAUSE));
    }
    Ok(())
}

fn look_at_parked(turn: &mut Turn<'_>, at: Timestamp) {
    if let Some(link) = &mut turn.live.link {
        link.parked = Some(link.parked.map_or(at, |known| known.min(at)));
    }
    turn.wake(at);
}

fn parked_place(id: &SubmitId) -> Place<'_> {
    Place::new(Table::Submits, PARKED, id.as_bytes())
}

/// Keeps a flight that is not to be sent before its time.
pub(crate) fn put_off(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    keep(turn, flight)?;
    look_at(turn, flight.after);
    Ok(())
}

/// Sends what the window holds and the connection does not have yet.
pub(crate) fn repeat(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    unpark(turn)?;
    let Some(due) = turn.live.link.as_ref().and_then(|link| link.flights) else { return Ok(()) };
    if !turn.is_time(due) {
        turn.wake(due);
        return Ok(());
    }
    if let Some(link) = &mut turn.live.link {
        link.flights = None;
    }
    let window = usize::try_from(WINDOW).unwrap_or(usize::MAX);
    for (_, bytes) in turn.rows.scan(Table::Submits, SCOPE, 0..=u64::MAX, Direction::Ascending, window)? {
        let flight: Flight = decode(Table::Submits, &bytes)?;
        if !turn.is_time(flight.after) {
            look_at(turn, flight.after);
            break;
        }
        send(turn, flight);
    }
    Ok(())
}

/// Has the flights looked through at `at`, or before.
fn look_at(turn: &mut Turn<'_>, at: Timestamp) {
    if let Some(link) = &mut turn.live.link {
        link.flights = Some(link.flights.map_or(at, |known| known.min(at)));
    }
    turn.wake(at);
}

fn keep(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    save(turn.rows, place(&flight.submit_id), flight.submit_id.counter(), flight)
}

fn send(turn: &mut Turn<'_>, flight: Flight) {
    let payload = flight.payload.0;
    turn.ask_raw(Asked::Flight(flight.submit_id), flight.number, || payload);
}
