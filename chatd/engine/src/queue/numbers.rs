//! The author's numbers of each conversation, and which messages bear them.

use chat_protocol::ids::{MessageId, Username};

use crate::model::rows::{Counter, load, save};
use crate::queue::item::{Item, Number};
use crate::store::{Place, RowsError, Table};
use crate::txn::Txn;

/// Most delivered messages to one user that wait to be reported read.
const MAX_UNREAD: u64 = 10_000;

/// The next number of the conversation, remembered so that an acknowledgement finds its message.
pub(crate) fn number_next(txn: &mut Txn<'_>, item: &Item) -> Result<Number, RowsError> {
    let epoch = Counter::Epoch.get(txn.rows)?;
    let place = Place::new(Table::Outbox, b"numbers", item.to.as_str().as_bytes());
    let n = match load::<Number>(txn.rows, place)? {
        Some((known, n)) if known == epoch => n + 1,
        _ => 1,
    };
    save(txn.rows, place, 0, &(epoch, n))?;
    if item.to == txn.me.user {
        // nobody's acknowledgement is waited for
        return Ok((epoch, n));
    }
    let scope = sent_scope(&item.to, epoch);
    txn.rows.put(Place::new(Table::Outbox, &scope, &n.to_be_bytes()), n, item.id.as_bytes())?;
    Ok((epoch, n))
}

/// Rows naming the messages sent to a user, by number.
pub(crate) fn sent_scope(to: &Username, epoch: u64) -> Vec<u8> {
    [b"sent:".as_slice(), &epoch.to_be_bytes(), to.as_str().as_bytes()].concat()
}

/// Rows naming the messages a user's device has, and its user has not read.
pub(crate) fn unread_scope(to: &Username, epoch: u64) -> Vec<u8> {
    [b"unread:".as_slice(), &epoch.to_be_bytes(), to.as_str().as_bytes()].concat()
}

/// Remembers a delivered message until it is read. Whoever never tells costs a bounded number of rows.
pub(crate) fn await_read(
    txn: &mut Txn<'_>,
    to: &Username,
    (epoch, n): Number,
    id: &MessageId,
) -> Result<(), RowsError> {
    let scope = unread_scope(to, epoch);
    txn.rows.put(Place::new(Table::Outbox, &scope, &n.to_be_bytes()), n, id.as_bytes())?;
    match n.checked_sub(MAX_UNREAD) {
        Some(old) => txn.rows.delete_range(Table::Outbox, &scope, 0..=old).map(drop),
        None => Ok(()),
    }
}

/// The highest number given to a message for `to`.
pub(crate) fn last_number(txn: &Txn<'_>, to: &Username) -> Result<Option<Number>, RowsError> {
    load(txn.rows, Place::new(Table::Outbox, b"numbers", to.as_str().as_bytes()))
}
