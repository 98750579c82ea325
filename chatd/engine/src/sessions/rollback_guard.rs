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
use minicbor::{Decode, Encode};

use crate::model::error::EngineError;
use crate::peers;
use crate::rows::counter::Counter;
use crate::rows::state::ServerWord;
use crate::rows::{BELIEVED, DEVICE, ROLLED_BACK, SESSION_DEVICES};
use crate::sessions::session_store;
use crate::sessions::{maintenance, prekeys, restarts};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

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
pub(crate) fn check_high_water(txn: &mut Txn<'_>, noted: &HighWater) -> Result<(), EngineError> {
    let known = HighWater::of(txn.rows)?;
    if !noted.is_ahead_of(&known) || noted.each().iter().any(|number| *number > MOST) {
        return Ok(());
    }
    tracing::warn!("the database is older than what was noted beside it: sessions are begun anew");
    Counter::Submit.set(txn.rows, known.submit.max(noted.submit))?;
    Counter::Bundle.set(txn.rows, known.bundle.max(noted.bundle))?;
    // whoever follows the events has seen the numbers between
    Counter::Event.set(txn.rows, known.event.max(noted.event))?;
    Counter::Taken.set(txn.rows, known.taken.max(noted.taken))?;
    begin_anew(txn)
}

/// Compares where the server stands with what is stored here: it can only be behind, unless this is an old copy.
pub(crate) fn check_rollback(txn: &mut Txn<'_>, server: &LoggedIn) -> Result<(), EngineError> {
    let told = ServerWord { acked: server.mailbox_acked, bundle: server.bundle_seq, submit: server.submit_counter };
    let believed = BELIEVED.get(txn.rows)?.unwrap_or_default();
    let ours = ServerWord {
        acked: Counter::Mailbox.get(txn.rows)?,
        bundle: Counter::Bundle.get(txn.rows)?,
        submit: Counter::Submit.get(txn.rows)?,
    };
    let news = |of: fn(&ServerWord) -> u64| of(&told) > of(&ours) && of(&told) != of(&believed);
    let last = ROLLED_BACK.get(txn.rows)?;
    let lately = last.is_some_and(|last| txn.now.since(last) < BELIEVED_AGAIN_AFTER);
    if lately || !(news(|word| word.acked) || news(|word| word.bundle) || news(|word| word.submit)) {
        return Ok(());
    }
    tracing::warn!("the server knows of later states of this device: sessions are begun anew");
    BELIEVED.put(txn.rows, &told)?;
    prekeys::follow(txn, told.bundle)?;
    begin_anew(txn)
}

/// The rows may be those of a device that this account had here before: its mailbox, its sessions and what was sealed
/// on them are nothing to this one. Says whether they are.
pub(crate) fn check_device(txn: &mut Txn<'_>) -> Result<bool, EngineError> {
    let before = DEVICE.get(txn.rows)?;
    if before == Some(txn.me.device) {
        return Ok(false);
    }
    DEVICE.put(txn.rows, &txn.me.device)?;
    if before.is_none() {
        return Ok(false);
    }
    tracing::info!("this is another device than the one before: sessions are begun anew");
    // it may be of another log too, which the one before could still write while it was replaced
    peers::entered(txn.rows, &txn.me.user, Some(&txn.me.log))?;
    Counter::Mailbox.set(txn.rows, 0)?;
    begin_anew(txn)?;
    Ok(true)
}

fn begin_anew(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    ROLLED_BACK.put(txn.rows, &txn.now)?;
    let epoch = Counter::Epoch.get(txn.rows)?;
    Counter::Epoch.set(txn.rows, txn.clock.as_millis().max(epoch.saturating_add(1)))?;
    for (device, user) in peers_of_sessions(txn.rows)? {
        let mut known = session_store::standings(txn.rows, &device)?;
        known.retire_all();
        session_store::put_standings(txn, &device, &known)?;
        restarts::forget(txn, &device)?;
        maintenance::schedule_reset(txn, &user, &device)?;
    }
    prekeys::begin_anew(txn)
}

fn peers_of_sessions(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Username>, RowsError> {
    let mut peers = BTreeMap::new();
    for device in SESSION_DEVICES.all(rows)? {
        let any = session_store::find_with(rows, &device)?;
        peers.extend(any.map(|stored| (device, stored.user)));
    }
    Ok(peers)
}
