//! Noticing that this state is an old copy, and beginning anew.

use std::time::Duration;

use chat_protocol::ids::DeviceId;
use chat_protocol::message::server::LoggedIn;
use chat_protocol::time::Timestamp;

use super::kept::{put_standings, standings};
use crate::engine::state::{Counter, decode, load, save};
use crate::engine::turn::Turn;
use crate::engine::{EngineError, prekeys};
use crate::store::{Direction, Place, Table};

/// Compares where the server stands with what is stored here: it can only be behind, unless this
/// state is an old copy. Then its sessions never send again and numbers begin anew.
pub(crate) fn check_rollback(turn: &mut Turn<'_>, server: &LoggedIn) -> Result<(), EngineError> {
    let told = [
        (Counter::Mailbox, server.mailbox_acked),
        (Counter::Bundle, server.bundle_seq),
        (Counter::Submit, server.submit_counter),
    ];
    let mut ahead = false;
    for (counter, theirs) in told {
        ahead |= theirs > counter.get(turn.rows)?;
    }
    let place = Place::new(Table::State, b"", b"rolled-back");
    let last: Option<Timestamp> = load(turn.rows, place)?;
    if !ahead || last.is_some_and(|last| turn.now.since(last) < Duration::from_secs(24 * 60 * 60)) {
        return Ok(());
    }
    tracing::warn!("the server knows of later states of this device: sessions are begun anew");
    save(turn.rows, place, 0, &turn.now)?;
    for (counter, theirs) in told {
        let ours = counter.get(turn.rows)?;
        counter.set(turn.rows, ours.max(theirs))?;
    }
    Counter::Epoch.set(turn.rows, turn.now.as_millis())?;
    retire_all(turn)?;
    prekeys::begin_anew(turn)
}

fn retire_all(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    for (_, bytes) in turn.rows.scan(Table::Sessions, b"sid", 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let device: DeviceId = decode(Table::Sessions, &bytes)?;
        let mut known = standings(turn.rows, &device)?;
        known.retire_all();
        put_standings(turn.rows, &device, &known)?;
    }
    Ok(())
}
