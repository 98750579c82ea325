//! Timers of messages: to be sent later, to expire, or overdue.
//!
//! A timer is a row, ordered by its time, so it survives restarts and whoever looks for what is due reads two rows only.
//! Setting one anew replaces it. A message is sent when the clock says so; a span is over when so much time was seen to
//! pass.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::time::Timestamp;

use crate::rows::codec::Cbor;
use crate::rows::family::Family;
use crate::rows::state::{Due, Timer};
use crate::rows::{SPANS, TIMES};
use crate::store::RowsError;
use crate::txn::Txn;

/// As long as anything goes by the clock it is looked at this often: nobody says when it is set.
const CLOCK_LOOKED_AT: Duration = Duration::from_secs(60);

/// What the time of a timer is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The clock.
    Clock,
    /// The time that was seen to pass.
    Span,
}

impl Measure {
    const fn of(due: Due) -> Self {
        match due {
            Due::Send => Self::Clock,
            Due::Expire | Due::Overdue => Self::Span,
        }
    }

    /// The timers that are measured so.
    pub(crate) const fn timers(self) -> &'static Family<(Due, MessageId), Cbor<Timer>> {
        match self {
            Self::Clock => &TIMES,
            Self::Span => &SPANS,
        }
    }

    /// How far it has come.
    pub(crate) const fn time(self, txn: &Txn<'_>) -> Timestamp {
        match self {
            Self::Clock => txn.clock,
            Self::Span => txn.now,
        }
    }

    /// Asks for a tick at `at`, or before.
    pub(crate) fn wake(self, txn: &mut Txn<'_>, at: Timestamp) {
        let left = at.since(self.time(txn));
        txn.wake(txn.now + if self == Self::Clock { left.min(CLOCK_LOOKED_AT) } else { left });
    }
}

/// Sets the timer of a message; `at` is a time of the clock for [`Due::Send`], and of [`Txn::now`] for the others.
pub(crate) fn set(txn: &mut Txn<'_>, due: Due, id: MessageId, at: Timestamp) -> Result<(), RowsError> {
    let measure = Measure::of(due);
    measure.wake(txn, at);
    measure.timers().put(txn.rows, &(due, id), at.as_millis(), &Timer { due, id })
}

/// Takes it back, if there is one.
pub(crate) fn clear(txn: &mut Txn<'_>, due: Due, id: &MessageId) -> Result<(), RowsError> {
    Measure::of(due).timers().delete(txn.rows, &(due, *id)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::scheduler::run_timers;
    use crate::harness::{BEGIN, Harness};

    const ID: MessageId = MessageId::new([7; 16]);
    const TEN_MINUTES: Duration = Duration::from_secs(600);

    fn sets(alice: &mut Harness, due: Due, span: Duration) {
        alice.step(|txn| set(txn, due, ID, BEGIN + span));
    }

    /// When a process that begins now wants to be woken.
    fn due_after_a_restart(alice: &mut Harness) -> Option<Duration> {
        alice.restarts();
        alice.step(run_timers);
        alice.due_in()
    }

    #[test]
    fn a_timer_survives_a_restart_and_is_replaced_by_another_of_its_kind() {
        let mut alice = Harness::new();
        sets(&mut alice, Due::Expire, TEN_MINUTES);
        assert_eq!(alice.due_in(), Some(TEN_MINUTES));
        assert_eq!(due_after_a_restart(&mut alice), Some(TEN_MINUTES));
        sets(&mut alice, Due::Expire, 2 * TEN_MINUTES);
        assert_eq!(due_after_a_restart(&mut alice), Some(2 * TEN_MINUTES));
        sets(&mut alice, Due::Overdue, 3 * TEN_MINUTES);
        alice.step(|txn| clear(txn, Due::Expire, &ID));
        assert_eq!(due_after_a_restart(&mut alice), Some(3 * TEN_MINUTES), "the others stay");
        alice.step(|txn| clear(txn, Due::Overdue, &ID));
        assert_eq!(due_after_a_restart(&mut alice), None);
    }

    #[test]
    fn what_goes_by_the_clock_is_looked_at_every_minute_and_what_goes_by_spans_is_not() {
        let mut alice = Harness::new();
        sets(&mut alice, Due::Expire, TEN_MINUTES);
        assert_eq!(alice.due_in(), Some(TEN_MINUTES));
        sets(&mut alice, Due::Send, TEN_MINUTES);
        assert_eq!(alice.due_in(), Some(CLOCK_LOOKED_AT));
    }

    #[test]
    fn a_clock_that_is_set_moves_what_goes_by_it_and_no_span() {
        let mut alice = Harness::new();
        let (clock, span) = (Timestamp::from_millis(u64::MAX / 2), TEN_MINUTES);
        alice.sets_clock(BEGIN);
        sets(&mut alice, Due::Overdue, span);
        alice.sets_clock(clock);
        alice.step(run_timers);
        assert_eq!(alice.due_in(), Some(span));
        let late = |txn: &mut Txn<'_>| Ok::<_, RowsError>((txn.clock, txn.now));
        assert_eq!(alice.step(late), (clock, BEGIN));
    }
}
