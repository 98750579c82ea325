//! The connection as the engine sees it: what to do when it comes, what its answers belong to.

use chat_protocol::cbor;
use chat_protocol::ids::Username;
use chat_protocol::message::client::PresenceWatch;
use chat_protocol::message::server::{LoggedIn, PresenceList, Push, Refusal};
use chat_protocol::rpc::events::ConnectionChanged;
use chat_protocol::rpc::types::ConnectionState;
use chat_protocol::time::Timestamp;
use minicbor::Decode;

use crate::commands::messages;
use crate::drive::scheduler;
use crate::exchange::{ahead, devices, inbox, own_log, pin_change, reorder, room};
use crate::model::error::EngineError;
use crate::model::rows::Counter;
use crate::peers;
use crate::queue::{answers, expiry, maintenance, recall, sending};
use crate::records::settings::Settings;
use crate::records::{events, mailbox, retention};
use crate::sessions::{self, prekeys};
use crate::store::{Rows, RowsError};
use crate::turn::action::Action;
use crate::turn::live::{self, Asked, Link};
use crate::turn::{Turn, retention_clock};

/// The link is logged in: everything in flight is repeated, everything missed is asked for.
pub(crate) fn online(turn: &mut Turn<'_>, logged_in: &LoggedIn, offset_ms: i64) -> Result<(), EngineError> {
    turn.live.link = Some(Link {
        offset_ms,
        server_ahead_ms: difference(turn.clock, turn.now).saturating_add(offset_ms),
        asked: std::collections::BTreeMap::new(),
        pending_submits: Some(turn.now),
        deferred: Some(turn.now),
        acked: 0,
        delivered: 0,
        drained: false,
        synced: false,
        replayed: 0,
        room_last: logged_in.room_last,
        room_asked: 0,
    });
    turn.live.pause.clear();
    turn.live.missing.clear();
    turn.live.bundle_since.clear();
    // a new connection is asked anew before anything is said about the server
    turn.live.withheld = None;
    if sessions::check_device(turn)? {
        recall::recall(turn)?;
    }
    sessions::check_rollback(turn, logged_in)?;
    room::online(turn, logged_in.room_last)?;
    prekeys::online(turn, logged_in)?;
    // changes are pushed only to those who asked once
    let visible = Settings::get(turn.rows)?.presence;
    turn.ask(Asked::Presence, &PresenceWatch { visible });
    let me = peers::own(turn)?;
    if logged_in.head != me.pinned.log.head() {
        peers::fetch(turn, &me.user)?;
    }
    devices::ask(turn);
    reset_waits(turn, logged_in.reset_pending)?;
    compare_clocks(turn, offset_ms)?;
    let state = ConnectionState::Online;
    Ok(events::connection(turn, ConnectionChanged { state, reason: None, next_retry_ms: None })?)
}

/// How far one time is ahead of another, in milliseconds.
fn difference(ahead: Timestamp, behind: Timestamp) -> i64 {
    let millis = |time: Timestamp| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    millis(ahead).saturating_sub(millis(behind))
}

/// The clocks have come apart: told once, however many connections that lasts.
fn compare_clocks(turn: &mut Turn<'_>, offset_ms: i64) -> Result<(), EngineError> {
    let (before, now) = (Counter::Skewed.get(turn.rows)? > 0, live::is_skewed(offset_ms));
    if before == now {
        return Ok(());
    }
    Counter::Skewed.set(turn.rows, now.into())?;
    if now { Ok(events::clock_skew(turn, offset_ms)?) } else { Ok(()) }
}

/// The link is down, on its way, or refused.
pub(crate) fn not_online(turn: &mut Turn<'_>, change: ConnectionChanged) -> Result<(), EngineError> {
    turn.live.link = None;
    turn.live.pages.clear();
    turn.live.names.clear();
    Ok(events::connection(turn, change)?)
}

/// An answer finds what was asked; one that nobody waits for is dropped.
pub(crate) fn answered(turn: &mut Turn<'_>, id: u64, result: Result<Vec<u8>, Refusal>) -> Result<(), EngineError> {
    let Some(asked) = turn.live.link.as_mut().and_then(|link| link.asked.remove(&id)) else { return Ok(()) };
    match asked {
        Asked::PendingSubmit(submit_id) => answers::answered(turn, submit_id, result),
        Asked::Ack => Ok(()),
        Asked::Lookup(users) => pin_change::looked_up(turn, users, &read(result)),
        Asked::Log(user, from) => pin_change::fetched(turn, &user, from, read(result)),
        Asked::Bundle(user, device) => maintenance::bundle(turn, &user, &device, read(result)),
        Asked::Publish(seq) => prekeys::published(turn, seq, result.map(|_| ())),
        Asked::OneTime => prekeys::left(turn, read(result)),
        Asked::Waiting => devices::told(turn, read(result)),
        Asked::Append(seq) => pin_change::appended(turn, seq, result.map(|_| ())),
        Asked::Room => room::page(turn, read(result)),
        Asked::Presence => match read(result) {
            Ok(PresenceList { users }) => presence(turn, users, Vec::new()),
            // the next connection asks again, and so does whoever wants the list
            Err(_) => Ok(()),
        },
    }
}

/// An answer that cannot be read is as good as a failure of the server.
fn read<T: for<'b> Decode<'b, ()>>(result: Result<Vec<u8>, Refusal>) -> Result<T, Refusal> {
    let internal = |_| Refusal::new(chat_protocol::message::server::Code::Internal);
    result.and_then(|payload| cbor::decode(&payload).map_err(internal))
}

/// What the server says unasked.
pub(crate) fn pushed(turn: &mut Turn<'_>, push: Push) -> Result<(), EngineError> {
    match push {
        Push::Deliver(deliver) => inbox::delivered(turn, deliver),
        Push::Room(post) => room::pushed(turn, post),
        Push::Presence(change) => presence(turn, change.online, change.offline),
        Push::Reset(notice) => reset_waits(turn, notice.at),
        Push::LogGrew(grown) => {
            peers::refresh(turn, &[chat_protocol::message::client::UserHead { user: grown.user, head: grown.head }])
                .map(|_| ())
        }
        Push::DeviceWaits(_) => {
            devices::ask(turn);
            Ok(())
        }
        // what it was pushed behind has been taken already, whatever number it names
        Push::Drained(_) => {
            if let Some(link) = &mut turn.live.link {
                link.drained = true;
            }
            Ok(())
        }
    }
}

/// A reset of the own account waits, or no longer does: told once, however often the server says it.
fn reset_waits(turn: &mut Turn<'_>, at: Option<Timestamp>) -> Result<(), EngineError> {
    let at = at.map_or(0, Timestamp::as_millis);
    if Counter::Reset.get(turn.rows)? == at {
        return Ok(());
    }
    Counter::Reset.set(turn.rows, at)?;
    Ok(events::reset_pending(turn, (at > 0).then_some(at))?)
}

/// When a reset of the own account happens, in milliseconds; `None` while none waits.
///
/// # Errors
/// [`RowsError`].
pub fn reset_at(rows: &dyn Rows) -> Result<Option<u64>, RowsError> {
    Ok(Some(Counter::Reset.get(rows)?).filter(|at| *at > 0))
}

fn presence(turn: &mut Turn<'_>, online: Vec<Username>, offline: Vec<Username>) -> Result<(), EngineError> {
    online.iter().for_each(|user| peers::hurry(turn, user));
    turn.actions.push(Action::Presence { online, offline });
    Ok(())
}

/// What follows from the state the rows are in, once per batch of inputs.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    retention_clock::pump(turn)?;
    scheduler::sweep(turn)?;
    messages::tidy(turn)?;
    events::trim(turn)?;
    retention::sweep(turn)?;
    room::sweep(turn)?;
    expiry::sweep(turn)?;
    reorder::sweep(turn)?;
    sessions::sweep(turn)?;
    ahead::show_overdue(turn)?;
    peers::sweep(turn)?;
    let opening = inbox::pump(turn)?;
    if turn.live.link.is_none() {
        return Ok(());
    }
    mailbox::acknowledge(turn);
    own_log::pump(turn)?;
    prekeys::pump(turn)?;
    maintenance::pump(turn)?;
    sending::pump(turn)?;
    room::pump(turn)?;
    peers::ask_names(turn);
    say_synced(turn, opening)?;
    prekeys::sweep(turn)
}

fn say_synced(turn: &mut Turn<'_>, opening: bool) -> Result<(), EngineError> {
    let Some(link) = &mut turn.live.link else { return Ok(()) };
    if opening || link.synced || !link.drained {
        return Ok(());
    }
    link.synced = true;
    let replayed = link.replayed;
    Ok(events::synced(turn, replayed)?)
}
