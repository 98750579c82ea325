//! Devices of which something found no room to wait: each is asked for it again, on a session begun from here, which
//! needs no room.
//!
//! That is put off while anything of the device waits, since that may be opened first; while its account is unknown, or
//! in question; and when it was asked a short while ago. A row stays until it was asked, over restarts too, at most 30 days
//! from the last that found no room.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::exchange::inbox::envelope_store::{self, ABSENT_KEPT};
use crate::model::error::EngineError;
use crate::model::rows::{decode, load, save};
use crate::records::mailbox::Raw;
use crate::store::{Direction, Place, RowsError, Table};
use crate::txn::{Txn, doubled};
use crate::{peers, sessions};

/// Devices that the pinned log of their account lists: as many as there are.
const LISTED: &[u8] = b"no-room-listed";
/// All others. That there are any is the server's word, whosever it says they are: at most [`MOST_OTHERS`].
const OTHERS: &[u8] = b"no-room-others";
const SCOPES: [&[u8]; 2] = [LISTED, OTHERS];
const MOST_OTHERS: u64 = 256;
/// What could not be done is tried again after this, doubled with each time in a row.
const AGAIN: Duration = Duration::from_secs(60);
/// Most rows that are looked at in one transaction; the rest follow in the next.
const MOST: usize = 64;

/// A device to be asked; its order is when that is looked at.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
struct Refused {
    #[n(0)]
    user: Username,
    #[n(1)]
    device: DeviceId,
    /// When something of it last found no room.
    #[n(2)]
    since: Timestamp,
    /// How often it was not possible.
    #[n(3)]
    times: u32,
}

impl Refused {
    fn of(raw: &Raw, now: Timestamp) -> Self {
        Self { user: raw.from.clone(), device: raw.device, since: now, times: 0 }
    }

    fn key(&self) -> Vec<u8> {
        [self.device.as_bytes().as_slice(), self.user.as_str().as_bytes()].concat()
    }
}

fn scope(txn: &mut Txn<'_>, refused: &Refused) -> Result<&'static [u8], EngineError> {
    let listed = peers::device(txn, &refused.user, &refused.device)?.is_some();
    Ok(if listed { LISTED } else { OTHERS })
}

fn find(txn: &Txn<'_>, scope: &[u8], key: &[u8]) -> Result<Option<Refused>, RowsError> {
    load(txn.rows, Place::new(Table::Inbox, scope, key))
}

fn put(txn: &mut Txn<'_>, scope: &[u8], refused: &Refused, due: Timestamp) -> Result<(), RowsError> {
    txn.wake(due);
    save(txn.rows, Place::new(Table::Inbox, scope, &refused.key()), due.as_millis(), refused)
}

/// Puts a row where it belongs by now, to be looked at when it is due.
fn put_off(txn: &mut Txn<'_>, from: &[u8], refused: &Refused, due: Timestamp) -> Result<(), EngineError> {
    txn.rows.delete(Place::new(Table::Inbox, from, &refused.key()))?;
    let to = scope(txn, refused)?;
    Ok(put(txn, to, refused, due)?)
}

/// An envelope found no room.
pub(super) fn note(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), EngineError> {
    let now = txn.now;
    let mut refused = Refused::of(raw, now);
    let scope = scope(txn, &refused)?;
    match find(txn, scope, &refused.key())? {
        Some(noted) => refused.times = noted.times,
        None if scope == OTHERS && txn.rows.count(Table::Inbox, OTHERS)? >= MOST_OTHERS => return Ok(()),
        None => {}
    }
    Ok(put(txn, scope, &refused, now)?)
}

/// Something of a device that waited is through.
pub(super) fn hurry(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    let now = txn.now;
    let key = Refused::of(raw, now).key();
    for scope in SCOPES {
        if let Some(refused) = find(txn, scope, &key)? {
            put(txn, scope, &Refused { times: 0, ..refused }, now)?;
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
    for scope in SCOPES {
        for (_, bytes) in txn.rows.scan(Table::Inbox, scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
            let refused: Refused = decode(Table::Inbox, &bytes)?;
            if users.contains(&refused.user) {
                put_off(txn, scope, &Refused { times: 0, ..refused }, now)?;
            }
        }
    }
    Ok(())
}

/// Asks whom it can. Without a connection nobody is asked, and that counts for no time in vain.
pub(super) fn pump(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    hurry_changed(txn)?;
    if txn.live.link.is_none() {
        return Ok(());
    }
    for scope in SCOPES {
        let due = 0..=txn.now.as_millis();
        for (_, bytes) in txn.rows.scan(Table::Inbox, scope, due, Direction::Ascending, MOST)? {
            look_at(txn, scope, decode(Table::Inbox, &bytes)?)?;
        }
        let next = txn.rows.scan(Table::Inbox, scope, 0..=u64::MAX, Direction::Ascending, 1)?;
        next.first().into_iter().for_each(|(due, _)| txn.wake(Timestamp::from_millis(*due)));
    }
    Ok(())
}

fn look_at(txn: &mut Txn<'_>, scope: &[u8], refused: Refused) -> Result<(), EngineError> {
    let now = txn.now;
    if is_settled(txn, &refused)? || now.since(refused.since) > ABSENT_KEPT {
        txn.rows.delete(Place::new(Table::Inbox, scope, &refused.key()))?;
        return Ok(());
    }
    let due = now + doubled(AGAIN, refused.times);
    put_off(txn, scope, &Refused { times: refused.times.saturating_add(1), ..refused }, due)
}

/// Whether a device was asked, or is none any more.
fn is_settled(txn: &mut Txn<'_>, refused: &Refused) -> Result<bool, EngineError> {
    let Refused { user, device, .. } = refused;
    if envelope_store::any_of(txn, device)? {
        return Ok(false);
    }
    match peers::known(txn, user)? {
        None => peers::look_up(txn, user),
        Some(peer) if peer.has_revoked(device) => return Ok(true),
        Some(peer) if peer.rival.is_some() => {}
        Some(peer) if peer.pinned.log.active(device).is_some() => return sessions::lost(txn, user, device),
        Some(_) => peers::fetch(txn, user)?,
    }
    Ok(false)
}
