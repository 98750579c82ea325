//! What a peer's device says it got, and its user read, of the messages this device sent.

use chat_protocol::rpc::types::MessageState;
use std::ops::RangeInclusive;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::session::content::Ack;

use crate::queue::{numbers, retransmit};
use crate::records::changes;
use crate::records::history;
use crate::rows::{SENT, UNREAD};
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// A peer's device tells what it got of the messages this device sent to it.
pub(crate) fn heard(txn: &mut Txn<'_>, by: (&Username, &DeviceId), ack: &Ack) -> Result<(), RowsError> {
    let (Some(covered), (user, _)) = (covered(txn, by, ack)?, by) else { return Ok(()) };
    let sent = SENT.of(&(ack.epoch, user.clone()));
    let unsure_below = retransmit::unsure_below(ack);
    for (n, id) in sent.scan(txn.rows, covered, Direction::Ascending, usize::MAX)? {
        if ack.given_up.contains(&n) {
            history::advance(txn, &id, MessageState::NotReceived)?;
        } else if n >= unsure_below {
            history::advance(txn, &id, MessageState::Delivered)?;
            changes::delivered(txn, &id)?;
            sent.delete(txn.rows, &n)?;
            numbers::await_read(txn, user, (ack.epoch, n), &id)?;
        }
    }
    Ok(())
}

/// A peer's user has read what a device of theirs got, and nothing that none got.
pub(crate) fn read(txn: &mut Txn<'_>, by: (&Username, &DeviceId), ack: &Ack) -> Result<(), RowsError> {
    let (Some(covered), (user, _)) = (covered(txn, by, ack)?, by) else { return Ok(()) };
    let unread = UNREAD.of(&(ack.epoch, user.clone()));
    for (_, id) in unread.scan(txn.rows, covered.clone(), Direction::Ascending, usize::MAX)? {
        history::advance(txn, &id, MessageState::Read)?;
    }
    unread.delete_range(txn.rows, covered)
}

/// The numbers an acknowledgement covers, if such messages were ever sent: none from before the device was written to.
fn covered(
    txn: &Txn<'_>,
    (user, device): (&Username, &DeviceId),
    ack: &Ack,
) -> Result<Option<RangeInclusive<u64>>, RowsError> {
    let known = numbers::last_number(txn, user)?;
    if known.is_none_or(|(epoch, last)| ack.epoch != epoch || ack.below > last + 1) {
        tracing::warn!(%user, "acknowledgement of messages that were never sent");
        return Ok(None);
    }
    let first = numbers::first_number(txn, device, user, ack.epoch)?;
    Ok(first.zip(ack.below.checked_sub(1)).map(|(first, last)| first..=last).filter(|covered| !covered.is_empty()))
}
