//! What the mailbox delivers: stored, opened on a copy, shown once, acknowledged after the commit.
//!
//! ```text
//! deliver ─┬─ session known ──▶ opened ──▶ content
//!          ├─ INIT ──▶ stored raw, acknowledged ──▶ peer's log ──▶ RSA ──▶ opened ──▶ content
//!          ├─ without INIT, session of a waiting one ──▶ stored raw behind it
//!          └─ anything else ──▶ undecryptable
//! ```
//! An INIT is acknowledged before any RSA is done, so acknowledgements tell nothing. One that does not open is told to
//! the user alone, never to its author, and takes nothing along: what waits beside it is tried as if it had not been. Only
//! where it names a key that is gone its author is asked again.

mod envelope_store;
pub(crate) mod losing;
mod refused;

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Fingerprint};
use chat_protocol::message::server::{Delivery, DeliveryId};
use chat_protocol::rpc::types::{HeldReason, UndecryptableReason};
use chat_protocol::session::init::Share;
use chat_protocol::time::Timestamp;

use crate::exchange::{content, received};
use crate::model::error::EngineError;
use crate::records::device_tables::DeviceTable;
use crate::records::events;
use crate::records::mailbox;
use crate::records::pins;
use crate::records::waiting_inits::{self, ABSENT_KEPT, Look};
use crate::rows::ENVELOPES;
use crate::rows::inbox::{Raw, WaitingInit};
use crate::store::RowsError;
use crate::txn::Txn;
use crate::txn::action::Action;
use crate::txn::live::Subject;
use crate::{peers, sessions};

/// New INITs of one device that may be opened at once …
const INIT_BURST: usize = 8;
/// … and how long each of those slots takes to come back: four a minute.
const INIT_SLOT: Duration = Duration::from_secs(15);
/// Most RSA shares given out to be opened; the daemon opens one at a time.
const MAX_OPENING: usize = 8;
/// Most envelopes of one INIT that are tried in one transaction before others have theirs.
const MAX_TRIED: usize = 64;
/// When an INIT is looked at again whose author's log was asked for in vain; doubled with each time in a row …
const AGAIN: Duration = Duration::from_secs(5);
/// … up to a minute for whom nothing is known of, and up to six hours for whose log is: when that goes on, they are
/// looked at whenever it does.
const DOUBLED_UNKNOWN: u32 = 4;
const DOUBLED_KNOWN: u32 = 12;

/// One delivery. What was stored before is not looked at again.
pub(crate) fn delivered(txn: &mut Txn<'_>, delivery: Delivery) -> Result<(), EngineError> {
    // numbers of the mailbox are the server's word, and may come again
    let Some(position) = mailbox::take(txn, &delivery.id())? else { return Ok(()) };
    peers::hurry(txn, &delivery.from);
    let deliver = delivery.into_inner();
    let raw = Raw {
        position,
        from: deliver.from,
        device: deliver.from_device,
        envelope: deliver.envelope,
        arrived: txn.now,
        told: false,
    };
    take(txn, raw)
}

/// A delivery that could not be handled for a reason of this side.
pub(crate) fn given_up(txn: &mut Txn<'_>, delivery: &DeliveryId) -> Result<(), EngineError> {
    mailbox::take(txn, delivery)?;
    Ok(events::undecryptable(txn, &delivery.from, UndecryptableReason::CouldNotBeHandled)?)
}

fn take(txn: &mut Txn<'_>, raw: Raw) -> Result<(), EngineError> {
    if raw.device == txn.me.device {
        return Ok(events::undecryptable(txn, &raw.from, UndecryptableReason::OwnMessage)?);
    }
    if let Some(session) = sessions::find(txn.rows, &raw.envelope.sid)? {
        return if session.device == raw.device {
            open(txn, &raw, session)
        } else {
            Ok(events::undecryptable(txn, &raw.from, UndecryptableReason::OtherDevice)?)
        };
    }
    let begins = raw.envelope.init.is_some() && !sessions::is_replay(txn, &raw.envelope)?;
    if begins || envelope_store::waits(txn, &raw)? {
        return keep(txn, &raw);
    }
    if peers::has_revoked(txn, &raw.from, &raw.device)? {
        return Ok(events::held(txn, &raw.from, HeldReason::DeviceRevoked)?);
    }
    sessions::did_not_open(txn, &raw.from, &raw.device)
}

fn open(txn: &mut Txn<'_>, raw: &Raw, session: sessions::Stored) -> Result<(), EngineError> {
    match sessions::open(txn, session, &raw.envelope)? {
        Some(opening) => {
            let received = received::receive(txn, opening)?;
            content::arrived(txn, received)
        }
        None => sessions::did_not_open(txn, &raw.from, &raw.device),
    }
}

/// Keeps what cannot be opened yet. For what finds no room, and is told of, its author is asked again later.
fn keep(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), EngineError> {
    if envelope_store::keep(txn, raw)? {
        return Ok(());
    }
    tracing::warn!(device = %raw.device, "too much of one account waits to be opened");
    refused::note_refused(txn, raw)?;
    Ok(events::undecryptable(txn, &raw.from, UndecryptableReason::TooMuchWaits)?)
}

/// Gives out the RSA shares of INITs whose author is known, and asks for what found no room. Says whether any is still
/// on its way.
pub(crate) fn open_waiting(txn: &mut Txn<'_>) -> Result<bool, EngineError> {
    look_at_answered(txn)?;
    let due = waiting_inits::due(txn)?;
    let full = due.len() >= waiting_inits::MOST;
    for init in due {
        if txn.live.opening.len() >= MAX_OPENING {
            break;
        }
        look_at(txn, init)?;
    }
    if full && txn.live.opening.len() < MAX_OPENING {
        txn.wake(txn.now);
    }
    waiting_inits::wake(txn)?;
    refused::ask_refused_again(txn)?;
    Ok(!txn.live.opening.is_empty() || !txn.live.logs_awaited.is_empty())
}

/// Has INITs looked at again whose author's log was asked for.
fn look_at_answered(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    for user in std::mem::take(&mut txn.live.logs_awaited) {
        if peers::fetching(txn, &user) {
            txn.live.logs_awaited.insert(user);
        } else {
            waiting_inits::look_again(txn, &user)?;
        }
    }
    Ok(())
}

/// How far an envelope that begins a session came.
enum Step {
    /// Its share is being opened.
    UnderWay,
    /// Its time has not come.
    Waits(Look),
    /// The user was told that it is kept back.
    Held,
    /// It will never open.
    Hopeless(UndecryptableReason),
    /// Its identity was refused, and with it all that came with this INIT.
    Refused,
}

/// Takes what waits with one INIT a step further.
fn look_at(txn: &mut Txn<'_>, mut init: WaitingInit) -> Result<(), EngineError> {
    for _ in 0..MAX_TRIED {
        let step = start(txn, &init)?;
        let why = match step {
            Step::UnderWay => return Ok(()),
            Step::Waits(look) => {
                init.times = init.times.saturating_add(1);
                return Ok(waiting_inits::put(txn, &init, look)?);
            }
            Step::Held => {
                init.told = true;
                return Ok(waiting_inits::put(txn, &init, Look::Never)?);
            }
            Step::Hopeless(why) => Some(why),
            Step::Refused => None,
        };
        let Some(raw) = ENVELOPES.get(txn.rows, &init.position)? else {
            return Err(EngineError::damaged("an INIT that is not there"));
        };
        let Some(why) = why else {
            envelope_store::take_alike(txn, &raw)?;
            events::held(txn, &raw.from, HeldReason::IdentityRefused)?;
            return losing::ended(txn, &raw);
        };
        losing::lose(txn, &raw, why)?;
        match next(txn, &raw)? {
            Some(behind) => init = behind,
            None => return losing::ended(txn, &raw),
        }
    }
    txn.wake(txn.now);
    Ok(())
}

/// What comes next with an INIT whose first envelope is gone; it is looked at from now on.
fn next(txn: &mut Txn<'_>, raw: &Raw) -> Result<Option<WaitingInit>, RowsError> {
    let Some(next) = envelope_store::alike(txn.rows, raw, 1)?.pop() else { return Ok(None) };
    envelope_store::begin(txn, &next).map(Some)
}

/// Takes the first envelope of an INIT one step further. It is read only once its share is about to be opened.
fn start(txn: &mut Txn<'_>, init: &WaitingInit) -> Result<Step, EngineError> {
    if txn.live.opening.contains(&init.position) {
        return Ok(Step::UnderWay);
    }
    if txn.now.since(init.arrived) > ABSENT_KEPT {
        return Ok(Step::Hopeless(UndecryptableReason::UnknownDevice));
    }
    let Some(fingerprint) = init.fingerprint else { return Ok(Step::Hopeless(UndecryptableReason::DoesNotOpen)) };
    let Some(table) = peers::table_of(txn.rows, &init.from)? else {
        peers::look_up(txn, &init.from);
        return Ok(awaited(txn, init, DOUBLED_UNKNOWN));
    };
    if let Some(step) = stopped(txn, init, &fingerprint, &table)? {
        return Ok(step);
    }
    match slot(txn, init.device) {
        Some(later) => Ok(Step::Waits(Look::At(later))),
        None => open_share(txn, init),
    }
}

fn open_share(txn: &mut Txn<'_>, waiting: &WaitingInit) -> Result<Step, EngineError> {
    let (hopeless, position) = (Ok(Step::Hopeless(UndecryptableReason::DoesNotOpen)), waiting.position);
    let Some(raw) = ENVELOPES.get(txn.rows, &position)? else { return hopeless };
    let Some(peer) = pins::get(txn.rows, &waiting.from)? else { return hopeless };
    let Some(init) = sessions::read_init(txn, &raw)? else { return hopeless };
    if !sessions::keeps_keys_of(txn.rows, &init)? {
        // a key that somebody else used, or that made room for others: no secret decides this, so its author may know
        refused::note_refused(txn, &raw)?;
        return Ok(Step::Hopeless(UndecryptableReason::OneTimeKeyGone));
    }
    if !sessions::fits(txn, &raw, &init, &peer.pinned.log)? {
        return hopeless;
    }
    let now = txn.now;
    txn.live.inits.entry(raw.device).or_default().push(now);
    txn.live.opening.insert(position);
    txn.actions.push(Action::OpenShare { job: position, init });
    Ok(Step::UnderWay)
}

/// Its author's log was asked for, or cannot be now. What was asked in vain is asked for again, ever more rarely.
fn awaited(txn: &mut Txn<'_>, init: &WaitingInit, most_doubled: u32) -> Step {
    if txn.live.link.is_none() {
        return Step::Waits(Look::Online);
    }
    if peers::fetching(txn, &init.from) {
        txn.live.logs_awaited.insert(init.from.clone());
    }
    Step::Waits(Look::At(txn.now + AGAIN * (1 << init.times.min(most_doubled))))
}

/// An INIT of an identity or a device that is not the pinned one's goes no further now. What the user can still decide
/// for is kept outside the chat.
fn stopped(
    txn: &mut Txn<'_>,
    init: &WaitingInit,
    fingerprint: &Fingerprint,
    peer: &DeviceTable,
) -> Result<Option<Step>, EngineError> {
    let active = peer.has(&init.device);
    let why = match *fingerprint == peer.fingerprint {
        _ if peer.refuses(fingerprint) => return Ok(Some(Step::Refused)),
        true if active => return Ok(None),
        _ if peer.has_revoked(txn.rows, &init.device)? => HeldReason::DeviceRevoked,
        _ if peer.changed => HeldReason::IdentityChanged,
        _ => return unheard_of(txn, init, active).map(Some),
    };
    hold(txn, init, why).map(Some)
}

/// The log is asked for what an INIT claims. It may come to list another device; one that it lists is in no other.
fn unheard_of(txn: &mut Txn<'_>, init: &WaitingInit, listed: bool) -> Result<Step, EngineError> {
    let asked = txn.paused(&Subject::Peer(init.from.clone()));
    peers::fetch(txn, &init.from)?;
    if asked && listed && !peers::fetching(txn, &init.from) {
        return Ok(Step::Hopeless(UndecryptableReason::OtherIdentity));
    }
    Ok(awaited(txn, init, DOUBLED_KNOWN))
}

/// Tells once that an INIT is kept back, and looks at it no more until something changes.
fn hold(txn: &mut Txn<'_>, init: &WaitingInit, why: HeldReason) -> Result<Step, EngineError> {
    if !init.told {
        events::held(txn, &init.from, why)?;
    }
    Ok(Step::Held)
}

/// Until when a device has begun too many sessions to have another one opened; `None` if it has not.
fn slot(txn: &mut Txn<'_>, device: DeviceId) -> Option<Timestamp> {
    let now = txn.now;
    let taken = txn.live.inits.entry(device).or_default();
    let window = INIT_SLOT * u32::try_from(INIT_BURST).unwrap_or(u32::MAX);
    // a clock that went back must not keep old slots taken
    taken.retain(|at| *at <= now && now.since(*at) < window);
    let first = taken.first().copied().filter(|_| taken.len() >= INIT_BURST)?;
    Some(first + window)
}

/// The RSA share of a waiting INIT, opened (or replaced, which nobody can tell) outside. Whatever came with the same
/// INIT has the same share: the first of it that opens begins the session.
pub(crate) fn share_opened(txn: &mut Txn<'_>, job: u64, share: Share) -> Result<(), EngineError> {
    txn.live.opening.remove(&job);
    let Some(first) = ENVELOPES.get(txn.rows, &job)? else { return Ok(()) };
    let alike = envelope_store::alike(txn.rows, &first, MAX_TRIED)?;
    let accepted = match sessions::accept(txn, &alike, share)? {
        Some((nth, opening)) => Some((nth, received::receive(txn, opening)?)),
        None => None,
    };
    let failed = accepted.as_ref().map_or(alike.len(), |(nth, _)| *nth);
    for raw in alike.iter().take(failed) {
        losing::lose(txn, raw, UndecryptableReason::DoesNotOpen)?;
    }
    match (accepted, alike.get(failed)) {
        (Some((_, received)), Some(raw)) => {
            envelope_store::remove(txn, raw)?;
            // none of them waits any more: what follows shows them in their order
            let rest = envelope_store::take_all(txn, raw)?;
            content::arrived(txn, received)?;
            rest.into_iter().try_for_each(|raw| take(txn, raw))?;
            Ok(refused::hurry(txn, &first)?)
        }
        _ => match next(txn, &first)? {
            Some(_) => Ok(()),
            None => losing::ended(txn, &first),
        },
    }
}
