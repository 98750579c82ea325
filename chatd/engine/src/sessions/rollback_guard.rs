//! Noticing that this state is an old copy, and beginning anew.
//!
//! Two witnesses know better: the server, which says at login what it had from this device, and the file in which the
//! daemon notes beside the database how far that had come. The server may lie, so on its word alone nothing is begun
//! anew more than once a day, and no number here follows its own: whoever is honest after it could not go on from there.
//! What it said is remembered instead, so that the same word says nothing new.
//!
//! A ratchet that is run from an old state would use keys twice. So the old sessions never send again, each peer is
//! told by a reset on a new one, and numbers go on in another epoch.

use std::collections::BTreeMap;
use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::message::server::LoggedIn;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::error::EngineError;
use crate::model::rows::{Counter, decode, load, save};
use crate::peers;
use crate::sessions::session_store::{self, Stored};
use crate::sessions::{maintenance, prekeys, restarts};
use crate::store::{Direction, Place, Rows, RowsError, Table};
use crate::turn::Turn;

/// Least time between two beginnings on the server's word alone.
const BELIEVED_AGAIN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Larger numbers are no count of anything: the file is damaged.
const MOST: u64 = MAX_NUMBER / 2;

/// How far a database had come: numbers that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct HighWater {
    /// Deliveries that were ever taken.
    #[n(0)]
    pub taken: u64,
    /// Counter of the newest submit.
    #[n(1)]
    pub submit: u64,
    /// Sequence of the newest own bundle.
    #[n(2)]
    pub bundle: u64,
    /// Sequence of the newest event.
    #[n(3)]
    pub event: u64,
}

impl HighWater {
    /// As the rows say.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn of(rows: &dyn Rows) -> Result<Self, RowsError> {
        Ok(Self {
            taken: Counter::Taken.get(rows)?,
            submit: Counter::Submit.get(rows)?,
            bundle: Counter::Bundle.get(rows)?,
            event: Counter::Event.get(rows)?,
        })
    }

    const fn each(&self) -> [u64; 4] {
        [self.taken, self.submit, self.bundle, self.event]
    }

    /// Whether any number is above the other's.
    fn is_ahead_of(&self, other: &Self) -> bool {
        self.each().iter().zip(other.each()).any(|(this, other)| *this > other)
    }
}

/// The file beside the database says how far that had come: any number above means that it is an old copy.
pub(crate) fn witnessed(turn: &mut Turn<'_>, marks: &HighWater) -> Result<(), EngineError> {
    let known = HighWater::of(turn.rows)?;
    if !marks.is_ahead_of(&known) || marks.each().iter().any(|number| *number > MOST) {
        return Ok(());
    }
    tracing::warn!("the database is older than what was noted beside it: sessions are begun anew");
    Counter::Submit.set(turn.rows, known.submit.max(marks.submit))?;
    Counter::Bundle.set(turn.rows, known.bundle.max(marks.bundle))?;
    // whoever follows the events has seen the numbers between
    Counter::Event.set(turn.rows, known.event.max(marks.event))?;
    Counter::Taken.set(turn.rows, known.taken.max(marks.taken))?;
    begin_anew(turn)
}

/// Compares where the server stands with what is stored here: it can only be behind, unless this is an old copy.
pub(crate) fn check_rollback(turn: &mut Turn<'_>, server: &LoggedIn) -> Result<(), EngineError> {
    let told = Word { acked: server.mailbox_acked, bundle: server.bundle_seq, submit: server.submit_counter };
    let believed: Word = load(turn.rows, BELIEVED)?.unwrap_or_default();
    let ours = Word {
        acked: Counter::Mailbox.get(turn.rows)?,
        bundle: Counter::Bundle.get(turn.rows)?,
        submit: Counter::Submit.get(turn.rows)?,
    };
    let news = |of: fn(&Word) -> u64| of(&told) > of(&ours) && of(&told) != of(&believed);
    let last: Option<Timestamp> = load(turn.rows, ROLLED_BACK)?;
    let lately = last.is_some_and(|last| turn.now.since(last) < BELIEVED_AGAIN_AFTER);
    if lately || !(news(|word| word.acked) || news(|word| word.bundle) || news(|word| word.submit)) {
        return Ok(());
    }
    tracing::warn!("the server knows of later states of this device: sessions are begun anew");
    save(turn.rows, BELIEVED, 0, &told)?;
    prekeys::follow(turn, told.bundle)?;
    begin_anew(turn)
}

/// What the server said it had from this device, when that was last acted upon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Word {
    #[n(0)]
    acked: u64,
    #[n(1)]
    bundle: u64,
    #[n(2)]
    submit: u64,
}

/// The rows may be those of a device that this account had here before: its mailbox, its sessions and what was sealed
/// on them are nothing to this one. Says whether they are.
pub(crate) fn check_device(turn: &mut Turn<'_>) -> Result<bool, EngineError> {
    let before: Option<DeviceId> = load(turn.rows, DEVICE)?;
    if before == Some(turn.me.device) {
        return Ok(false);
    }
    save(turn.rows, DEVICE, 0, &turn.me.device)?;
    if before.is_none() {
        return Ok(false);
    }
    tracing::info!("this is another device than the one before: sessions are begun anew");
    // it may be of another log too, which the one before could still write while it was replaced
    peers::entered(turn.rows, &turn.me.user, Some(&turn.me.log))?;
    Counter::Mailbox.set(turn.rows, 0)?;
    begin_anew(turn)?;
    Ok(true)
}

/// The device whose rows these are.
const DEVICE: Place<'static> = Place::new(Table::State, b"", b"device");
const BELIEVED: Place<'static> = Place::new(Table::State, b"", b"believed");
const ROLLED_BACK: Place<'static> = Place::new(Table::State, b"", b"rolled-back");

fn begin_anew(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    save(turn.rows, ROLLED_BACK, 0, &turn.now)?;
    let epoch = Counter::Epoch.get(turn.rows)?;
    Counter::Epoch.set(turn.rows, turn.clock.as_millis().max(epoch.saturating_add(1)))?;
    for (device, user) in peers_of_sessions(turn.rows)? {
        let mut known = session_store::standings(turn.rows, &device)?;
        known.retire_all();
        session_store::put_standings(turn, &device, &known)?;
        restarts::forget(turn, &device)?;
        maintenance::schedule_reset(turn, &user, &device)?;
    }
    prekeys::begin_anew(turn)
}

fn peers_of_sessions(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Username>, RowsError> {
    let mut peers = BTreeMap::new();
    for (_, bytes) in rows.scan(Table::Sessions, b"sid", 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let device: DeviceId = decode(Table::Sessions, &bytes)?;
        let any: Option<Stored> = session_store::find_with(rows, &device)?;
        peers.extend(any.map(|stored| (device, stored.user)));
    }
    Ok(peers)
}
