//! Envelopes kept raw until their session can be begun, in the order they came, within what their senders may let wait.
//!
//! What is kept was acknowledged, so whoever is refused room here is told of. Everything has an owner: a device may
//! show so many INITs, an account may let so many bytes wait, and strangers share a part of what all may.
//!
//! The id of a session is whatever the server writes. So it is envelopes with the same INIT that stand or fall together,
//! and those without one that wait for any INIT of their session.

use chat_protocol::ids::{DeviceId, Username};

use crate::records::waiting_inits::Look;
use crate::records::{contacts, device_tables, waiting_inits};
use crate::rows::codec::Mark;
use crate::rows::family::Family;
use crate::rows::inbox::{InitKey, Raw, WaitingInit};
use crate::rows::{ENVELOPE_BYTES, ENVELOPES, ENVELOPES_FROM, ENVELOPES_OF_INIT, ENVELOPES_OF_SESSION, INITS};
use crate::sessions;
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;

/// Most INITs of one device that wait to be opened.
const MAX_INITS: u64 = 64;
/// Most bytes of one account that wait: 200 of the longest messages, or 5,000 short ones.
const MAX_BYTES_OF_ONE: u64 = 16 * 1024 * 1024;
/// Bytes that may wait in all before a stranger, or somebody blocked, gets no more room …
const MAX_BYTES_WITH_STRANGERS: u64 = 64 * 1024 * 1024;
/// … and before nobody does.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Most envelopes kept of a user whose identity changed, until it is decided which one counts.
const MAX_HELD: u64 = 1_000;

/// What waits for the session of an envelope. Its id is the sender's word, so it counts for that device alone.
fn of_session(raw: &Raw) -> Family<u64, Mark> {
    ENVELOPES_OF_SESSION.of(&(raw.device, raw.envelope.sid))
}

/// What came with the INIT of an envelope.
fn of_init(raw: &Raw) -> Family<u64, Mark> {
    ENVELOPES_OF_INIT.of(&init_of(raw))
}

/// The INIT of an envelope, and the device that showed it.
pub(super) fn init_of(raw: &Raw) -> (DeviceId, InitKey) {
    (raw.device, raw.init_key())
}

/// Keeps an envelope; false if there is no room for it.
pub(crate) fn keep(txn: &mut Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    if !has_room(txn, raw)? {
        return Ok(false);
    }
    if raw.envelope.init.is_some() && !any_alike(txn, raw)? {
        begin(txn, raw)?;
        INITS.of(&raw.device).put(txn.rows, &raw.init_key(), raw.position, &raw.envelope.sid)?;
    }
    add_bytes(txn, raw)?;
    for index in [ENVELOPES_FROM.of(&raw.from), of_session(raw), of_init(raw)] {
        index.put(txn.rows, &raw.position, raw.position, &())?;
    }
    ENVELOPES.put(txn.rows, &raw.position, raw.position, raw)?;
    Ok(true)
}

/// The first envelope of an INIT is about to be stored, or those before it are gone.
pub(super) fn begin(txn: &mut Txn<'_>, raw: &Raw) -> Result<WaitingInit, RowsError> {
    let fingerprint = sessions::read_init(txn, raw)?.map(|init| init.initiator().fingerprint);
    let init = WaitingInit::of(raw, fingerprint);
    waiting_inits::put(txn, &init, Look::AtOnce)?;
    Ok(init)
}

fn has_room(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    let inits = INITS.of(&raw.device);
    let begins = raw.envelope.init.is_some() && !inits.has(txn.rows, &raw.init_key())?;
    if begins && inits.count(txn.rows)? >= MAX_INITS {
        return Ok(false);
    }
    let changed = device_tables::get(txn.rows, &raw.from)?.is_some_and(|table| table.changed);
    if changed && ENVELOPES_FROM.of(&raw.from).count(txn.rows)? >= MAX_HELD {
        return Ok(false);
    }
    let friend = contacts::is_known(txn, &raw.from)? && !contacts::is_blocked(txn.rows, &raw.from)?;
    let most = if friend { MAX_BYTES } else { MAX_BYTES_WITH_STRANGERS };
    let bytes = raw.size();
    let of_one = bytes_of(txn, &Some(raw.from.clone()))?;
    Ok(of_one + bytes <= MAX_BYTES_OF_ONE && bytes_of(txn, &None)? + bytes <= most)
}

/// How much waits of one account, or in all.
fn bytes_of(txn: &Txn<'_>, from: &Option<Username>) -> Result<u64, RowsError> {
    Ok(ENVELOPE_BYTES.get(txn.rows, from)?.unwrap_or(0))
}

fn add_bytes(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    for from in [Some(raw.from.clone()), None] {
        let bytes = bytes_of(txn, &from)? + raw.size();
        ENVELOPE_BYTES.put(txn.rows, &from, 0, &bytes)?;
    }
    Ok(())
}

fn take_bytes(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    for from in [Some(raw.from.clone()), None] {
        match bytes_of(txn, &from)?.saturating_sub(raw.size()) {
            0 if from.is_some() => drop(ENVELOPE_BYTES.delete(txn.rows, &from)?),
            bytes => ENVELOPE_BYTES.put(txn.rows, &from, 0, &bytes)?,
        }
    }
    Ok(())
}

/// Whether anything waits for the session of an envelope.
pub(crate) fn waits(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    Ok(!of_session(raw).is_empty(txn.rows)?)
}

/// Whether an INIT waits under the session id of an envelope.
pub(crate) fn init_waits(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    Ok(INITS.of(&raw.device).all(txn.rows)?.contains(&raw.envelope.sid))
}

/// Whether any INIT of a device waits to be opened.
pub(crate) fn any_of(txn: &Txn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(!INITS.of(device).is_empty(txn.rows)?)
}

/// Takes one envelope out of the store.
pub(crate) fn remove(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    ENVELOPES.delete(txn.rows, &raw.position)?;
    for index in [ENVELOPES_FROM.of(&raw.from), of_session(raw), of_init(raw)] {
        index.delete(txn.rows, &raw.position)?;
    }
    waiting_inits::gone(txn, raw)?;
    if !any_alike(txn, raw)? {
        INITS.of(&raw.device).delete(txn.rows, &raw.init_key())?;
    }
    take_bytes(txn, raw)
}

fn find(rows: &dyn Rows, index: &Family<u64, Mark>, most: usize) -> Result<Vec<Raw>, RowsError> {
    let mut found = Vec::new();
    for (position, ()) in index.scan(rows, 0..=u64::MAX, Direction::Ascending, most)? {
        found.extend(ENVELOPES.get(rows, &position)?);
    }
    Ok(found)
}

/// What waits with the INIT of an envelope, in the order it came; at most `most`.
pub(crate) fn alike(rows: &dyn Rows, raw: &Raw, most: usize) -> Result<Vec<Raw>, RowsError> {
    find(rows, &of_init(raw), most)
}

fn any_alike(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    Ok(!of_init(raw).is_empty(txn.rows)?)
}

/// Takes out all that waits with the INIT of an envelope.
pub(crate) fn take_alike(txn: &mut Txn<'_>, raw: &Raw) -> Result<Vec<Raw>, RowsError> {
    take(txn, &of_init(raw))
}

/// Takes out all that waits for the session of an envelope, in the order it came.
pub(crate) fn take_all(txn: &mut Txn<'_>, raw: &Raw) -> Result<Vec<Raw>, RowsError> {
    take(txn, &of_session(raw))
}

fn take(txn: &mut Txn<'_>, index: &Family<u64, Mark>) -> Result<Vec<Raw>, RowsError> {
    let taken = find(txn.rows, index, usize::MAX)?;
    taken.iter().try_for_each(|raw| remove(txn, raw))?;
    Ok(taken)
}
