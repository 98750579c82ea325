//! What the mailbox delivers: stored, opened on a copy, shown once, acknowledged after the commit.
//!
//! ```text
//! deliver ─┬─ session known ──▶ opened ──▶ content
//!          ├─ INIT ──▶ stored raw, acknowledged ──▶ peer's log ──▶ RSA ──▶ opened ──▶ content
//!          ├─ session of a waiting INIT ──▶ stored raw behind it
//!          └─ anything else ──▶ undecryptable
//! ```
//! An INIT is acknowledged before any RSA is done, so acknowledgements tell nothing; one that does not
//! open is dropped in silence.

mod waiting;

use std::time::Duration;

use chat_protocol::ids::{DeviceId, SessionId, Username};
use chat_protocol::message::Envelope;
use chat_protocol::message::server::Deliver;
use chat_protocol::session::init::{Init, Share};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

pub(crate) use self::waiting::{Waiting, look_again};
use super::peers::Peer;
use super::state::{Counter, decode, load, save};
use super::turn::Turn;
use super::{Action, EngineError, content, events, mailbox, order, peers, sessions};
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// New INITs of one device that may be opened at once …
const INIT_BURST: usize = 8;
/// … and how long each of those slots takes to come back: four a minute.
const INIT_SLOT: Duration = Duration::from_secs(15);
/// Most distinct INITs of one device that wait; beyond that they are dropped and counted.
const MAX_WAITING_INITS: u64 = 64;
/// Most bytes of one device that wait.
const MAX_WAITING_BYTES: u64 = 8 * 1024 * 1024;
/// Most envelopes kept of a user whose identity changed, until it is decided which one counts.
const MAX_HELD: u64 = 1_000;
/// How long an INIT waits for its author's device to appear in the account log.
const ABSENT_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most RSA shares given out to be opened; the daemon opens one at a time.
const MAX_OPENING: usize = 8;

/// An envelope as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Raw {
    #[n(0)]
    pub(crate) position: u64,
    #[n(1)]
    pub(crate) from: Username,
    #[n(2)]
    pub(crate) device: DeviceId,
    #[n(3)]
    pub(crate) envelope: Envelope,
    #[n(4)]
    pub(crate) arrived: Timestamp,
    /// The user was told that it is kept back.
    #[n(5)]
    pub(crate) told: bool,
}

fn raw_place(key: &[u8; 8]) -> Place<'_> {
    Place::new(Table::Inbox, b"raw", key)
}

fn behind_scope(sid: &SessionId) -> Vec<u8> {
    [b"sid:".as_slice(), sid.as_bytes()].concat()
}

fn inits_scope(device: &DeviceId) -> Vec<u8> {
    [b"inits:".as_slice(), device.as_bytes()].concat()
}

fn from_scope(from: &Username) -> Vec<u8> {
    [b"from:".as_slice(), from.as_str().as_bytes()].concat()
}

/// One delivery. What was stored before is not looked at again.
pub(crate) fn delivered(turn: &mut Turn<'_>, deliver: Deliver) -> Result<(), EngineError> {
    if mailbox::knows(turn, deliver.mailbox_seq)? {
        return Ok(());
    }
    mailbox::stored(turn, deliver.mailbox_seq)?;
    peers::hurry(turn, &deliver.from);
    let raw = Raw {
        // numbers of the mailbox are the server's word, and may come again
        position: Counter::Taken.next(turn.rows)?,
        from: deliver.from,
        device: deliver.from_device,
        envelope: deliver.envelope,
        arrived: turn.now,
        told: false,
    };
    take(turn, raw)
}

/// A delivery that could not be handled for a reason of this side.
pub(crate) fn given_up(turn: &mut Turn<'_>, from: &Username, mailbox_seq: u64) -> Result<(), EngineError> {
    if !mailbox::knows(turn, mailbox_seq)? {
        mailbox::stored(turn, mailbox_seq)?;
    }
    Ok(events::undecryptable(turn, from, "could not be handled")?)
}

fn take(turn: &mut Turn<'_>, raw: Raw) -> Result<(), EngineError> {
    let sid = raw.envelope.sid;
    if raw.device == turn.me.device {
        return Ok(events::undecryptable(turn, &raw.from, "own message")?);
    }
    if let Some(session) = sessions::find(turn.rows, &sid)? {
        return if session.device == raw.device {
            open(turn, &raw, &session)
        } else {
            Ok(events::undecryptable(turn, &raw.from, "session of another device")?)
        };
    }
    let waits = turn.rows.last_order(Table::Inbox, &behind_scope(&sid))?.is_some();
    if waits || (raw.envelope.init.is_some() && !sessions::is_replay(turn.rows, &raw.envelope)?) {
        return Ok(keep(turn, raw)?);
    }
    if raw.envelope.init.is_some() {
        return Ok(());
    }
    if peers::get(turn.rows, &raw.from)?.is_some_and(|peer| peer.has_revoked(&raw.device)) {
        return Ok(events::held(turn, &raw.from, "device_revoked")?);
    }
    sessions::did_not_open(turn, &raw.from, &raw.device)
}

fn open(turn: &mut Turn<'_>, raw: &Raw, session: &sessions::Stored) -> Result<(), EngineError> {
    match sessions::open(turn, session, &raw.envelope)? {
        Some(opened) => content::arrived(turn, &opened),
        None => sessions::did_not_open(turn, &raw.from, &raw.device),
    }
}

/// Stores an envelope raw, within what one device may let wait.
fn keep(turn: &mut Turn<'_>, raw: Raw) -> Result<(), RowsError> {
    let sid = raw.envelope.sid;
    let inits = inits_scope(&raw.device);
    let bytes = waiting_bytes(turn, &raw.device)? + size(&raw);
    let many = turn.rows.count(Table::Inbox, &inits)? >= MAX_WAITING_INITS
        && turn.rows.get(Place::new(Table::Inbox, &inits, sid.as_bytes()))?.is_none();
    if many || bytes > MAX_WAITING_BYTES || too_many_held(turn, &raw.from)? {
        tracing::warn!(device = %raw.device, "too much of one device waits to be opened; dropped");
        return Ok(());
    }
    let key = raw.position.to_be_bytes();
    if turn.rows.count(Table::Inbox, &behind_scope(&sid))? == 0 {
        waiting::came(turn, raw.position)?;
    }
    set_waiting_bytes(turn, &raw.device, bytes)?;
    turn.rows.put(Place::new(Table::Inbox, &from_scope(&raw.from), &key), raw.position, &[])?;
    turn.rows.put(Place::new(Table::Inbox, &inits, sid.as_bytes()), raw.position, &[])?;
    turn.rows.put(Place::new(Table::Inbox, &behind_scope(&sid), &key), raw.position, &key)?;
    save(turn.rows, raw_place(&key), raw.position, &raw)
}

/// Whether as much waits of a user whose identity changed as may.
fn too_many_held(turn: &Turn<'_>, from: &Username) -> Result<bool, RowsError> {
    let changed = peers::get(turn.rows, from)?.is_some_and(|peer| peer.rival.is_some());
    Ok(changed && turn.rows.count(Table::Inbox, &from_scope(from))? >= MAX_HELD)
}

fn size(raw: &Raw) -> u64 {
    let init = raw.envelope.init.as_ref().map_or(0, |init| init.len());
    (raw.envelope.token.len() + raw.envelope.header.len() + init) as u64
}

fn waiting_bytes(turn: &Turn<'_>, device: &DeviceId) -> Result<u64, RowsError> {
    Ok(load(turn.rows, Place::new(Table::Inbox, b"bytes", device.as_bytes()))?.unwrap_or(0))
}

fn set_waiting_bytes(turn: &mut Turn<'_>, device: &DeviceId, bytes: u64) -> Result<(), RowsError> {
    let place = Place::new(Table::Inbox, b"bytes", device.as_bytes());
    if bytes == 0 {
        return turn.rows.delete(place).map(|_| ());
    }
    save(turn.rows, place, 0, &bytes)
}

fn drop_raw(turn: &mut Turn<'_>, raw: &Raw) -> Result<(), RowsError> {
    let key = raw.position.to_be_bytes();
    let behind = behind_scope(&raw.envelope.sid);
    turn.rows.delete(raw_place(&key))?;
    turn.rows.delete(Place::new(Table::Inbox, &from_scope(&raw.from), &key))?;
    turn.rows.delete(Place::new(Table::Inbox, &behind, &key))?;
    if turn.rows.last_order(Table::Inbox, &behind)?.is_none() {
        turn.rows.delete(Place::new(Table::Inbox, &inits_scope(&raw.device), raw.envelope.sid.as_bytes()))?;
    }
    let bytes = waiting_bytes(turn, &raw.device)?.saturating_sub(size(raw));
    set_waiting_bytes(turn, &raw.device, bytes)
}

/// Whether anything of a device waits to be opened.
pub(crate) fn waits(turn: &Turn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(turn.rows.last_order(Table::Inbox, &inits_scope(device))?.is_some())
}

fn drop_all_behind(turn: &mut Turn<'_>, sid: &SessionId) -> Result<(), RowsError> {
    let dropped = take_behind(turn, sid)?;
    dropped.first().map_or(Ok(()), |raw| order::opened_all(turn, &raw.device))
}

/// Takes the envelopes of a session out of the store, in the order they came.
fn take_behind(turn: &mut Turn<'_>, sid: &SessionId) -> Result<Vec<Raw>, RowsError> {
    let taken = behind(turn.rows, sid)?;
    taken.iter().try_for_each(|raw| drop_raw(turn, raw))?;
    Ok(taken)
}

fn behind(rows: &dyn Rows, sid: &SessionId) -> Result<Vec<Raw>, RowsError> {
    let mut found = Vec::new();
    for (position, _) in rows.scan(Table::Inbox, &behind_scope(sid), 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        found.extend(load(rows, raw_place(&position.to_be_bytes()))?);
    }
    Ok(found)
}

/// Gives out the RSA shares of INITs whose author is known. Says whether any is still on its way.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<bool, EngineError> {
    let mut busy = false;
    for position in waiting::due(turn)? {
        match load(turn.rows, raw_place(&position.to_be_bytes()))? {
            Some(raw) => busy |= start(turn, raw)?,
            None => waiting::gone(turn, position),
        }
    }
    Ok(busy)
}

/// Takes the first envelope of a new session one step further; true while an answer is awaited.
fn start(turn: &mut Turn<'_>, raw: Raw) -> Result<bool, EngineError> {
    if turn.live.opening.contains(&raw.position) {
        return Ok(true);
    }
    if turn.now.since(raw.arrived) > ABSENT_KEPT {
        drop_all_behind(turn, &raw.envelope.sid)?;
        return Ok(false);
    }
    let Some(init) = sessions::read_init(turn, &raw)? else {
        drop_all_behind(turn, &raw.envelope.sid)?;
        return Ok(false);
    };
    let Some(peer) = peers::get(turn.rows, &raw.from)? else {
        peers::look_up(turn, &raw.from);
        return Ok(peers::fetching(turn, &raw.from));
    };
    if let Some(busy) = stopped(turn, &raw, &init, &peer)? {
        return Ok(busy);
    }
    if !sessions::fits(turn, &raw, &init, &peer.pinned.log)? {
        drop_all_behind(turn, &raw.envelope.sid)?;
        return Ok(false);
    }
    if turn.live.opening.len() >= MAX_OPENING || !slot(turn, raw.device) {
        return Ok(false);
    }
    turn.live.opening.insert(raw.position);
    turn.actions.push(Action::OpenShare { job: raw.position, init: Box::new(init) });
    Ok(true)
}

/// An INIT of an identity or a device that is not the pinned one's goes no further now; the answer is that of
/// [`start`]. What the user can still decide for is kept outside the chat.
fn stopped(turn: &mut Turn<'_>, raw: &Raw, init: &Init, peer: &Peer) -> Result<Option<bool>, EngineError> {
    let fingerprint = init.initiator().fingerprint;
    let log = &peer.pinned.log;
    let device = log.device(&raw.device).map(|device| device.revoked.is_some());
    let why = match device {
        _ if peer.refused(&fingerprint) => {
            drop_all_behind(turn, &raw.envelope.sid)?;
            events::held(turn, &raw.from, "identity_refused")?;
            return Ok(Some(false));
        }
        Some(false) if fingerprint == log.fingerprint() => return Ok(None),
        Some(true) => "device_revoked",
        _ if peer.rival.is_some() => "identity_changed",
        _ => {
            peers::fetch(turn, &raw.from)?;
            return Ok(Some(peers::fetching(turn, &raw.from)));
        }
    };
    hold(turn, raw, why)?;
    Ok(Some(false))
}

/// Tells once that an INIT is kept back, and looks at it no more until something changes.
fn hold(turn: &mut Turn<'_>, raw: &Raw, why: &str) -> Result<(), EngineError> {
    waiting::hold(turn, raw);
    if !raw.told {
        events::held(turn, &raw.from, why)?;
        let told = Raw { told: true, ..raw.clone() };
        save(turn.rows, raw_place(&raw.position.to_be_bytes()), raw.position, &told)?;
    }
    Ok(())
}

/// Takes one of a device's slots for new INITs, if it has any left.
fn slot(turn: &mut Turn<'_>, device: DeviceId) -> bool {
    let now = turn.now;
    let taken = turn.live.inits.entry(device).or_default();
    let window = INIT_SLOT * u32::try_from(INIT_BURST).unwrap_or(u32::MAX);
    // a clock that went back must not keep old slots taken
    taken.retain(|at| *at <= now && now.since(*at) < window);
    match taken.first().copied() {
        Some(first) if taken.len() >= INIT_BURST => {
            turn.wake(first + window);
            false
        }
        _ => {
            taken.push(now);
            true
        }
    }
}

/// The RSA share of a waiting INIT, opened (or replaced, which nobody can tell) outside.
pub(crate) fn share_opened(turn: &mut Turn<'_>, job: u64, share: Share) -> Result<(), EngineError> {
    turn.live.opening.remove(&job);
    let Some(raw) = load::<Raw>(turn.rows, raw_place(&job.to_be_bytes()))? else { return Ok(()) };
    let Some(opened) = sessions::accept(turn, &raw, share)? else {
        tracing::debug!(device = %raw.device, "an INIT did not open");
        return Ok(drop_all_behind(turn, &raw.envelope.sid)?);
    };
    let sid = raw.envelope.sid;
    // none of them waits any more: what follows shows them in their order
    drop_raw(turn, &raw)?;
    let rest = take_behind(turn, &sid)?;
    content::arrived(turn, &opened)?;
    for next in rest {
        let Some(session) = sessions::find(turn.rows, &sid)? else { break };
        open(turn, &next, &session)?;
    }
    Ok(order::opened_all(turn, &raw.device)?)
}

/// Drops what is kept back of an identity the user did not accept.
pub(crate) fn drop_held(turn: &mut Turn<'_>, user: &Username) -> Result<(), EngineError> {
    for (_, bytes) in turn.rows.scan(Table::Inbox, b"raw", 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let raw: Raw = decode(Table::Inbox, &bytes)?;
        if raw.from == *user && raw.told {
            drop_all_behind(turn, &raw.envelope.sid)?;
        }
    }
    Ok(())
}
