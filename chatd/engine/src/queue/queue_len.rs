//! How much waits in line, kept as a number: counting a hundred thousand rows for every new one would make sending
//! slower the longer the server is away.

use crate::model::rows::{load, save};
use crate::store::{Direction, Place, Rows, RowsError, Table};
use crate::txn::Txn;

/// Users for whom something waits.
pub(crate) const DESTINATIONS: &[u8] = b"destinations";

pub(crate) const LINE: &[u8] = b"posts";

const PLACE: Place<'static> = Place::new(Table::Outbox, b"tally", b"");

/// Messages and posts in line. The rows are counted only where a store does not have the number yet.
pub(crate) fn waiting(rows: &dyn Rows) -> Result<u64, RowsError> {
    load(rows, PLACE)?.map_or_else(|| counted(rows), Ok)
}

fn counted(rows: &dyn Rows) -> Result<u64, RowsError> {
    let mut total = rows.count(Table::Submits, LINE)?;
    for (_, name) in rows.scan(Table::Outbox, DESTINATIONS, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        total += rows.count(Table::Outbox, &[b"to:".as_slice(), &name].concat())?;
    }
    Ok(total)
}

/// Puts a row in line.
pub(crate) fn join(txn: &mut Txn<'_>, place: Place<'_>, order: u64, value: &[u8]) -> Result<(), RowsError> {
    let before = waiting(txn.rows)?;
    txn.rows.put(place, order, value)?;
    save(txn.rows, PLACE, 0, &(before + 1))
}

/// Takes a row out of the line, if it is there.
pub(crate) fn leave(txn: &mut Txn<'_>, place: Place<'_>) -> Result<bool, RowsError> {
    let before = waiting(txn.rows)?;
    let was_there = txn.rows.delete(place)?;
    if was_there {
        save(txn.rows, PLACE, 0, &before.saturating_sub(1))?;
    }
    Ok(was_there)
}
