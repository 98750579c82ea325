//! Timers of messages: to be sent later, to go again, or overdue.
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
