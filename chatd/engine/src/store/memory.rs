//! Rows in maps: what tests and the simulated world give the engine instead of a database.
//!
//! Behaves as the sealed store does, call by call; one property test holds both to that. Keeps nothing.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Rows that live as long as the value does. A clone is a snapshot, which counts what is read along with the others.
#[derive(Clone, Default)]
pub struct MemoryRows {
    rows: BTreeMap<Owned, Row>,
    next_put: u64,
    /// How many rows were read so far.
    read: Arc<AtomicU64>,
    /// While a step is attempted: what every row it changed was before, newest change last.
    undo: Option<Vec<(Owned, Option<Row>)>>,
}

type Owned = (Table, Vec<u8>, Vec<u8>);

#[derive(Clone)]
struct Row {
    order: u64,
    put: u64,
    value: Vec<u8>,
}

impl MemoryRows {
    /// No rows at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows were read from here so far, for tests of what something costs.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Every value, for tests of what somebody finds who stole them all.
    pub fn values(&self) -> impl Iterator<Item = (Table, &[u8])> {
        self.rows.iter().map(|((table, ..), row)| (*table, row.value.as_slice()))
    }

    fn note_read(&self, rows: usize) {
        self.read.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Runs `step`; what it changed is undone when it fails.
    ///
    /// # Errors
    /// Those of `step`.
    pub fn attempt<T, E>(&mut self, step: impl FnOnce(&mut dyn Rows) -> Result<T, E>) -> Result<T, E> {
        let next_put = self.next_put;
        self.undo = Some(Vec::new());
        let outcome = step(self);
        let changes = self.undo.take().unwrap_or_default();
        if outcome.is_err() {
            changes.into_iter().rev().for_each(|(place, row)| drop(self.set(place, row)));
            self.next_put = next_put;
        }
        outcome
    }

    /// Puts or removes a row; the one that was there.
    fn set(&mut self, place: Owned, row: Option<Row>) -> Option<Row> {
        let before = match row {
            Some(row) => self.rows.insert(place.clone(), row),
            None => self.rows.remove(&place),
        };
        if let Some(undo) = &mut self.undo {
            undo.push((place, before.clone()));
        }
        before
    }

    fn scope<'a>(&'a self, table: Table, scope: &'a [u8]) -> impl Iterator<Item = (&'a Owned, &'a Row)> {
        let from = (table, scope.to_vec(), Vec::new());
        self.rows.range(from..).take_while(move |((t, s, _), _)| *t == table && s == scope)
    }
}

impl std::fmt::Debug for MemoryRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryRows({} rows)", self.rows.len())
    }
}

impl Rows for MemoryRows {
    fn get(&self, place: Place<'_>) -> Result<Option<Vec<u8>>, RowsError> {
        let found = self.rows.get(&owned(place)).map(|row| row.value.clone());
        self.note_read(found.iter().len());
        Ok(found)
    }

    fn put(&mut self, place: Place<'_>, order: u64, value: &[u8]) -> Result<(), RowsError> {
        let place = owned(place);
        let put = self.rows.get(&place).map_or(self.next_put, |row| row.put);
        self.next_put += 1;
        self.set(place, Some(Row { order, put, value: value.to_vec() }));
        Ok(())
    }

    fn delete(&mut self, place: Place<'_>) -> Result<bool, RowsError> {
        Ok(self.set(owned(place), None).is_some())
    }

    fn delete_range(&mut self, table: Table, scope: &[u8], range: RangeInclusive<u64>) -> Result<u64, RowsError> {
        let of_range = self.scope(table, scope).filter(|(_, row)| range.contains(&row.order));
        let gone: Vec<_> = of_range.map(|(place, _)| place.clone()).collect();
        Ok(gone.into_iter().filter_map(|place| self.set(place, None)).count() as u64)
    }

    fn scan(
        &self,
        table: Table,
        scope: &[u8],
        range: RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, RowsError> {
        let mut rows: Vec<_> =
            self.scope(table, scope).map(|(_, row)| row).filter(|row| range.contains(&row.order)).collect();
        rows.sort_by_key(|row| (row.order, row.put));
        if direction == Direction::Descending {
            rows.reverse();
        }
        let found: Vec<_> = rows.into_iter().take(limit).map(|row| (row.order, row.value.clone())).collect();
        self.note_read(found.len());
        Ok(found)
    }

    fn last_order(&self, table: Table, scope: &[u8]) -> Result<Option<u64>, RowsError> {
        Ok(self.scope(table, scope).map(|(_, row)| row.order).max())
    }

    fn count(&self, table: Table, scope: &[u8]) -> Result<u64, RowsError> {
        Ok(self.scope(table, scope).count() as u64)
    }
}

fn owned(place: Place<'_>) -> Owned {
    (place.table, place.scope.to_vec(), place.key.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_leaves_nothing_behind() {
        let mut rows = MemoryRows::new();
        let place = Place::new(Table::Chats, b"", b"bob");
        rows.put(place, 1, b"kept").unwrap();

        let other = Place::new(Table::Chats, b"", b"carol");

        let outcome: Result<(), RowsError> = rows.attempt(|rows| {
            rows.put(place, 2, b"lost")?;
            rows.delete(place)?;
            rows.put(other, 3, b"lost too")?;
            rows.delete_range(Table::Chats, b"", 0..=u64::MAX)?;
            Err(RowsError::Full)
        });

        assert_eq!(outcome, Err(RowsError::Full));
        assert_eq!(rows.get(place).unwrap().unwrap(), b"kept");
        assert_eq!(rows.get(other).unwrap(), None);
        assert_eq!(rows.last_order(Table::Chats, b"").unwrap(), Some(1));
    }

    #[test]
    fn scans_stay_within_their_scope_and_range() {
        let mut rows = MemoryRows::new();
        for (scope, order) in [("a", 3), ("a", 1), ("a", 2), ("ab", 9)] {
            rows.put(Place::new(Table::Events, scope.as_bytes(), &[order]), u64::from(order), &[order]).unwrap();
        }
        let scan = |range, direction| rows.scan(Table::Events, b"a", range, direction, 2).unwrap();
        assert_eq!(scan(0..=u64::MAX, Direction::Ascending), [(1, vec![1]), (2, vec![2])]);
        assert_eq!(scan(0..=2, Direction::Descending), [(2, vec![2]), (1, vec![1])]);
        assert_eq!(rows.last_order(Table::Events, b"a").unwrap(), Some(3));
        assert_eq!(rows.count(Table::Events, b"a").unwrap(), 3);
    }
}
