//! Seals what is in line, as far as there is room under way.

use chat_protocol::ids::{DeviceId, Username};

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::compose::OutgoingContent;
use crate::queue::device_backlog::{self, Split};
use crate::queue::sealing::{self, Sealed};
use crate::queue::{catch_up, flush, log_entries, numbers, outbox, pending_submits, profiles};
use crate::records::{changes, history};
use crate::rows::outbox::SubmitKind;
use crate::rows::outbox::{Item, Number};
use crate::store::RowsError;
use crate::txn::Txn;

/// Sends whatever there is room for: first what is under way already, then what has to be sealed.
pub(crate) fn send_waiting(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    if txn.live.link.is_none() {
        return Ok(());
    }
    pending_submits::repeat(txn)?;
    seal_queues(txn)?;
    if catch_up::send_backlogs(txn)? {
        // what waited behind that
        seal_queues(txn)?;
    }
    log_entries::send_log_entries(txn)?;
    profiles::send_profiles(txn)?;
    flush::flush_own_receipts(txn)?;
    flush::flush_receipts(txn)
}

fn seal_queues(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    outbox::destinations(txn)?.iter().try_for_each(|to| seal_queue(txn, to))
}

/// Seals one recipient's messages in order, until one has to wait.
fn seal_queue(txn: &mut Txn<'_>, to: &Username) -> Result<(), EngineError> {
    while pending_submits::has_room(txn)? {
        let Some(item) = outbox::first(txn, to)? else { break };
        if item.only.is_some() {
            // in line since an earlier version
            outbox::forget(txn, &item)?;
            outbox::put_back(txn, &item)?;
            continue;
        }
        if !txn.is_time(item.after) {
            txn.wake(item.after);
            break;
        }
        if !seal_item(txn, item)? {
            break;
        }
    }
    Ok(())
}

/// Seals one message for every device of its recipient; false if it has to wait.
fn seal_item(txn: &mut Txn<'_>, mut item: Item) -> Result<bool, EngineError> {
    let Recipients::Devices(devices) = peers::recipients(txn, &item.to)? else { return Ok(false) };
    let outgoing = outgoing_content(txn, &item)?.filter(|_| !devices.is_empty());
    let Some(outgoing) = outgoing else {
        outbox::forget(txn, &item)?;
        return Ok(true);
    };
    let Some(Split { ready, lacking }) = device_backlog::split(txn, devices)? else { return Ok(false) };
    // somebody it is for has to get it
    if !ready.iter().any(|(user, _)| *user == item.to) {
        return Ok(false);
    }
    let number = match item.number {
        Some(number) => number,
        None => numbers::number_next(txn, &item)?,
    };
    item.number = Some(number);
    outbox::forget(txn, &item)?;
    lacking.iter().try_for_each(|device| device_backlog::keep(txn, &item, device))?;
    seal_for(txn, &ready, (&outgoing, number), item)?;
    Ok(true)
}

/// Seals what an item says for these devices, which can all be written to.
pub(crate) fn seal_for(
    txn: &mut Txn<'_>,
    devices: &[(Username, DeviceId)],
    (outgoing, number): (&OutgoingContent, Number),
    item: Item,
) -> Result<(), EngineError> {
    log_entries::accompany(txn, devices)?;
    profiles::accompany(txn, devices)?;
    let Sealed { heads, to } = sealing::seal_content(txn, &item.to, devices, outgoing, number)?;
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::Message(item))?)
}

/// What is to be written for an item; `None` if that is gone and leaves no gap in the numbers.
pub(crate) fn outgoing_content(txn: &Txn<'_>, item: &Item) -> Result<Option<OutgoingContent>, RowsError> {
    if let Some((_, message)) = history::get(txn.rows, &item.id)?.filter(|(_, message)| !message.deleted) {
        return Ok(Some(OutgoingContent::message(&message)));
    }
    if let Some(change) = changes::submitted(txn, &item.id)? {
        return Ok(Some(OutgoingContent::change(item.id, &change)));
    }
    Ok(item.number.map(|_| OutgoingContent::gone(item.id, txn)))
}
