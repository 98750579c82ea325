//! The time that was seen to pass, as this device counts it: what every span is measured by, and what is kept of it.
//!
//! Spans begin and end in this time, whatever becomes of the clock meanwhile: a message waits, lives, is kept, and is
//! given up by it. The clock is for what people read, and for what they set by it: when a message is to be sent, until
//! when a chat is silent, when a token ends.

use std::time::Duration;

use chat_protocol::time::{Reading, SeenTime, Timestamp};

use crate::rows::SEEN_TIME;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// What is kept of the time is at most this old, as long as there is anything to do …
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// … and an idle daemon looks at the time this often.
const LONGEST_IDLE: Duration = Duration::from_secs(60 * 60);

/// Goes on from what the rows say.
pub(crate) fn begin(rows: &dyn Rows, at: Reading) -> Result<SeenTime, RowsError> {
    Ok(SeenTime::begin(SEEN_TIME.get(rows)?, at))
}

/// What the clock shows at a time that is about to be seen, as far as nobody sets it until then.
pub(crate) fn by_the_clock(rows: &dyn Rows, at: Timestamp) -> Result<Timestamp, RowsError> {
    // a time that was never kept began as the clock's
    Ok(SEEN_TIME.get(rows)?.map_or(at, |kept| kept.wall + at.since(kept.time)))
}

/// Keeps how far the time has come.
pub(crate) fn advance_clock(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    txn.wake(txn.now + LONGEST_IDLE);
    match txn.seen.to_keep(KEPT_EVERY) {
        Some(mark) => SEEN_TIME.put(txn.rows, &mark),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{BEGIN, DAY, Harness};

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn now(alice: &mut Harness) -> Timestamp {
        alice.step(|txn| Ok::<_, RowsError>(txn.now))
    }

    #[test]
    fn time_goes_on_over_a_restart_and_never_back() {
        let mut alice = Harness::new();
        alice.step(advance_clock);
        alice.passes(HOUR);
        alice.step(advance_clock);
        alice.sets_clock(BEGIN - DAY);
        alice.restarts();
        assert_eq!(now(&mut alice), BEGIN + HOUR);
        alice.passes(HOUR);
        assert_eq!(now(&mut alice), BEGIN + 2 * HOUR);
    }

    #[test]
    fn of_the_time_nobody_was_there_to_count_a_day_counts_at_most() {
        let mut alice = Harness::new();
        alice.step(advance_clock);
        alice.sets_clock(BEGIN + 30 * DAY);
        assert_eq!(now(&mut alice), BEGIN, "while it runs the clock tells nothing");
        alice.step(advance_clock);
        alice.sets_clock(BEGIN + 60 * DAY);
        alice.restarts();
        assert_eq!(now(&mut alice), BEGIN + DAY);
    }

    #[test]
    fn what_is_kept_is_a_minute_old_at_most_and_an_idle_daemon_looks_every_hour() {
        let mut alice = Harness::new();
        alice.step(advance_clock);
        assert_eq!(alice.due_in(), Some(LONGEST_IDLE));
        let kept = |alice: &Harness| begin(&alice.rows, Reading { wall: BEGIN, ran: Duration::ZERO }).unwrap();
        let before = kept(&alice);
        alice.passes(KEPT_EVERY - Duration::from_millis(1));
        alice.step(advance_clock);
        assert_eq!(kept(&alice), before, "nothing is written for less");
        alice.passes(Duration::from_millis(1));
        alice.step(advance_clock);
        assert_ne!(kept(&alice), before);
    }
}
