//! From which number on a device is to get what this one says in a conversation.
//!
//! Numbers are given per conversation and epoch, not per device: one that came later was never meant to get the first
//! of them. So the number of what was first sealed for a device, or kept for it, is noted and named in all it gets:
//! whatever of the rest does not arrive is missing, and nothing before it is delivered because that device got more.

use chat_protocol::ids::{DeviceId, Username};

use crate::rows::FIRST_NUMBERS;
use crate::rows::outbox::Number;
use crate::store::RowsError;
use crate::txn::Txn;

/// The rows may outlive this device, whose numbers say nothing of another one's.
fn key(txn: &Txn<'_>, chat: &Username, epoch: u64) -> (DeviceId, u64, Username) {
    (txn.me.device, epoch, chat.clone())
}

/// A device is to get this number of the conversation with `chat`, and whatever follows it.
pub(crate) fn begin(
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
pub(crate) fn forget(txn: &mut Txn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    FIRST_NUMBERS.of(device).clear(txn.rows)
}
