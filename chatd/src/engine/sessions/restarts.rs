//! Sessions nobody answered: begun again after 1, 7 and 25 days, with what is not acknowledged.
//!
//! The peer may have lost the prekeys an INIT names; it drops such an INIT in silence, so only trying again helps.
//! One whose bundle had run out when the server took it is begun again at once: the peer may forget those prekeys.

use std::collections::BTreeMap;

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, SessionId, Username};
use chat_protocol::message::client::Submit;
use chat_protocol::session::manager::{RESTARTS, restart_due};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::begin::{ask_bundle, judging_time};
use super::duties;
use super::kept::Stored;
use crate::engine::state::{decode, save};
use crate::engine::turn::Turn;
use crate::engine::{EngineError, outbox, peers};
use crate::store::{Direction, Place, Rows, RowsError, Table};

const SCOPE: &[u8] = b"unconfirmed";

/// A session this device began and on which its peer was not heard.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Unconfirmed {
    #[n(0)]
    user: Username,
    #[n(1)]
    device: DeviceId,
    #[n(2)]
    session: SessionId,
    /// Server time at which the bundle of its INIT runs out.
    #[n(3)]
    expires: Timestamp,
    /// When the server accepted the first INIT to the device that is unanswered.
    #[n(4)]
    accepted: Option<Timestamp>,
    /// How often it was begun again.
    #[n(5)]
    times: u64,
    /// Its bundle had run out when it was accepted.
    #[n(6)]
    ran_out: bool,
}

impl Unconfirmed {
    fn times(&self) -> usize {
        usize::try_from(self.times).unwrap_or(usize::MAX)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.ran_out || self.accepted.is_some_and(|first| restart_due(first, self.times(), now))
    }

    fn next(&self) -> Option<Timestamp> {
        Some(self.accepted? + *RESTARTS.get(self.times())?)
    }
}

pub(super) fn load(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Unconfirmed>, RowsError> {
    let found = rows.scan(Table::Sessions, SCOPE, 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    let waits = |bytes: &[u8]| decode(Table::Sessions, bytes).map(|waits: Unconfirmed| (waits.device, waits));
    found.iter().map(|(_, bytes)| waits(bytes)).collect()
}

fn put(turn: &mut Turn<'_>, waits: Unconfirmed) -> Result<(), RowsError> {
    save(turn.rows, Place::new(Table::Sessions, SCOPE, waits.device.as_bytes()), 0, &waits)?;
    duties::known(turn)?.unconfirmed.insert(waits.device, waits);
    Ok(())
}

/// A session was begun from a bundle that runs out at `expires`.
pub(super) fn begun(turn: &mut Turn<'_>, stored: &Stored, expires: Timestamp) -> Result<(), RowsError> {
    let now = turn.now;
    let before = duties::known(turn)?.unconfirmed.get(&stored.device).cloned();
    // one that ran out is no try that went unanswered
    let tried = before.as_ref().is_some_and(|before| !before.ran_out && before.is_due(now));
    let (accepted, times) = before.map_or((None, 0), |before| (before.accepted, before.times));
    let waits = Unconfirmed {
        user: stored.user.clone(),
        device: stored.device,
        session: stored.session.id(),
        expires,
        accepted,
        times: times + u64::from(tried),
        ran_out: false,
    };
    put(turn, waits)
}

/// The server has a submit: from now on its INITs wait for an answer.
pub(crate) fn accepted(turn: &mut Turn<'_>, submit: &[u8], full: &[DeviceId]) -> Result<(), RowsError> {
    if duties::known(turn)?.unconfirmed.is_empty() {
        return Ok(());
    }
    let Ok(submit) = cbor::decode::<Submit>(submit) else { return Ok(()) };
    for to in submit.to.iter().filter(|to| to.envelope.init.is_some() && !full.contains(&to.device)) {
        let known = duties::known(turn)?.unconfirmed.get(&to.device).cloned();
        let Some(mut waits) = known.filter(|waits| waits.session == to.envelope.sid) else { continue };
        let before = waits.clone();
        waits.ran_out |= judging_time(turn).is_some_and(|now| now >= waits.expires);
        waits.accepted.get_or_insert(turn.now);
        if waits != before {
            put(turn, waits)?;
        }
    }
    Ok(())
}

/// Whether the session with a device is to be begun again.
pub(super) fn is_due(turn: &mut Turn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    let now = turn.now;
    Ok(duties::known(turn)?.unconfirmed.get(device).is_some_and(|waits| waits.is_due(now)))
}

/// The device was heard on a session, or is no longer trusted.
pub(super) fn forget(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    if duties::known(turn)?.unconfirmed.remove(device).is_some() {
        turn.rows.delete(Place::new(Table::Sessions, SCOPE, device.as_bytes()))?;
    }
    Ok(())
}

/// Asks for a fresh bundle where it is time, as long as there is something the peer did not acknowledge.
pub(super) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    for (device, waits) in duties::known(turn)?.unconfirmed.clone() {
        if !waits.is_due(turn.now) {
            waits.next().into_iter().for_each(|at| turn.wake(at));
        } else if peers::device(turn, &waits.user, &device)?.is_none() {
            forget(turn, &device)?;
        } else if outbox::is_unacknowledged(turn, &device)? {
            ask_bundle(turn, &waits.user, &device);
        }
    }
    Ok(())
}
