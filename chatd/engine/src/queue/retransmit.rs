//! Sending again what a device may not have been able to open.
//!
//! Whatever is sealed for a device is noted until that device acknowledges it: that another one of its account did says
//! nothing of it. It goes again under its id and number, so that it is shown once and in its place. Where the device
//! asked for it by a reset, each message goes again once, and only while it is young: nobody draws old ones out of
//! here, and what was never sealed for a device, as to one that came later, not at all.

use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::limits::MAX_GIVEN_UP;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::session::content::Ack;
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::queue::{numbers, outbox};
use crate::records::changes::{self, RESENT_WITHIN};
use crate::records::history;
use crate::rows::counter::Counter;
use crate::rows::outbox::{Item, Number};
use crate::rows::{CONVERSATIONS, SENT_AGAIN, UNACKNOWLEDGED};
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// Most messages of one conversation that are noted for a device.
const MOST: u64 = 10_000;

/// A message was sealed for a device, in the conversation with `chat`.
pub(crate) fn sealed(
    txn: &mut Txn<'_>,
    device: &DeviceId,
    chat: &Username,
    ((epoch, n), id): (Number, &MessageId),
) -> Result<(), RowsError> {
    numbers::begin_for(txn, device, chat, (epoch, n))?;
    let (conversation, noted) = ((epoch, chat.clone()), UNACKNOWLEDGED.of(&(*device, epoch, chat.clone())));
    CONVERSATIONS.of(device).put(txn.rows, &conversation, 0, &conversation)?;
    noted.put(txn.rows, &n, n, id)?;
    if noted.count(txn.rows)? > MOST
        && let Some((oldest, _)) = noted.first(txn.rows)?
    {
        noted.delete_range(txn.rows, 0..=oldest)?;
    }
    Ok(())
}

/// A device tells what it got in the conversation with `chat`.
pub(crate) fn acknowledged(txn: &mut Txn<'_>, device: &DeviceId, chat: &Username, ack: &Ack) -> Result<(), RowsError> {
    let Some(below) = ack.below.checked_sub(1) else { return Ok(()) };
    let noted = UNACKNOWLEDGED.of(&(*device, ack.epoch, chat.clone()));
    let mut from = unsure_below(ack);
    for given_up in ack.given_up.iter().copied().chain([below + 1]) {
        if let Some(last) = given_up.min(below + 1).checked_sub(1).filter(|last| from <= *last) {
            noted.delete_range(txn.rows, from..=last)?;
        }
        from = from.max(given_up.saturating_add(1));
    }
    if noted.is_empty(txn.rows)? {
        CONVERSATIONS.of(device).delete(txn.rows, &(ack.epoch, chat.clone()))?;
    }
    Ok(())
}

/// A full list of what was given up may leave lower numbers out: of those nothing is concluded.
pub(crate) fn unsure_below(ack: &Ack) -> u64 {
    let full = ack.given_up.len() >= MAX_GIVEN_UP;
    if full { ack.given_up.iter().min().copied().unwrap_or(0) } else { 0 }
}

/// Nothing goes again to a device that is no longer trusted.
pub(crate) fn forget_device(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    numbers::forget_device(txn, device)?;
    for (epoch, chat) in conversations(txn, device)? {
        UNACKNOWLEDGED.of(&(*device, epoch, chat)).clear(txn.rows)?;
    }
    CONVERSATIONS.of(device).clear(txn.rows)
}

/// Whether a device did not acknowledge something that was sealed for it.
pub(crate) fn is_unacknowledged(txn: &Txn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(!CONVERSATIONS.of(device).is_empty(txn.rows)?)
}

/// Sends a device everything that it did not acknowledge.
pub(crate) fn send_unacknowledged(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), EngineError> {
    for (item, _) in unacknowledged(txn, device)? {
        outbox::put_back(txn, &item)?;
    }
    Ok(())
}

/// The device says that it could not open what it got: once for each message, and for young ones only.
pub(crate) fn was_reset(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), EngineError> {
    let oldest = txn.now - RESENT_WITHIN;
    SENT_AGAIN.delete_range(txn.rows, 0..=oldest.as_millis())?;
    for (item, said) in unacknowledged(txn, device)? {
        let mark = (*device, item.id);
        if said > oldest && !SENT_AGAIN.has(txn.rows, &mark)? {
            SENT_AGAIN.put(txn.rows, &mark, said.as_millis(), &())?;
            outbox::put_back(txn, &item)?;
        }
    }
    Ok(())
}

fn conversations(txn: &Txn<'_>, device: &DeviceId) -> Result<Vec<(u64, Username)>, RowsError> {
    CONVERSATIONS.of(device).all(txn.rows)
}

/// What was sealed for a device and not acknowledged by it, as items for it alone, and when each was said.
fn unacknowledged(txn: &mut Txn<'_>, device: &DeviceId) -> Result<Vec<(Item, Timestamp)>, EngineError> {
    let mut items = Vec::new();
    for (epoch, to) in conversations(txn, device)? {
        let noted = UNACKNOWLEDGED.of(&(*device, epoch, to.clone()));
        for (n, id) in noted.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
            let Some(said) = said(txn, &id)? else { continue };
            let (position, number) = (Counter::Outbox.next(txn.rows)?, Some((epoch, n)));
            let only = Some(*device);
            items.push((Item { position, id, to: to.clone(), number, refused: 0, after: Timestamp::ZERO, only }, said));
        }
    }
    Ok(items)
}

/// When something that is with the server was said; `None` for what waits, has ended, or is gone.
fn said(txn: &Txn<'_>, id: &MessageId) -> Result<Option<Timestamp>, RowsError> {
    if let Some((_, message)) = history::get(txn.rows, id)? {
        let sent = matches!(
            message.state,
            Some(MessageState::Accepted | MessageState::NotReceived | MessageState::Delivered | MessageState::Read)
        );
        return Ok(Some(message.kept).filter(|_| sent));
    }
    Ok(changes::submitted(txn, id)?.map(|change| change.kept))
}
