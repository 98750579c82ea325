//! What the server says about a flight, and what follows.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::message::Call;
use chat_protocol::message::client::Submit;
use chat_protocol::message::server::{Accepted, Code, Refusal, RoomPosted};

use super::{Cargo, Flight, flights, full, give_up, lagging, next_submit_id, put_back};
use crate::engine::history::{self, State};
use crate::engine::turn::{LONGEST_PAUSE, Turn};
use crate::engine::{EngineError, peers, profile, receipts, room, sessions, siblings};
use crate::store::RowsError;

/// Pause after `internal`, and after `busy` or `rate_limited` without a time of the server's own.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
/// Pause before a full mailbox is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(60);

/// What the server said about a flight.
pub(crate) fn answered(turn: &mut Turn<'_>, id: SubmitId, answer: Result<Vec<u8>, Refusal>) -> Result<(), EngineError> {
    let Some(flight) = flights::find(turn, &id)? else { return Ok(()) };
    match answer {
        Ok(payload) => match full(&flight, &payload) {
            Some(full) => accepted(turn, flight, &full),
            None => refused(turn, flight, &Refusal::new(Code::Internal)),
        },
        Err(refusal) => refused(turn, flight, &refusal),
    }
}

/// The devices that had no room; `None` if this is no answer to such a request.
fn full(flight: &Flight, payload: &[u8]) -> Option<Vec<DeviceId>> {
    match flight.cargo {
        Cargo::Post(_) => cbor::decode::<RoomPosted>(payload).ok().map(|_| Vec::new()),
        Cargo::Message(_) | Cargo::Receipt(..) | Cargo::Profile(..) | Cargo::Log(..) | Cargo::Sibling(_) => {
            cbor::decode::<Accepted>(payload).ok().map(|accepted| accepted.full)
        }
    }
}

fn accepted(turn: &mut Turn<'_>, flight: Flight, full: &[DeviceId]) -> Result<(), EngineError> {
    flights::land(turn, &flight)?;
    sessions::accepted(turn, &flight.payload, full)?;
    match &flight.cargo {
        Cargo::Post(id) => room::posted(turn, id)?,
        Cargo::Message(item) => {
            history::advance(turn, &item.id, State::Accepted)?;
        }
        Cargo::Receipt(..) | Cargo::Profile(..) | Cargo::Log(..) | Cargo::Sibling(_) => {}
    }
    if full.is_empty() {
        return Ok(());
    }
    Ok(retry_full(turn, &flight, full)?)
}

/// The same envelope for each device that had no room, under a new id.
fn retry_full(turn: &mut Turn<'_>, flight: &Flight, full: &[DeviceId]) -> Result<(), RowsError> {
    let Ok(submit) = cbor::decode::<Submit>(&flight.payload) else { return Ok(()) };
    for to in submit.to.into_iter().filter(|to| full.contains(&to.device)) {
        let cargo = flight.cargo.only_for(&to.device);
        let alone = Submit { submit_id: next_submit_id(turn)?, heads: submit.heads.clone(), to: vec![to] };
        let mut next = Flight::new(alone.submit_id, Submit::TYPE, cbor::encode(&alone), cargo);
        next.put_off = flight.put_off;
        wait_for_room(turn, next)?;
    }
    Ok(())
}

fn refused(turn: &mut Turn<'_>, flight: Flight, refusal: &Refusal) -> Result<(), EngineError> {
    match refusal.code {
        Code::Busy | Code::RateLimited => put_off(turn, flight, refusal),
        // this one alone cannot be stored: those behind it have done nothing
        Code::Internal => Ok(set_aside(turn, flight, BUSY_PAUSE)?),
        Code::MailboxFull => Ok(wait_for_room(turn, flight)?),
        Code::Stale => stale(turn, flight, refusal),
        Code::NotFound => fail(turn, flight, "not_found"),
        Code::TooLarge => fail(turn, flight, "too_large"),
        _ => fail(turn, flight, "server_rejected"),
    }
}

/// Sets a flight aside until there may be room in the mailbox, and holds up what else goes there.
fn wait_for_room(turn: &mut Turn<'_>, flight: Flight) -> Result<(), RowsError> {
    full::waits(turn, &flight)?;
    set_aside(turn, flight, FULL_PAUSE)
}

/// Lets a flight wait outside the window; `pause` doubles each time.
fn set_aside(turn: &mut Turn<'_>, mut flight: Flight, pause: Duration) -> Result<(), RowsError> {
    flight.after = turn.now + doubled(pause, flight.put_off);
    flight.put_off += 1;
    flights::park(turn, &flight)
}

fn put_off(turn: &mut Turn<'_>, mut flight: Flight, refusal: &Refusal) -> Result<(), EngineError> {
    let pause = refusal.retry_after_ms.map_or_else(|| doubled(BUSY_PAUSE, flight.put_off), Duration::from_millis);
    flight.put_off += 1;
    flight.after = turn.now + pause.min(LONGEST_PAUSE);
    Ok(flights::put_off(turn, &flight)?)
}

/// Nothing was stored: the message goes back in line, for the set of devices that will be verified.
fn stale(turn: &mut Turn<'_>, flight: Flight, refusal: &Refusal) -> Result<(), EngineError> {
    flights::land(turn, &flight)?;
    let grown = peers::refresh(turn, refusal.heads.as_deref().unwrap_or_default())?;
    match flight.cargo {
        Cargo::Message(mut item) => {
            item.refused += 1;
            item.after = turn.now + stale_pause(grown, item.refused);
            if item.only.is_none() {
                lagging::take_back(turn, &item)?;
            }
            put_back(turn, &item)?;
        }
        Cargo::Receipt(user, _) if user == turn.me.user => {}
        Cargo::Receipt(user, device) if grown => receipts::owe(turn, &user, &device)?,
        Cargo::Receipt(user, device) => receipts::owe_later(turn, &user, &device, FULL_PAUSE)?,
        Cargo::Sibling(mut owed) => {
            owed.refused += 1;
            owed.after = turn.now + stale_pause(grown, owed.refused);
            siblings::put_back(turn, &owed)?;
        }
        Cargo::Profile(user, device) => profile::untold(turn, &user, &device, grown)?,
        Cargo::Log(user, device) => peers::logs::untold(turn, &user, &device)?,
        Cargo::Post(id) => history::end(turn, &id, State::Failed, Some("server_rejected"))?,
    }
    Ok(())
}

/// A server that says `stale` and shows nothing new is not followed in a circle.
fn stale_pause(grown: bool, refused: u32) -> Duration {
    if grown && refused < 4 { Duration::ZERO } else { doubled(BUSY_PAUSE, refused) }
}

fn fail(turn: &mut Turn<'_>, flight: Flight, error: &str) -> Result<(), EngineError> {
    flights::land(turn, &flight)?;
    match flight.cargo {
        // one that went again to a single device has not failed for the others
        Cargo::Message(item) if item.only.is_some() => {}
        Cargo::Message(item) => {
            lagging::take_back(turn, &item)?;
            give_up(turn, &item, error)?;
        }
        Cargo::Post(id) => history::end(turn, &id, State::Failed, Some(error))?,
        Cargo::Profile(user, device) => profile::untold(turn, &user, &device, false)?,
        Cargo::Log(user, device) => peers::logs::untold(turn, &user, &device)?,
        Cargo::Receipt(..) | Cargo::Sibling(_) => {}
    }
    Ok(())
}

/// `pause` doubled `times` times, at most [`LONGEST_PAUSE`].
fn doubled(pause: Duration, times: u32) -> Duration {
    pause.saturating_mul(1 << times.min(8)).min(LONGEST_PAUSE)
}
