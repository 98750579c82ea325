//! The author's numbers of each conversation, and which messages bear them.

use chat_protocol::ids::{MessageId, Username};

use crate::rows::counter::Counter;
use crate::rows::outbox::{Item, Number};
use crate::rows::{NUMBERS, SENT, UNREAD};
use crate::store::RowsError;
use crate::txn::Txn;

/// Most delivered messages to one user that wait to be reported read.
const MAX_UNREAD: u64 = 10_000;

/// The next number of the conversation, remembered so that an acknowledgement finds its message.
pub(crate) fn number_next(txn: &mut Txn<'_>, item: &Item) -> Result<Number, RowsError> {
    let epoch = Counter::Epoch.get(txn.rows)?;
    let n = match NUMBERS.get(txn.rows, &item.to)? {
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
