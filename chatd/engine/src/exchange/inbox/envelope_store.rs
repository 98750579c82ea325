//! Envelopes kept raw until their session can be begun, in the order they came, within what their senders may let wait.
//!
//! What is kept was acknowledged, so whoever is refused room here is told of. Everything has an owner: a device may
//! show so many INITs, an account may let so many bytes wait, and strangers share a part of what all may.
//!
//! The id of a session is whatever the server writes. So it is envelopes with the same INIT that stand or fall together,
//! and those without one that wait for any INIT of their session.

use std::time::Duration;

use chat_protocol::crypto::kdf;
use chat_protocol::ids::{DeviceId, SessionId, Username};

use crate::exchange::inbox::waiting;
use crate::model::rows::{load, save};
use crate::records::mailbox::Raw;
use crate::records::pins;
use crate::store::{Direction, Place, Rows, RowsError, Table};
use crate::txn::Txn;

/// How long an INIT waits for its author's device to appear in the account log.
pub(super) const ABSENT_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most INITs of one device that wait to be opened.
const MAX_INITS: u64 = 64;
/// Most bytes of one account that wait: 200 of the longest messages, or 5,000 short ones.
const MAX_BYTES_OF_ONE: u64 = 16 * 1024 * 1024;
/// Bytes that may wait in all before an account without a pinned log gets no more room …
const MAX_BYTES_WITH_STRANGERS: u64 = 64 * 1024 * 1024;
/// … and before nobody does.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// Most envelopes kept of a user whose identity changed, until it is decided which one counts.
const MAX_HELD: u64 = 1_000;

pub(crate) fn place(key: &[u8; 8]) -> Place<'_> {
    Place::new(Table::Inbox, b"raw", key)
}

/// What waits for one session. Its id is the sender's word, so it counts for that device alone.
fn session_scope(device: &DeviceId, sid: &SessionId) -> Vec<u8> {
    [b"sid:".as_slice(), device.as_bytes(), sid.as_bytes()].concat()
}

fn scope(raw: &Raw) -> Vec<u8> {
    session_scope(&raw.device, &raw.envelope.sid)
}

/// Names an INIT under the id of its session; the hash is of nothing for what came without one.
fn init_key(raw: &Raw) -> Vec<u8> {
    let init = raw.envelope.init.as_deref().unwrap_or_default();
    [raw.envelope.sid.as_bytes().as_slice(), &kdf::sha256(init)].concat()
}

/// What came with the same INIT.
pub(crate) fn alike_scope(raw: &Raw) -> Vec<u8> {
    [b"alike:".as_slice(), raw.device.as_bytes(), &init_key(raw)].concat()
}

fn inits_scope(device: &DeviceId) -> Vec<u8> {
    [b"inits:".as_slice(), device.as_bytes()].concat()
}

fn from_scope(from: &Username) -> Vec<u8> {
    [b"from:".as_slice(), from.as_str().as_bytes()].concat()
}

/// Keeps an envelope; false if there is no room for it.
pub(crate) fn keep(txn: &mut Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    if !has_room(txn, raw)? {
        return Ok(false);
    }
    if raw.envelope.init.is_some() && !any_alike(txn, raw)? {
        waiting::came(txn, raw.position)?;
        let (scope, sid) = (inits_scope(&raw.device), raw.envelope.sid);
        txn.rows.put(Place::new(Table::Inbox, &scope, &init_key(raw)), raw.position, sid.as_bytes())?;
    }
    let key = raw.position.to_be_bytes();
    add_bytes(txn, raw)?;
    txn.rows.put(Place::new(Table::Inbox, &from_scope(&raw.from), &key), raw.position, &[])?;
    for scope in [scope(raw), alike_scope(raw)] {
        txn.rows.put(Place::new(Table::Inbox, &scope, &key), raw.position, &[])?;
    }
    save(txn.rows, place(&key), raw.position, raw)?;
    Ok(true)
}

fn has_room(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    let inits = inits_scope(&raw.device);
    let begins =
        raw.envelope.init.is_some() && txn.rows.get(Place::new(Table::Inbox, &inits, &init_key(raw)))?.is_none();
    if begins && txn.rows.count(Table::Inbox, &inits)? >= MAX_INITS {
        return Ok(false);
    }
    let peer = pins::get(txn.rows, &raw.from)?;
    let changed = peer.as_ref().is_some_and(|peer| peer.rival.is_some());
    if changed && txn.rows.count(Table::Inbox, &from_scope(&raw.from))? >= MAX_HELD {
        return Ok(false);
    }
    let most = if peer.is_some() { MAX_BYTES } else { MAX_BYTES_WITH_STRANGERS };
    let bytes = size(raw);
    Ok(bytes_of(txn, &raw.from)? + bytes <= MAX_BYTES_OF_ONE && all_bytes(txn)? + bytes <= most)
}

fn size(raw: &Raw) -> u64 {
    let init = raw.envelope.init.as_ref().map_or(0, |init| init.len());
    (raw.envelope.token.len() + raw.envelope.header.len() + init) as u64
}

/// How much waits in all.
const ALL_BYTES: Place<'static> = Place::new(Table::Inbox, b"bytes", b"");

fn all_bytes(txn: &Txn<'_>) -> Result<u64, RowsError> {
    Ok(load(txn.rows, ALL_BYTES)?.unwrap_or(0))
}

fn bytes_place(from: &Username) -> Place<'_> {
    Place::new(Table::Inbox, b"bytes", from.as_str().as_bytes())
}

fn bytes_of(txn: &Txn<'_>, from: &Username) -> Result<u64, RowsError> {
    Ok(load(txn.rows, bytes_place(from))?.unwrap_or(0))
}

fn add_bytes(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    let (of_one, all) = (bytes_of(txn, &raw.from)? + size(raw), all_bytes(txn)? + size(raw));
    save(txn.rows, bytes_place(&raw.from), 0, &of_one)?;
    save(txn.rows, ALL_BYTES, 0, &all)
}

fn take_bytes(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    let of_one = bytes_of(txn, &raw.from)?.saturating_sub(size(raw));
    let all = all_bytes(txn)?.saturating_sub(size(raw));
    save(txn.rows, ALL_BYTES, 0, &all)?;
    if of_one == 0 {
        return txn.rows.delete(bytes_place(&raw.from)).map(drop);
    }
    save(txn.rows, bytes_place(&raw.from), 0, &of_one)
}

/// Whether anything waits for the session of an envelope.
pub(crate) fn waits(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    Ok(txn.rows.last_order(Table::Inbox, &scope(raw))?.is_some())
}

/// Whether an INIT waits under the session id of an envelope.
pub(crate) fn init_waits(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    let inits = inits_scope(&raw.device);
    let found = txn.rows.scan(Table::Inbox, &inits, 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    Ok(found.iter().any(|(_, sid)| sid == raw.envelope.sid.as_bytes()))
}

/// Whether any INIT of a device waits to be opened.
pub(crate) fn any_of(txn: &Txn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(txn.rows.last_order(Table::Inbox, &inits_scope(device))?.is_some())
}

/// Takes one envelope out of the store.
pub(crate) fn remove(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    let key = raw.position.to_be_bytes();
    txn.rows.delete(place(&key))?;
    txn.rows.delete(Place::new(Table::Inbox, &from_scope(&raw.from), &key))?;
    for scope in [scope(raw), alike_scope(raw)] {
        txn.rows.delete(Place::new(Table::Inbox, &scope, &key))?;
    }
    waiting::gone(txn, raw.position);
    if !any_alike(txn, raw)? {
        txn.rows.delete(Place::new(Table::Inbox, &inits_scope(&raw.device), &init_key(raw)))?;
    }
    take_bytes(txn, raw)
}

fn find(rows: &dyn Rows, scope: &[u8], most: usize) -> Result<Vec<Raw>, RowsError> {
    let mut found = Vec::new();
    for (position, _) in rows.scan(Table::Inbox, scope, 0..=u64::MAX, Direction::Ascending, most)? {
        found.extend(load(rows, place(&position.to_be_bytes()))?);
    }
    Ok(found)
}

/// What waits with the INIT of an envelope, in the order it came; at most `most`.
pub(crate) fn alike(rows: &dyn Rows, raw: &Raw, most: usize) -> Result<Vec<Raw>, RowsError> {
    find(rows, &alike_scope(raw), most)
}

fn any_alike(txn: &Txn<'_>, raw: &Raw) -> Result<bool, RowsError> {
    Ok(txn.rows.last_order(Table::Inbox, &alike_scope(raw))?.is_some())
}

/// Takes out all that waits with the INIT of an envelope.
pub(crate) fn take_alike(txn: &mut Txn<'_>, raw: &Raw) -> Result<Vec<Raw>, RowsError> {
    take(txn, &alike_scope(raw))
}

/// Takes out all that waits for the session of an envelope, in the order it came.
pub(crate) fn take_all(txn: &mut Txn<'_>, raw: &Raw) -> Result<Vec<Raw>, RowsError> {
    take(txn, &scope(raw))
}

fn take(txn: &mut Txn<'_>, scope: &[u8]) -> Result<Vec<Raw>, RowsError> {
    let taken = find(txn.rows, scope, usize::MAX)?;
    taken.iter().try_for_each(|raw| remove(txn, raw))?;
    Ok(taken)
}
