//! What the mailbox delivered, and what the server may forget of it.
//!
//! Its numbers are the server's word: they ascend, mostly by one, and begin in another generation when it was put back
//! from a backup. So one far ahead cannot be told from a lie, and what was stored before is known by what came under its number, never by the
//! number alone. A connection acknowledges only what it delivered itself: a server that is honest begins behind what it
//! saw acknowledged, and delivers all of it.

use chat_protocol::message::client::MailboxAck;
use chat_protocol::message::server::{DeliveryId, LoggedIn};

use crate::rows::counter::Counter;
use crate::rows::{DELIVERED_EVEN, DELIVERED_ODD};
use crate::store::RowsError;
use crate::txn::Txn;
use crate::txn::live::Asked;

/// So many deliveries at least are remembered, and at most twice as many: several times what a server has under way
/// unacknowledged, for one that was put back from a backup.
const REMEMBERED: u64 = 10_000;

/// A login names the generation and what was acknowledged of it: numbers of another one say nothing about this.
pub(crate) fn online(txn: &mut Txn<'_>, logged_in: &LoggedIn) -> Result<(), RowsError> {
    if Counter::MailboxGeneration.get(txn.rows)? == logged_in.mailbox_generation {
        return Ok(());
    }
    Counter::MailboxGeneration.set(txn.rows, logged_in.mailbox_generation)?;
    Counter::Mailbox.set(txn.rows, logged_in.mailbox_acked)
}

/// Notes what is stored with this transaction. Its position among all that were ever taken; `None` if it was stored before:
/// then it is acknowledged again, and not looked at.
pub(crate) fn take(txn: &mut Txn<'_>, delivery: &DeliveryId) -> Result<Option<u64>, RowsError> {
    let DeliveryId { mailbox_seq: seq, hash, .. } = *delivery;
    let repeated = is_known(txn, seq, &hash)?;
    if let Some(link) = &mut txn.live.link {
        link.delivered = seq;
        link.replayed += u64::from(!repeated);
    }
    if repeated { Ok(None) } else { remember(txn, seq, &hash).map(Some) }
}

fn is_known(txn: &Txn<'_>, seq: u64, hash: &[u8; 32]) -> Result<bool, RowsError> {
    for half in [&DELIVERED_EVEN, &DELIVERED_ODD] {
        if half.get(txn.rows, &seq)?.is_some_and(|known| known == *hash) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn remember(txn: &mut Txn<'_>, seq: u64, hash: &[u8; 32]) -> Result<u64, RowsError> {
    if seq <= Counter::Mailbox.get(txn.rows)? {
        // they ascend: what came under higher numbers was out of turn, and is looked at again when its turn comes
        for half in [&DELIVERED_EVEN, &DELIVERED_ODD] {
            half.delete_range(txn.rows, seq..=u64::MAX)?;
        }
    }
    Counter::Mailbox.set(txn.rows, seq)?;
    // as soon as the one is full the other is emptied, and then filled; a count of its own, since the other follows what
    // was noted beside an older copy of the rows
    let nth = Counter::Remembered.next(txn.rows)?;
    let half = if (nth / REMEMBERED).is_multiple_of(2) { &DELIVERED_EVEN } else { &DELIVERED_ODD };
    if nth.is_multiple_of(REMEMBERED) {
        half.clear(txn.rows)?;
    }
    half.put(txn.rows, &seq, seq, hash)?;
    Counter::Taken.next(txn.rows)
}

/// Everything delivered is in this transaction; the server may forget it after the commit.
pub(crate) fn acknowledge(txn: &mut Txn<'_>) {
    let behind = txn.live.link.as_ref().filter(|link| link.acked != link.delivered);
    let Some(seq) = behind.map(|link| link.delivered) else { return };
    if txn.ask(Asked::Ack, &MailboxAck { seq })
        && let Some(link) = &mut txn.live.link
    {
        link.acked = seq;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, bob};

    #[test]
    fn what_was_delivered_is_remembered_although_the_count_of_all_deliveries_leaps() {
        let mut alice = Harness::new();
        let delivery = |seq: u64| DeliveryId { mailbox_seq: seq, hash: [seq as u8; 32], from: bob() };
        for seq in 1..=5 {
            assert!(alice.step(|txn| take(txn, &delivery(seq))).is_some());
        }
        // as far as was noted beside the rows, which are a copy of before
        alice.step(|txn| Counter::Taken.set(txn.rows, 2 * REMEMBERED - 1));
        assert_eq!(alice.step(|txn| take(txn, &delivery(6))), Some(2 * REMEMBERED));
        for seq in 1..=6 {
            assert_eq!(alice.step(|txn| take(txn, &delivery(seq))), None, "{seq} comes again");
        }
    }
}
