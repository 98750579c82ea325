//! What the mailbox delivers: stored, opened on a copy, shown once, acknowledged after the commit.
//!
//! ```text
//! deliver ─┬─ session known ──▶ opened ──▶ content
//!          ├─ INIT ──▶ stored raw, acknowledged ──▶ peer's log ──▶ RSA ──▶ opened ──▶ content
//!          ├─ without INIT, session of a waiting one ──▶ stored raw behind it
//!          └─ anything else ──▶ undecryptable
//! ```
//! An INIT is acknowledged before any RSA is done, so acknowledgements tell nothing. One that does not open is told to
//! the user alone, never to its author, and takes nothing along: what waits beside it is tried as if it had not been.

mod envelope_store;
pub(crate) mod losing;
mod refused;
mod waiting;

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::server::Deliver;
use chat_protocol::session::init::{Init, Share};

use crate::exchange::content;
use crate::model::error::EngineError;
use crate::model::rows::{load, save};
use crate::records::events;
use crate::records::mailbox::{self, Raw};
use crate::records::pins::{self, Peer};
use crate::store::RowsError;
use crate::turn::Turn;
use crate::turn::action::Action;
use crate::turn::live::Subject;
use crate::{peers, sessions};

/// New INITs of one device that may be opened at once …
const INIT_BURST: usize = 8;
/// … and how long each of those slots takes to come back: four a minute.
const INIT_SLOT: Duration = Duration::from_secs(15);
/// Most RSA shares given out to be opened; the daemon opens one at a time.
const MAX_OPENING: usize = 8;
/// Most envelopes of one INIT that are tried in one turn before others have theirs.
const MAX_TRIED: usize = 64;

/// One delivery. What was stored before is not looked at again.
pub(crate) fn delivered(turn: &mut Turn<'_>, deliver: Deliver) -> Result<(), EngineError> {
    // numbers of the mailbox are the server's word, and may come again
    let Some(position) = mailbox::take(turn, &deliver)? else { return Ok(()) };
    peers::hurry(turn, &deliver.from);
    let raw = Raw {
        position,
        from: deliver.from,
        device: deliver.from_device,
        envelope: deliver.envelope,
        arrived: turn.now,
        told: false,
    };
    take(turn, raw)
}

/// A delivery that could not be handled for a reason of this side.
pub(crate) fn given_up(turn: &mut Turn<'_>, deliver: &Deliver) -> Result<(), EngineError> {
    mailbox::take(turn, deliver)?;
    Ok(events::undecryptable(turn, &deliver.from, "could not be handled")?)
}

fn take(turn: &mut Turn<'_>, raw: Raw) -> Result<(), EngineError> {
    if raw.device == turn.me.device {
        return Ok(events::undecryptable(turn, &raw.from, "own message")?);
    }
    if let Some(session) = sessions::find(turn.rows, &raw.envelope.sid)? {
        return if session.device == raw.device {
            open(turn, &raw, &session)
        } else {
            Ok(events::undecryptable(turn, &raw.from, "session of another device")?)
        };
    }
    let begins = raw.envelope.init.is_some() && !sessions::is_replay(turn.rows, &raw.envelope)?;
    if begins || envelope_store::waits(turn, &raw)? {
        return keep(turn, &raw);
    }
    if pins::get(turn.rows, &raw.from)?.is_some_and(|peer| peer.has_revoked(&raw.device)) {
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

/// Keeps what cannot be opened yet. For what finds no room, and is told of, its author is asked again later.
fn keep(turn: &mut Turn<'_>, raw: &Raw) -> Result<(), EngineError> {
    if envelope_store::keep(turn, raw)? {
        return Ok(());
    }
    tracing::warn!(device = %raw.device, "too much of one account waits to be opened");
    refused::note(turn, raw)?;
    losing::tell_lost(turn, &raw.from, "too much waits")
}

/// Gives out the RSA shares of INITs whose author is known, and asks for what found no room. Says whether any is still
/// on its way.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<bool, EngineError> {
    let mut busy = false;
    for position in waiting::due(turn)? {
        match load(turn.rows, envelope_store::place(&position.to_be_bytes()))? {
            Some(raw) => busy |= look_at(turn, raw)?,
            None => waiting::gone(turn, position),
        }
    }
    refused::pump(turn)?;
    Ok(busy)
}

/// How far an envelope that begins a session came.
enum Step {
    /// An answer is awaited.
    UnderWay,
    /// Its time has not come.
    Waits,
    /// It will never open.
    Hopeless(&'static str),
    /// Its identity was refused, and with it all that came with this INIT.
    Refused,
}

/// Takes what waits with one INIT a step further; true while an answer is awaited.
fn look_at(turn: &mut Turn<'_>, mut raw: Raw) -> Result<bool, EngineError> {
    for _ in 0..MAX_TRIED {
        let why = match start(turn, &raw)? {
            Step::UnderWay => return Ok(true),
            Step::Waits => return Ok(false),
            Step::Hopeless(why) => why,
            Step::Refused => {
                envelope_store::take_alike(turn, &raw)?;
                events::held(turn, &raw.from, "identity_refused")?;
                return losing::ended(turn, &raw).map(|()| false);
            }
        };
        losing::lose(turn, &raw, why)?;
        match next(turn, &raw)? {
            Some(behind) => raw = behind,
            None => return losing::ended(turn, &raw).map(|()| false),
        }
    }
    turn.wake(turn.now);
    Ok(true)
}

/// What comes next with an INIT whose first envelope is gone; it is looked at from now on.
fn next(turn: &mut Turn<'_>, raw: &Raw) -> Result<Option<Raw>, RowsError> {
    let next = envelope_store::alike(turn.rows, raw, 1)?.pop();
    if let Some(next) = &next {
        waiting::came(turn, next.position)?;
    }
    Ok(next)
}

/// Takes the first envelope of an INIT one step further.
fn start(turn: &mut Turn<'_>, raw: &Raw) -> Result<Step, EngineError> {
    if turn.live.opening.contains(&raw.position) {
        return Ok(Step::UnderWay);
    }
    if turn.now.since(raw.arrived) > envelope_store::ABSENT_KEPT {
        return Ok(Step::Hopeless("of no known device"));
    }
    let Some(init) = sessions::read_init(turn, raw)? else { return Ok(Step::Hopeless("does not open")) };
    let Some(peer) = pins::get(turn.rows, &raw.from)? else {
        peers::look_up(turn, &raw.from);
        return Ok(awaited(turn, &raw.from));
    };
    if let Some(step) = stopped(turn, raw, &init, &peer)? {
        return Ok(step);
    }
    if !sessions::fits(turn, raw, &init, &peer.pinned.log)? {
        return Ok(Step::Hopeless("does not open"));
    }
    if turn.live.opening.len() >= MAX_OPENING || !slot(turn, raw.device) {
        return Ok(Step::Waits);
    }
    turn.live.opening.insert(raw.position);
    turn.actions.push(Action::OpenShare { job: raw.position, init: Box::new(init) });
    Ok(Step::UnderWay)
}

fn awaited(turn: &Turn<'_>, user: &Username) -> Step {
    if peers::fetching(turn, user) { Step::UnderWay } else { Step::Waits }
}

/// An INIT of an identity or a device that is not the pinned one's goes no further now. What the user can still decide
/// for is kept outside the chat.
fn stopped(turn: &mut Turn<'_>, raw: &Raw, init: &Init, peer: &Peer) -> Result<Option<Step>, EngineError> {
    let fingerprint = init.initiator().fingerprint;
    let log = &peer.pinned.log;
    let device = log.device(&raw.device).map(|device| device.revoked.is_some());
    let why = match device {
        _ if peer.refused(&fingerprint) => return Ok(Some(Step::Refused)),
        Some(false) if fingerprint == log.fingerprint() => return Ok(None),
        Some(true) => "device_revoked",
        _ if peer.rival.is_some() => "identity_changed",
        _ => return unheard_of(turn, &raw.from, device.is_some()).map(Some),
    };
    hold(turn, raw, why)?;
    Ok(Some(Step::Waits))
}

/// The log is asked for what an INIT claims. It may come to list another device; one that it lists is in no other.
fn unheard_of(turn: &mut Turn<'_>, user: &Username, listed: bool) -> Result<Step, EngineError> {
    let asked = turn.paused(&Subject::Peer(user.clone()));
    peers::fetch(turn, user)?;
    match awaited(turn, user) {
        Step::Waits if asked && listed => Ok(Step::Hopeless("of another identity")),
        step => Ok(step),
    }
}

/// Tells once that an INIT is kept back, and looks at it no more until something changes.
fn hold(turn: &mut Turn<'_>, raw: &Raw, why: &str) -> Result<(), EngineError> {
    waiting::hold(turn, raw);
    if !raw.told {
        events::held(turn, &raw.from, why)?;
        let told = Raw { told: true, ..raw.clone() };
        save(turn.rows, envelope_store::place(&raw.position.to_be_bytes()), raw.position, &told)?;
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

/// The RSA share of a waiting INIT, opened (or replaced, which nobody can tell) outside. Whatever came with the same
/// INIT has the same share: the first of it that opens begins the session.
pub(crate) fn share_opened(turn: &mut Turn<'_>, job: u64, share: Share) -> Result<(), EngineError> {
    turn.live.opening.remove(&job);
    let Some(first) = load::<Raw>(turn.rows, envelope_store::place(&job.to_be_bytes()))? else { return Ok(()) };
    let alike = envelope_store::alike(turn.rows, &first, MAX_TRIED)?;
    let accepted = sessions::accept(turn, &alike, share)?;
    let failed = accepted.as_ref().map_or(alike.len(), |(nth, _)| *nth);
    for raw in alike.iter().take(failed) {
        losing::lose(turn, raw, "does not open")?;
    }
    match (accepted, alike.get(failed)) {
        (Some((_, opened)), Some(raw)) => {
            envelope_store::remove(turn, raw)?;
            // none of them waits any more: what follows shows them in their order
            let rest = envelope_store::take_all(turn, raw)?;
            content::arrived(turn, &opened)?;
            rest.into_iter().try_for_each(|raw| take(turn, raw))?;
            Ok(refused::hurry(turn, &first.device)?)
        }
        _ => match next(turn, &first)? {
            Some(_) => Ok(()),
            None => losing::ended(turn, &first),
        },
    }
}
