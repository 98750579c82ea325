//! Devices of which something found no room to wait: each is asked for it again, on a session begun from here, which
//! needs no room.
//!
//! That is put off while anything of the device waits, since that may be opened first; while its account is unknown, or
//! in question; and when it was asked a short while ago. A row stays until the asking is owed, over restarts too.

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

const SCOPE: &[u8] = b"no-room";
/// Most devices for which one of nobody known is noted; for those of accounts that are known there is no end but theirs.
const MOST_WITH_STRANGERS: u64 = 256;
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
    #[n(2)]
    since: Timestamp,
    /// How often it was not possible.
    #[n(3)]
    times: u32,
}

fn place(device: &DeviceId) -> Place<'_> {
    Place::new(Table::Inbox, SCOPE, device.as_bytes())
}

fn put(txn: &mut Txn<'_>, refused: &Refused, due: Timestamp) -> Result<(), RowsError> {
    txn.wake(due);
    save(txn.rows, place(&refused.device), due.as_millis(), refused)
}

/// An envelope found no room.
pub(super) fn note(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    let noted = txn.rows.get(place(&raw.device))?.is_some();
    let stranger = peers::get(txn.rows, &raw.from)?.is_none();
    if noted || stranger && txn.rows.count(Table::Inbox, SCOPE)? >= MOST_WITH_STRANGERS {
        return Ok(());
    }
    let (user, now) = (raw.from.clone(), txn.now);
    put(txn, &Refused { user, device: raw.device, since: now, times: 0 }, now)
}

/// Something of a device that waited is through.
pub(super) fn hurry(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    let now = txn.now;
    match load::<Refused>(txn.rows, place(device))? {
        Some(refused) => put(txn, &Refused { times: 0, ..refused }, now),
        None => Ok(()),
    }
}

/// Asks whom it can.
pub(super) fn pump(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let now = txn.now;
    for (_, bytes) in txn.rows.scan(Table::Inbox, SCOPE, 0..=now.as_millis(), Direction::Ascending, MOST)? {
        let refused: Refused = decode(Table::Inbox, &bytes)?;
        if now.since(refused.since) > ABSENT_KEPT || is_settled(txn, &refused)? {
            txn.rows.delete(place(&refused.device))?;
        } else {
            let due = now + doubled(AGAIN, refused.times);
            put(txn, &Refused { times: refused.times.saturating_add(1), ..refused }, due)?;
        }
    }
    let next = txn.rows.scan(Table::Inbox, SCOPE, 0..=u64::MAX, Direction::Ascending, 1)?;
    next.first().into_iter().for_each(|(due, _)| txn.wake(Timestamp::from_millis(*due)));
    Ok(())
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
