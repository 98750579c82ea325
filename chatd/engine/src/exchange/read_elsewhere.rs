//! What was read on another device of the account, perhaps before it came here.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::session::content::Ack;

use crate::model::error::EngineError;
use crate::peers;
use crate::queue::own_receipts;
use crate::records::history::{self, Message};
use crate::rows::READ_THERE;
use crate::rows::messages::ReadThere;
use crate::rows::outbox::Read;
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// The user has read something here: the own other devices are to know.
pub(crate) fn tell_read(txn: &mut Txn<'_>, peer: &Username, reads: &[Read]) -> Result<(), EngineError> {
    for device in peers::own_others(txn)? {
        for read in reads {
            own_receipts::schedule(txn, &device, peer, Some(read))?;
        }
    }
    Ok(())
}

/// The user has read something on another own device, perhaps before it came here.
pub(crate) fn read_there(txn: &mut Txn<'_>, (by, peer): (&DeviceId, &Username), ack: &Ack) -> Result<(), EngineError> {
    let Some(last) = ack.below.checked_sub(1).filter(|_| *peer != txn.me.user) else { return Ok(()) };
    let chat = history::private(peer);
    let there = READ_THERE.of(chat.as_str());
    let number = (ack.epoch, last);
    if there.get(txn.rows, &ack.device)?.is_none_or(|known| known.read.number < number) {
        let read = Read { device: ack.device, number };
        there.put(txn.rows, &ack.device, 0, &ReadThere { read, by: *by })?;
    }
    Ok(catch_up(txn, &chat)?)
}

/// A device of the account is none any more: what it said was read says nothing of what comes.
pub(crate) fn ended(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    for chat in history::chats(txn.rows, usize::MAX)? {
        let of_chat = READ_THERE.of(chat.id.as_str());
        for there in of_chat.all(txn.rows)? {
            if there.by == *device {
                of_chat.delete(txn.rows, &there.read.device)?;
            }
        }
    }
    Ok(())
}

/// A message of somebody else was stored: perhaps it was read elsewhere before.
pub(crate) fn stored(txn: &mut Txn<'_>, message: &Message) -> Result<(), RowsError> {
    if !message.mine && is_read_there(txn, message)? { catch_up(txn, &message.chat) } else { Ok(()) }
}

fn is_read_there(txn: &Txn<'_>, message: &Message) -> Result<bool, RowsError> {
    let (Some(device), Some(number)) = (message.device, message.number) else { return Ok(false) };
    let there = READ_THERE.of(message.chat.as_str()).get(txn.rows, &device)?;
    Ok(there.is_some_and(|there| number <= there.read.number))
}

/// Marks read what was read elsewhere, up to the first message that was not.
fn catch_up(txn: &mut Txn<'_>, id: &str) -> Result<(), RowsError> {
    let Some(chat) = history::chat(txn.rows, id)? else { return Ok(()) };
    let mut up_to = None;
    for (position, message) in history::page(
        txn.rows,
        id,
        chat.read_to + 1..=chat.last.max(chat.read_to + 1),
        Direction::Ascending,
        usize::MAX,
    )? {
        // a marker has no number: it was seen with what is around it
        if !message.mine && message.number.is_some() && !is_read_there(txn, &message)? {
            break;
        }
        if is_read_there(txn, &message)? {
            up_to = Some(position);
        }
    }
    match up_to {
        Some(_) => history::mark_read(txn, id, up_to).map(drop),
        None => Ok(()),
    }
}
