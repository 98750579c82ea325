//! Timers of messages: to be sent later, to go again, or overdue.
//!
//! A timer is a row, ordered by its time, so it survives restarts and whoever looks for what is due reads two rows only.
//! Setting one anew replaces it. A message is sent when the clock says so; a span is over when so much time was seen to
//! pass.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::rows::save;
use crate::store::{Place, RowsError, Table};
use crate::txn::Txn;

/// By the clock.
pub(crate) const TIMES: &[u8] = b"timers";
/// By the time that was seen to pass.
pub(crate) const SPANS: &[u8] = b"spans";
/// As long as anything goes by the clock it is looked at this often: nobody says when it is set.
const CLOCK_LOOKED_AT: Duration = Duration::from_secs(60);

/// What happens when the time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Due {
    /// A message is put in line.
    #[n(0)]
    Send,
    /// A message goes.
    #[n(1)]
    Expire,
    /// Somebody wants to know that it was not delivered.
    #[n(2)]
    Overdue,
}

#[derive(Encode, Decode)]
#[cbor(map)]
pub(crate) struct Timer {
    #[n(0)]
    pub(crate) due: Due,
    #[n(1)]
    pub(crate) id: MessageId,
}

fn key(due: Due, id: &MessageId) -> Vec<u8> {
    [[due as u8].as_slice(), id.as_bytes()].concat()
}

impl Due {
    const fn scope(self) -> &'static [u8] {
        match self {
            Self::Send => TIMES,
            Self::Expire | Self::Overdue => SPANS,
        }
    }
}

/// Sets the timer of a message; `at` is a time of the clock for [`Due::Send`], and of [`Txn::now`] for the others.
pub(crate) fn set(txn: &mut Txn<'_>, due: Due, id: MessageId, at: Timestamp) -> Result<(), RowsError> {
    wake(txn, due.scope(), at);
    save(txn.rows, Place::new(Table::State, due.scope(), &key(due, &id)), at.as_millis(), &Timer { due, id })
}

pub(crate) fn time(txn: &Txn<'_>, scope: &[u8]) -> Timestamp {
    if scope == TIMES { txn.clock } else { txn.now }
}

pub(crate) fn wake(txn: &mut Txn<'_>, scope: &[u8], at: Timestamp) {
    let left = at.since(time(txn, scope));
    txn.wake(txn.now + if scope == TIMES { left.min(CLOCK_LOOKED_AT) } else { left });
}

/// Takes it back, if there is one.
pub(crate) fn clear(txn: &mut Txn<'_>, due: Due, id: &MessageId) -> Result<(), RowsError> {
    txn.rows.delete(Place::new(Table::State, due.scope(), &key(due, id))).map(drop)
}
