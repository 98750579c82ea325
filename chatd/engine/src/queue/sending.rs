//! Seals what is in line, as far as there is room under way.

use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::Username;

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::queue::compose::OutgoingContent;
use crate::queue::device_backlog::{self, Split};
use crate::queue::item::{Item, Number};
use crate::queue::sealing::{self, Sealed};
use crate::queue::submit_kind::SubmitKind;
use crate::queue::{catch_up, flush, log_entries, numbers, outbox, pending_submits, profiles};
use crate::records::{changes, history};
use crate::store::RowsError;
use crate::turn::Turn;

/// Sends whatever there is room for: first what is under way already, then what has to be sealed.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    if turn.live.link.is_none() {
        return Ok(());
    }
    pending_submits::repeat(turn)?;
    seal_queues(turn)?;
    if catch_up::pump(turn)? {
        // what waited behind that
        seal_queues(turn)?;
    }
    log_entries::pump(turn)?;
    profiles::pump(turn)?;
    flush::flush_own_receipts(turn)?;
    flush::flush_receipts(turn)
}

fn seal_queues(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    outbox::destinations(turn)?.iter().try_for_each(|to| seal_queue(turn, to))
}

/// Seals one recipient's messages in order, until one has to wait.
fn seal_queue(turn: &mut Turn<'_>, to: &Username) -> Result<(), EngineError> {
    while pending_submits::has_room(turn)? {
        let Some(item) = outbox::first(turn, to)? else { break };
        if item.only.is_some() {
            // in line since an earlier version
            outbox::forget(turn, &item)?;
            outbox::put_back(turn, &item)?;
            continue;
        }
        if !turn.is_time(item.after) {
            turn.wake(item.after);
            break;
        }
        if !seal_item(turn, item)? {
            break;
        }
    }
    Ok(())
}

/// Seals one message for every device of its recipient; false if it has to wait.
fn seal_item(turn: &mut Turn<'_>, mut item: Item) -> Result<bool, EngineError> {
    let Recipients::Devices(devices) = peers::recipients(turn, &item.to)? else { return Ok(false) };
    let letter = letter(turn, &item)?.filter(|_| !devices.is_empty());
    let Some(letter) = letter else {
        outbox::forget(turn, &item)?;
        return Ok(true);
    };
    let Some(Split { ready, lacking }) = device_backlog::split(turn, devices)? else { return Ok(false) };
    // somebody it is for has to get it
    if !ready.iter().any(|(user, _)| *user == item.to) {
        return Ok(false);
    }
    let number = match item.number {
        Some(number) => number,
        None => numbers::number_next(turn, &item)?,
    };
    item.number = Some(number);
    outbox::forget(turn, &item)?;
    lacking.iter().try_for_each(|device| device_backlog::keep(turn, &item, device))?;
    seal_for(turn, &ready, (&letter, number), item)?;
    Ok(true)
}

/// Seals what an item says for these devices, which can all be written to.
pub(crate) fn seal_for(
    turn: &mut Turn<'_>,
    devices: &[(Username, DeviceCert)],
    said: (&OutgoingContent, Number),
    item: Item,
) -> Result<(), EngineError> {
    log_entries::accompany(turn, devices)?;
    profiles::accompany(turn, devices)?;
    let Sealed { heads, to } = sealing::seal_content(turn, &item.to, devices, said.0, said.1)?;
    Ok(pending_submits::submit_envelopes(turn, heads, to, SubmitKind::Message(item))?)
}

/// What is to be written for an item; `None` if that is gone and leaves no gap in the numbers.
pub(crate) fn letter(turn: &Turn<'_>, item: &Item) -> Result<Option<OutgoingContent>, RowsError> {
    if let Some((_, message)) = history::get(turn.rows, &item.id)?.filter(|(_, message)| !message.deleted) {
        return Ok(Some(OutgoingContent::message(&message)));
    }
    if let Some(change) = changes::submitted(turn, &item.id)? {
        return Ok(Some(OutgoingContent::change(item.id, &change)));
    }
    Ok(item.number.map(|_| OutgoingContent::gone(item.id, turn)))
}
