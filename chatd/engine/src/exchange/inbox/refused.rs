//! Devices of which something found no room to wait: each is asked for it again, on a session begun from here, which
//! needs no room.
//!
//! That is put off while anything of the device waits, since that may be opened first; while its account is unknown, or
//! in question; and when it was asked a short while ago. A row stays until it was asked, over restarts too, at most 30 days
//! from the last that found no room.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::time::Timestamp;

use crate::exchange::inbox::envelope_store;
use crate::model::error::EngineError;
use crate::records::waiting_inits::ABSENT_KEPT;
use crate::rows::codec::Cbor;
use crate::rows::family::Family;
use crate::rows::inbox::{Raw, Refused};
use crate::rows::{NO_ROOM_LISTED, NO_ROOM_OTHERS};
use crate::store::{Direction, RowsError};
use crate::txn::{Txn, doubled};
use crate::{peers, sessions};

/// Most devices that no pinned log lists: that there are any is the server's word, whosever it says they are.
const MOST_OTHERS: u64 = 256;
/// What could not be done is tried again after this, doubled with each time in a row.
const AGAIN: Duration = Duration::from_secs(60);
/// Most rows that are looked at in one transaction; the rest follow in the next.
const MOST: usize = 64;

impl Refused {
    fn of(raw: &Raw, now: Timestamp) -> Self {
        Self { user: raw.from.clone(), device: raw.device, since: now, times: 0 }
    }

    fn key(&self) -> (DeviceId, Username) {
        (self.device, self.user.clone())
    }
}

/// Devices to be asked, of one of two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// The pinned log of their account lists them: as many as there are.
    Log,
    /// All others.
    Nobody,
}

impl Of {
    const ALL: [Self; 2] = [Self::Log, Self::Nobody];

    fn these(txn: &mut Txn<'_>, refused: &Refused) -> Result<Self, EngineError> {
        let listed = peers::is_active(txn, &refused.user, &refused.device)?;
        Ok(if listed { Self::Log } else { Self::Nobody })
    }

    const fn rows(self) -> &'static Family<(DeviceId, Username), Cbor<Refused>> {
        match self {
            Self::Log => &NO_ROOM_LISTED,
            Self::Nobody => &NO_ROOM_OTHERS,
        }
    }
}

fn put(txn: &mut Txn<'_>, of: Of, refused: &Refused, due: Timestamp) -> Result<(), RowsError> {
    txn.wake(due);
    of.rows().put(txn.rows, &refused.key(), due.as_millis(), refused)
}

/// Puts a row where it belongs by now, to be looked at when it is due.
fn put_off(txn: &mut Txn<'_>, from: Of, refused: &Refused, due: Timestamp) -> Result<(), EngineError> {
    from.rows().delete(txn.rows, &refused.key())?;
    let to = Of::these(txn, refused)?;
    Ok(put(txn, to, refused, due)?)
}

/// An envelope found no room.
pub(super) fn note_refused(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), EngineError> {
    let now = txn.now;
    let mut refused = Refused::of(raw, now);
    let of = Of::these(txn, &refused)?;
    match of.rows().get(txn.rows, &refused.key())? {
        Some(noted) => refused.times = noted.times,
        None if of == Of::Nobody && NO_ROOM_OTHERS.count(txn.rows)? >= MOST_OTHERS => return Ok(()),
        None => {}
    }
    Ok(put(txn, of, &refused, now)?)
}

/// Something of a device that waited is through.
pub(super) fn hurry(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    let now = txn.now;
    let key = Refused::of(raw, now).key();
    for of in Of::ALL {
        if let Some(refused) = of.rows().get(txn.rows, &key)? {
            put(txn, of, &Refused { times: 0, ..refused }, now)?;
        }
    }
    Ok(())
}

/// What is known of their users has changed: those may be asked now.
fn hurry_changed(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let (now, users) = (txn.now, std::mem::take(&mut txn.live.pins_changed));
    if users.is_empty() {
        return Ok(());
    }
    for of in Of::ALL {
        for refused in of.rows().all(txn.rows)? {
            if users.contains(&refused.user) {
                put_off(txn, of, &Refused { times: 0, ..refused }, now)?;
            }
        }
    }
    Ok(())
}

/// Asks whom it can. Without a connection nobody is asked, and that counts for no time in vain.
pub(super) fn ask_refused_again(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    hurry_changed(txn)?;
    if txn.live.link.is_none() {
        return Ok(());
    }
    for of in Of::ALL {
        let due = 0..=txn.now.as_millis();
        for (_, refused) in of.rows().scan(txn.rows, due, Direction::Ascending, MOST)? {
            look_at(txn, of, refused)?;
        }
        let next = of.rows().first(txn.rows)?;
        next.into_iter().for_each(|(due, _)| txn.wake(Timestamp::from_millis(due)));
    }
    Ok(())
}

fn look_at(txn: &mut Txn<'_>, of: Of, refused: Refused) -> Result<(), EngineError> {
    let now = txn.now;
    if is_settled(txn, &refused)? || now.since(refused.since) > ABSENT_KEPT {
        of.rows().delete(txn.rows, &refused.key())?;
        return Ok(());
    }
    let due = now + doubled(AGAIN, refused.times);
    put_off(txn, of, &Refused { times: refused.times.saturating_add(1), ..refused }, due)
}

/// Whether a device was asked, or is none any more.
fn is_settled(txn: &mut Txn<'_>, refused: &Refused) -> Result<bool, EngineError> {
    let Refused { user, device, .. } = refused;
    if envelope_store::any_of(txn, device)? {
        return Ok(false);
    }
    match peers::table(txn, user)? {
        None => peers::look_up(txn, user),
        Some(peer) if peer.has_revoked(txn.rows, device)? => return Ok(true),
        Some(peer) if peer.changed => {}
        Some(peer) if peer.has(device) => return sessions::lost(txn, user, device),
        Some(_) => peers::fetch(txn, user)?,
    }
    Ok(false)
}
