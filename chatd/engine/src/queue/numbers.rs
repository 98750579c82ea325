//! The author's numbers of each conversation, which messages bear them, and from which on a device is to get them.
//!
//! Numbers are given per conversation and epoch, not per device: one that came later was never meant to get the first
//! of them. So the number of what was first sealed for a device, or kept for it, is noted and named in all it gets:
//! whatever of the rest does not arrive is missing, and nothing before it is delivered because that device got more.

use chat_protocol::ids::{DeviceId, MessageId, Username};

use crate::rows::counter::Counter;
use crate::rows::outbox::{Item, Number};
use crate::rows::{FIRST_NUMBERS, NUMBERS, SENT, UNREAD};
use crate::store::RowsError;
use crate::txn::Txn;

/// Most delivered messages to one user that wait to be reported read.
const MAX_UNREAD: u64 = 10_000;

/// The next number of the conversation, remembered so that an acknowledgement finds its message.
pub(crate) fn number_next(txn: &mut Txn<'_>, item: &Item) -> Result<Number, RowsError> {
    let epoch = Counter::Epoch.get(txn.rows)?;
    let last = NUMBERS.get(txn.rows, &item.to)?;
    if last.is_none() {
        // whoever is answered in any way is known from now on
        txn.live.requests_looked = None;
        txn.wake(txn.now);
    }
    let n = match last {
        Some((known, n)) if known == epoch => n + 1,
        _ => 1,
    };
    NUMBERS.put(txn.rows, &item.to, 0, &(epoch, n))?;
    if item.to == txn.me.user {
        // nobody's acknowledgement is waited for
        return Ok((epoch, n));
    }
    SENT.of(&(epoch, item.to.clone())).put(txn.rows, &n, n, &item.id)?;
    Ok((epoch, n))
}

/// Remembers a delivered message until it is read. Whoever never tells costs a bounded number of rows.
pub(crate) fn await_read(
    txn: &mut Txn<'_>,
    to: &Username,
    (epoch, n): Number,
    id: &MessageId,
) -> Result<(), RowsError> {
    let unread = UNREAD.of(&(epoch, to.clone()));
    unread.put(txn.rows, &n, n, id)?;
    match n.checked_sub(MAX_UNREAD) {
        Some(old) => unread.delete_range(txn.rows, 0..=old),
        None => Ok(()),
    }
}

/// The highest number given to a message for `to`.
pub(crate) fn last_number(txn: &Txn<'_>, to: &Username) -> Result<Option<Number>, RowsError> {
    NUMBERS.get(txn.rows, to)
}

/// The rows may outlive this device, whose numbers say nothing of another one's.
fn key(txn: &Txn<'_>, chat: &Username, epoch: u64) -> (DeviceId, u64, Username) {
    (txn.me.device, epoch, chat.clone())
}

/// A device is to get this number of the conversation with `chat`, and whatever follows it.
pub(crate) fn begin_for(
    txn: &mut Txn<'_>,
    device: &DeviceId,
    chat: &Username,
    (epoch, n): Number,
) -> Result<(), RowsError> {
    if first_number(txn, device, chat, epoch)?.is_some() {
        return Ok(());
    }
    let key = key(txn, chat, epoch);
    FIRST_NUMBERS.of(device).put(txn.rows, &key, 0, &n)
}

/// The first number of the conversation with `chat` that is for a device, if any is.
pub(crate) fn first_number(
    txn: &Txn<'_>,
    device: &DeviceId,
    chat: &Username,
    epoch: u64,
) -> Result<Option<u64>, RowsError> {
    FIRST_NUMBERS.of(device).get(txn.rows, &key(txn, chat, epoch))
}

/// Nothing goes to a device that is no longer trusted.
pub(crate) fn forget_device(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    FIRST_NUMBERS.of(device).clear(txn.rows)
}
