//! Bytes under way: kept until they are answered, and the same every time they are sent.
//!
//! The window is the oldest [`WINDOW`] flights. Everything in it was sent on the present connection, up to the
//! first that was put off: a server that is busy is busy for those behind it too, and none overtakes another. What
//! lies behind is sent once the window moves. So the flights are looked through when there is a reason, and not at
//! every pump. What waits for room in a mailbox, or failed by itself, is parked outside the window, so that it
//! holds up nobody else.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, MessageId, SubmitId, Username};
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::{Item, Number, full, posts};
use crate::engine::siblings::Owed;
use crate::engine::state::{Counter, decode, load, save};
use crate::engine::turn::{Asked, Turn};
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Most submits in flight: enough to keep a link busy, few enough that late encryption stays late.
const WINDOW: u64 = 64;
const SCOPE: &[u8] = b"flight";
/// Pause between two looks at parked flights for which the window has no room.
const PARKED_PAUSE: Duration = Duration::from_secs(1);
/// Flights that wait for something of their own, in order of the time they are to be tried again.
const PARKED: &[u8] = b"parked";

/// What a flight carries, for when it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Cargo {
    /// A private message.
    #[n(0)]
    Message(#[n(0)] Item),
    /// A post in the public room.
    #[n(1)]
    Post(#[n(0)] MessageId),
    /// A receipt or heartbeat for one device, and up to where it says that was read.
    #[n(2)]
    Receipt(#[n(0)] Username, #[n(1)] DeviceId, #[n(2)] Option<Number>),
    /// What this account says of itself, for one device.
    #[n(3)]
    Profile(#[n(0)] Username, #[n(1)] DeviceId),
    /// What one device lacks of an account log.
    #[n(4)]
    Log(#[n(0)] Username, #[n(1)] DeviceId),
    /// What is owed to a sibling device.
    #[n(5)]
    Sibling(#[n(0)] Owed),
    /// The reset that begins a new session with one device.
    #[n(6)]
    Reset(#[n(0)] Username, #[n(1)] DeviceId),
}

impl Cargo {
    /// The one device it goes to, unless it is a message or a post.
    pub(super) const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Message(_) | Self::Post(_) => None,
            Self::Receipt(_, device, _) | Self::Profile(_, device) | Self::Log(_, device) | Self::Reset(_, device) => {
                Some(device)
            }
            Self::Sibling(owed) => Some(&owed.device),
        }
    }

    /// The same for a single one of the devices it goes to.
    pub(super) fn only_for(&self, device: &DeviceId) -> Self {
        match self {
            Self::Message(item) => Self::Message(Item { only: Some(*device), ..item.clone() }),
            // everything else goes to one anyway
            other => other.clone(),
        }
    }
}

/// Bytes under way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Flight {
    #[n(0)]
    pub(super) submit_id: SubmitId,
    /// Request type.
    #[n(1)]
    pub(super) number: u16,
    /// The request, exactly as it is sent every time.
    #[n(2)]
    pub(super) payload: Blob,
    #[n(3)]
    pub(super) cargo: Cargo,
    /// Not before.
    #[n(4)]
    pub(super) after: Timestamp,
    /// How often the server put it off.
    #[n(5)]
    pub(super) put_off: u32,
}

impl Flight {
    pub(crate) fn new(submit_id: SubmitId, number: u16, payload: Vec<u8>, cargo: Cargo) -> Self {
        Self { submit_id, number, payload: payload.into(), cargo, after: Timestamp::ZERO, put_off: 0 }
    }
}

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
pub(super) fn count(rows: &dyn Rows) -> Result<u64, RowsError> {
    rows.count(Table::Submits, SCOPE)
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
pub(super) fn find(turn: &Turn<'_>, id: &SubmitId) -> Result<Option<Flight>, RowsError> {
    load(turn.rows, place(id))
}

/// A flight was answered for good.
pub(super) fn land(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    leave_window(turn, flight)?;
    full::landed(turn, flight)?;
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
pub(super) fn park(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    leave_window(turn, flight)?;
    save(turn.rows, parked_place(&flight.submit_id), flight.after.as_millis(), flight)?;
    look_at_parked(turn, flight.after);
    Ok(())
}

/// Flights that are set aside.
pub(super) fn parked(rows: &dyn Rows) -> Result<u64, RowsError> {
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

/// Takes back what another device sealed: messages are sealed again, posts need no sealing, and the rest is owed anew.
pub(crate) fn recall(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    for scope in [SCOPE, PARKED] {
        for (_, bytes) in turn.rows.scan(Table::Submits, scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
            let flight: Flight = decode(Table::Submits, &bytes)?;
            if matches!(flight.cargo, Cargo::Post(_)) {
                continue;
            }
            turn.rows.delete(Place::new(Table::Submits, scope, flight.submit_id.as_bytes()))?;
            full::landed(turn, &flight)?;
            if let Cargo::Message(item) = flight.cargo {
                // the others have what goes again to a single device, under its number
                let number = item.number.filter(|_| item.only.is_some());
                super::put_back(turn, &Item { number, ..item })?;
            }
        }
    }
    Ok(())
}

/// Keeps a flight that is not to be sent before its time.
pub(super) fn put_off(turn: &mut Turn<'_>, flight: &Flight) -> Result<(), RowsError> {
    keep(turn, flight)?;
    look_at(turn, flight.after);
    Ok(())
}

/// Sends what the window holds and the connection does not have yet.
pub(super) fn repeat(turn: &mut Turn<'_>) -> Result<(), RowsError> {
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
