//! The connection as the engine sees it: what to do when it comes, what its answers belong to.

use chat_protocol::ids::Username;
use chat_protocol::message::client::{
    BundleFetch, DevicesWaiting, LogFetch, Lookup, OneTimeStatus, PresenceWatch, RoomSince,
};
use chat_protocol::message::server::{Code, LoggedIn, PresenceList, Push, Refusal};
use chat_protocol::message::{Answer, Answered};
use chat_protocol::rpc::events::ConnectionChanged;
use chat_protocol::rpc::types::ConnectionState;
use chat_protocol::time::Timestamp;

use crate::commands::messages;
use crate::drive::scheduler;
use crate::exchange::{ahead, devices, inbox, own_log, pin_change, reorder, requests, room};
use crate::model::error::EngineError;
use crate::peers;
use crate::queue::{answers, expiry, sending, session_maintenance, withdraw};
use crate::records::settings::Settings;
use crate::records::{events, mailbox, retention, seen};
use crate::rows::counter::Counter;
use crate::sessions::{self, prekeys};
use crate::store::{Rows, RowsError};
use crate::txn::action::Action;
use crate::txn::live::{self, Asked, Link};
use crate::txn::open_requests::OpenRequests;
use crate::txn::{Txn, retention_clock};

/// The link is logged in: everything in flight is repeated, everything missed is asked for.
pub(crate) fn online(txn: &mut Txn<'_>, logged_in: &LoggedIn, offset_ms: i64) -> Result<(), EngineError> {
    txn.live.link = Some(Link {
        offset_ms,
        server_ahead_ms: difference(txn.clock, txn.now).saturating_add(offset_ms),
        requests: OpenRequests::default(),
        pending_submits: Some(txn.now),
        deferred: Some(txn.now),
        acked: 0,
        delivered: 0,
        drained: false,
        synced: false,
        replayed: 0,
        room_last: logged_in.room_last,
        room_asked: 0,
    });
    txn.live.pause.clear();
    txn.live.missing.clear();
    txn.live.bundle_since.clear();
    // a new connection is asked anew before anything is said about the server
    txn.live.withheld = None;
    if sessions::check_device(txn)? {
        withdraw::withdraw_foreign_submits(txn)?;
    }
    mailbox::online(txn, logged_in)?;
    sessions::check_rollback(txn, logged_in)?;
    room::online(txn, logged_in.room_last)?;
    prekeys::online(txn, logged_in)?;
    // changes are pushed only to those who asked once
    let visible = Settings::get(txn.rows)?.presence;
    txn.ask(Asked::Presence, &PresenceWatch { visible });
    let me = peers::own_table(txn)?;
    txn.live.own_log_at_server = None;
    if logged_in.head != me.head {
        txn.live.own_log_at_server = Some(logged_in.head);
        peers::fetch(txn, &me.user)?;
    }
    devices::ask(txn);
    reset_waits(txn, logged_in.reset_pending)?;
    compare_clocks(txn, offset_ms)?;
    sessions::note_agreement(txn)?;
    let state = ConnectionState::Online;
    Ok(events::connection(txn, ConnectionChanged { state, reason: None, trouble: None, next_retry_ms: None })?)
}

/// How far one time is ahead of another, in milliseconds.
fn difference(ahead: Timestamp, behind: Timestamp) -> i64 {
    let millis = |time: Timestamp| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    millis(ahead).saturating_sub(millis(behind))
}

/// The clocks have come apart: told once, however many connections that lasts.
fn compare_clocks(txn: &mut Txn<'_>, offset_ms: i64) -> Result<(), EngineError> {
    let (before, now) = (Counter::Skewed.get(txn.rows)? > 0, live::is_skewed(offset_ms));
    if before == now {
        return Ok(());
    }
    Counter::Skewed.set(txn.rows, now.into())?;
    if now { Ok(events::clock_skew(txn, offset_ms)?) } else { Ok(()) }
}

/// The link is down, on its way, or refused.
pub(crate) fn not_online(txn: &mut Txn<'_>, change: ConnectionChanged) -> Result<(), EngineError> {
    txn.live.link = None;
    txn.live.pages.clear();
    txn.live.names.clear();
    Ok(events::connection(txn, change)?)
}

/// An answer finds what was asked; one that nobody waits for is dropped.
pub(crate) fn answered(txn: &mut Txn<'_>, id: u64, result: Result<Answer, Refusal>) -> Result<(), EngineError> {
    let Some(asked) = txn.live.link.as_mut().and_then(|link| link.requests.answered(id)) else { return Ok(()) };
    match asked {
        Asked::PendingSubmit(submit_id) => answers::answered(txn, submit_id, result),
        Asked::Ack => Ok(()),
        Asked::Lookup(users) => pin_change::looked_up(txn, users, &read::<Lookup>(result)),
        Asked::Log(user, from) => pin_change::fetched(txn, &user, from, read::<LogFetch>(result)),
        Asked::Bundle(user, device) => session_maintenance::bundle(txn, &user, &device, read::<BundleFetch>(result)),
        Asked::Publish(seq) => prekeys::published(txn, seq, result.map(|_| ())),
        Asked::OneTime => prekeys::left(txn, read::<OneTimeStatus>(result)),
        Asked::Waiting => devices::set_waiting_devices(txn, read::<DevicesWaiting>(result)),
        Asked::Append(seq) => pin_change::appended(txn, seq, result.map(|_| ())),
        Asked::Room => room::page(txn, read::<RoomSince>(result)),
        Asked::Presence => match read::<PresenceWatch>(result) {
            Ok(PresenceList { users }) => presence(txn, users, Vec::new()),
            // the next connection asks again, and so does whoever wants the list
            Err(_) => Ok(()),
        },
    }
}

/// The answer to another request is as good as a failure of the server.
fn read<T: Answered>(result: Result<Answer, Refusal>) -> Result<T::Answer, Refusal> {
    result.and_then(|answer| T::of(answer).ok_or_else(|| Refusal::new(Code::Internal)))
}

/// What the server says unasked.
pub(crate) fn pushed(txn: &mut Txn<'_>, push: Push) -> Result<(), EngineError> {
    match push {
        Push::Deliver(deliver) => inbox::delivered(txn, deliver),
        Push::Room(post) => room::pushed(txn, post),
        Push::RoomGrew(grown) => {
            room::grew(txn, grown.seq);
            Ok(())
        }
        Push::Presence(change) => presence(txn, change.online, change.offline),
        Push::Reset(notice) => reset_waits(txn, notice.at),
        Push::LogGrew(grown) => {
            peers::refresh(txn, &[chat_protocol::message::client::UserHead { user: grown.user, head: grown.head }])
                .map(|_| ())
        }
        Push::DeviceWaits(_) => {
            devices::ask(txn);
            Ok(())
        }
        // what it was pushed behind has been taken already, whatever number it names
        Push::Drained(_) => {
            if let Some(link) = &mut txn.live.link {
                link.drained = true;
            }
            Ok(())
        }
    }
}

/// A reset of the own account waits, or no longer does: told once, however often the server says it.
fn reset_waits(txn: &mut Txn<'_>, at: Option<Timestamp>) -> Result<(), EngineError> {
    let at = at.map_or(0, Timestamp::as_millis);
    if Counter::Reset.get(txn.rows)? == at {
        return Ok(());
    }
    Counter::Reset.set(txn.rows, at)?;
    Ok(events::reset_pending(txn, (at > 0).then_some(at))?)
}

/// When a reset of the own account happens, in milliseconds; `None` while none waits.
///
/// # Errors
/// [`RowsError`].
pub fn reset_at(rows: &dyn Rows) -> Result<Option<u64>, RowsError> {
    Ok(Some(Counter::Reset.get(rows)?).filter(|at| *at > 0))
}

fn presence(txn: &mut Txn<'_>, online: Vec<Username>, offline: Vec<Username>) -> Result<(), EngineError> {
    online.iter().for_each(|user| peers::hurry(txn, user));
    txn.actions.push(Action::Presence { online, offline });
    Ok(())
}

/// What follows from the state the rows are in, once per batch of inputs.
pub(crate) fn run_due(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    retention_clock::advance_clock(txn)?;
    scheduler::run_timers(txn)?;
    messages::expire_client_ids(txn)?;
    events::trim(txn)?;
    retention::expire_history(txn)?;
    seen::forget_old(txn)?;
    room::forget_old(txn)?;
    expiry::expire_outbox(txn)?;
    reorder::give_up_gaps(txn)?;
    sessions::expire_skipped_keys(txn)?;
    ahead::show_overdue(txn)?;
    requests::release_known(txn)?;
    peers::report_withheld_logs(txn)?;
    let opening = inbox::open_waiting(txn)?;
    if txn.live.link.is_none() {
        return Ok(());
    }
    mailbox::acknowledge(txn);
    own_log::maintain_own_log(txn)?;
    prekeys::publish_bundle(txn)?;
    session_maintenance::send_session_maintenance(txn)?;
    sending::send_waiting(txn)?;
    room::maintain_room(txn)?;
    peers::ask_names(txn);
    say_synced(txn, opening)?;
    prekeys::expire_prekeys(txn)
}

fn say_synced(txn: &mut Txn<'_>, opening: bool) -> Result<(), EngineError> {
    let Some(link) = &mut txn.live.link else { return Ok(()) };
    if opening || link.synced || !link.drained {
        return Ok(());
    }
    link.synced = true;
    let replayed = link.replayed;
    Ok(events::synced(txn, replayed)?)
}
