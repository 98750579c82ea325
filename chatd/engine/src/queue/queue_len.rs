//! How much waits in line, kept as a number: counting a hundred thousand rows for every new one would make sending
//! slower the longer the server is away.

use crate::rows::codec::Codec;
use crate::rows::family::Family;
use crate::rows::key::Key;
use crate::rows::{DESTINATIONS, POSTS, QUEUE, QUEUE_LEN};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Messages and posts in line. The rows are counted only where a store does not have the number yet.
pub(crate) fn waiting(rows: &dyn Rows) -> Result<u64, RowsError> {
    QUEUE_LEN.get(rows)?.map_or_else(|| counted(rows), Ok)
}

fn counted(rows: &dyn Rows) -> Result<u64, RowsError> {
    let mut total = POSTS.count(rows)?;
    for to in DESTINATIONS.all(rows)? {
        total += QUEUE.of(&to).count(rows)?;
    }
    Ok(total)
}

/// Puts a row in line.
pub(crate) fn join<K: Key, C: Codec>(
    txn: &mut Txn<'_>,
    line: &Family<K, C>,
    (key, order): (&K, u64),
    value: &C::Value,
) -> Result<(), RowsError> {
    let before = waiting(txn.rows)?;
    line.put(txn.rows, key, order, value)?;
    QUEUE_LEN.put(txn.rows, &(before + 1))
}

/// Takes a row out of the line, if it is there.
pub(crate) fn leave<K: Key, C: Codec>(txn: &mut Txn<'_>, line: &Family<K, C>, key: &K) -> Result<bool, RowsError> {
    let before = waiting(txn.rows)?;
    let was_there = line.delete(txn.rows, key)?;
    if was_there {
        QUEUE_LEN.put(txn.rows, &before.saturating_sub(1))?;
    }
    Ok(was_there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{Harness, bob};
    use crate::queue::outbox::{self, MAX_QUEUED_BY_TOKENS};

    #[test]
    fn atk_91_tokens_leave_the_user_half_of_what_may_wait_to_be_sent() {
        let mut alice = Harness::new();
        for (waiting, room) in [(MAX_QUEUED_BY_TOKENS - 1, true), (MAX_QUEUED_BY_TOKENS, false)] {
            alice.step(|txn| QUEUE_LEN.put(txn.rows, &waiting));
            assert_eq!(outbox::has_room_for_tokens(&alice.rows).unwrap(), room, "{waiting} wait");
        }
        alice.step(|txn| outbox::admit(txn));
    }

    #[test]
    fn the_number_is_that_of_the_rows_also_when_one_is_taken_out_twice() {
        let mut alice = Harness::new();
        let is = |alice: &Harness, wanted: u64| {
            assert_eq!((waiting(&alice.rows).unwrap(), counted(&alice.rows).unwrap()), (wanted, wanted));
        };
        is(&alice, 0);
        alice.sends("@bob", "one");
        alice.sends("@carol", "two");
        alice.sends("room:public", "three");
        is(&alice, 3);
        let first = alice.step(|txn| outbox::first(txn, &bob())).unwrap();
        for _ in 0..2 {
            alice.step(|txn| outbox::forget(txn, &first));
            is(&alice, 2);
        }
    }
}
