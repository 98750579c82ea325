//! What the server says about a pending submit, and what follows.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::message::client::Submit;
use chat_protocol::message::server::{Code, Refusal};
use chat_protocol::message::{Answer, Call};
use chat_protocol::rpc::types::{FailReason, MessageState};

use crate::model::error::EngineError;
use crate::queue::{
    device_backlog, failing, log_entries, mailbox_full, outbox, own_receipts, pending_submits, profiles, receipts,
};
use crate::records::history;
use crate::rows::outbox::{PendingOwnReceipt, PendingSubmit, SubmitKind};
use crate::store::RowsError;
use crate::txn::live::Subject;
use crate::txn::{self, LONGEST_PAUSE, Txn};
use crate::{peers, sessions};

/// Pause after `internal`, and after `busy` or `rate_limited` without a time of the server's own.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
/// The least pause after a refusal that names one: doubled with every refusal, whatever the server names.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Pause before a full mailbox is tried again.
const FULL_PAUSE: Duration = Duration::from_secs(60);
/// A log that is said to have grown is looked at and believed so often in a row without a pause.
const AT_ONCE: u32 = 4;

/// What the server said about a pending submit.
pub(crate) fn answered(txn: &mut Txn<'_>, id: SubmitId, answer: Result<Answer, Refusal>) -> Result<(), EngineError> {
    let Some(pending) = pending_submits::find(txn, &id)? else { return Ok(()) };
    match answer {
        Ok(answer) => match (&pending.kind, answer) {
            (SubmitKind::Post(_), Answer::RoomPost(_)) => accepted(txn, pending, &[]),
            (SubmitKind::Post(_), _) => refused(txn, pending, &Refusal::new(Code::Internal)),
            (_, Answer::Submit(answer)) => accepted(txn, pending, &answer.full),
            _ => refused(txn, pending, &Refusal::new(Code::Internal)),
        },
        Err(refusal) => refused(txn, pending, &refusal),
    }
}

fn accepted(txn: &mut Txn<'_>, pending: PendingSubmit, full: &[DeviceId]) -> Result<(), EngineError> {
    pending_submits::complete(txn, &pending)?;
    sessions::accepted(txn, &pending.payload, full)?;
    match &pending.kind {
        SubmitKind::Post(id) => history::advance(txn, id, MessageState::Accepted)?,
        SubmitKind::Message(item) => {
            history::advance(txn, &item.id, MessageState::Accepted)?;
        }
        control => control.device().into_iter().for_each(|device| txn.succeeded(&Subject::Device(*device))),
    }
    if full.is_empty() {
        return Ok(());
    }
    Ok(retry_full(txn, &pending, full)?)
}

/// The same envelope for each device that had no room, under a new id.
fn retry_full(txn: &mut Txn<'_>, pending: &PendingSubmit, full: &[DeviceId]) -> Result<(), RowsError> {
    let Ok(submit) = cbor::decode::<Submit>(&pending.payload) else { return Ok(()) };
    for to in submit.to.into_iter().filter(|to| full.contains(&to.device)) {
        let kind = pending.kind.only_for(&to.device);
        let alone = Submit {
            submit_id: pending_submits::next_submit_id(txn)?,
            heads: submit.heads.clone(),
            to: vec![to],
            group: submit.group,
        };
        let mut next = PendingSubmit::new(alone.submit_id, Submit::TYPE, cbor::encode(&alone), kind);
        next.put_off = pending.put_off;
        wait_for_room(txn, next)?;
    }
    Ok(())
}

fn refused(txn: &mut Txn<'_>, pending: PendingSubmit, refusal: &Refusal) -> Result<(), EngineError> {
    match refusal.code {
        Code::Busy | Code::RateLimited => put_off(txn, pending, refusal),
        // this one alone cannot be stored: those behind it have done nothing
        Code::Internal => Ok(set_aside(txn, pending, BUSY_PAUSE)?),
        Code::MailboxFull => Ok(wait_for_room(txn, pending)?),
        Code::Stale => stale(txn, pending, refusal),
        Code::NotFound => fail(txn, pending, FailReason::NotFound),
        Code::TooLarge => fail(txn, pending, FailReason::TooLarge),
        _ => fail(txn, pending, FailReason::ServerRejected),
    }
}

/// Sets a pending submit aside until there may be room in the mailbox, and holds up what else goes there.
fn wait_for_room(txn: &mut Txn<'_>, pending: PendingSubmit) -> Result<(), RowsError> {
    mailbox_full::waits(txn, &pending)?;
    set_aside(txn, pending, FULL_PAUSE)
}

/// Lets a pending submit wait outside the window; `pause` doubles each time.
fn set_aside(txn: &mut Txn<'_>, mut pending: PendingSubmit, pause: Duration) -> Result<(), RowsError> {
    pending.after = txn.now + txn::doubled(pause, pending.put_off);
    pending.put_off = pending.put_off.saturating_add(1);
    pending_submits::defer(txn, &pending)
}

fn put_off(txn: &mut Txn<'_>, mut pending: PendingSubmit, refusal: &Refusal) -> Result<(), EngineError> {
    let named =
        |millis| Duration::from_millis(millis).max(txn::doubled(SHORTEST_PAUSE, pending.put_off)).min(LONGEST_PAUSE);
    let pause = refusal.retry_after_ms.map_or_else(|| txn::doubled(BUSY_PAUSE, pending.put_off), named);
    pending.put_off = pending.put_off.saturating_add(1);
    pending.after = txn.now + pause;
    match pending.kind {
        // The room has a rate of its own, and its posts keep their order in a line of their own.
        SubmitKind::Post(_) => pending_submits::defer(txn, &pending)?,
        _ => pending_submits::put_off(txn, &pending)?,
    }
    Ok(())
}

/// Nothing was stored: the message goes back in line, for the set of devices that will be verified.
fn stale(txn: &mut Txn<'_>, pending: PendingSubmit, refusal: &Refusal) -> Result<(), EngineError> {
    pending_submits::complete(txn, &pending)?;
    let heads = refusal.heads.as_deref().unwrap_or_default();
    let grown = peers::refresh(txn, heads)?;
    peers::behind::refused_at(txn, heads)?;
    match pending.kind {
        SubmitKind::Message(mut item) => {
            item.refused += 1;
            item.after = txn.now + stale_pause(grown, item.refused);
            if item.only.is_none() {
                device_backlog::take_back(txn, &item)?;
            }
            outbox::put_back(txn, &item)?;
        }
        SubmitKind::Post(id) => history::fail(txn, &id, FailReason::ServerRejected)?,
        control => schedule_again(txn, control, grown)?,
    }
    Ok(())
}

/// A server that says `stale` and shows nothing new is not followed in a circle.
fn stale_pause(grown: bool, refused: u32) -> Duration {
    if grown && refused < AT_ONCE { Duration::ZERO } else { txn::doubled(BUSY_PAUSE, refused) }
}

/// What is no message was refused, and is still to be told: at once where a log has `grown`, unless that is said of the
/// same device again and again.
fn schedule_again(txn: &mut Txn<'_>, kind: SubmitKind, grown: bool) -> Result<(), EngineError> {
    let Some(device) = kind.device().copied() else { return Ok(()) };
    let pause = stale_pause(grown, txn.once_more(Subject::Device(device)));
    match kind {
        SubmitKind::Receipt(user, _, _) if user == txn.me.user => {}
        SubmitKind::Receipt(user, device, read) => receipts::schedule_later(txn, &user, &device, (read, pause))?,
        SubmitKind::Reset(user, device) => sessions::reset_again(txn, &user, &device, pause)?,
        SubmitKind::Profile(user, device) => profiles::untold(txn, &user, &device, pause.is_zero())?,
        SubmitKind::Log(user, device) => log_entries::untold(txn, &user, &device)?,
        SubmitKind::OwnDevice(pending) => {
            own_receipts::schedule_again(txn, &PendingOwnReceipt { after: txn.now + pause, ..pending })?
        }
        SubmitKind::Message(_) | SubmitKind::Post(_) => {}
    }
    Ok(())
}

fn fail(txn: &mut Txn<'_>, pending: PendingSubmit, reason: FailReason) -> Result<(), EngineError> {
    pending_submits::complete(txn, &pending)?;
    match pending.kind {
        // one that went again to a single device has not failed for the others
        SubmitKind::Message(item) if item.only.is_some() => {}
        SubmitKind::Message(item) => {
            device_backlog::take_back(txn, &item)?;
            failing::give_up(txn, &item, reason)?;
        }
        SubmitKind::Post(id) => history::fail(txn, &id, reason)?,
        control => schedule_again(txn, control, false)?,
    }
    Ok(())
}
