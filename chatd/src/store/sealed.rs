//! Rows over SQLite: one transaction, or one consistent look by a reader.
//!
//! All SQL of the daemon is here, prepared once per connection, columns written out. Every value is
//! sealed before SQLite sees it and opened against the place it was asked for.

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::database::classify;
use super::overlay::{Key, Overlay, Row, Stored};
use super::seal::{Address, Seals, Tag};
use super::transaction;
use chat_engine::store::{Direction, Place, Rows, RowsError, Table};

const GET: &str = "SELECT ord, value FROM rows WHERE tbl = ?1 AND scope = ?2 AND key = ?3";
const PUT: &str = "INSERT INTO rows (tbl, scope, key, ord, value) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (tbl, scope, key) DO UPDATE SET ord = excluded.ord, value = excluded.value";
/// For a row that keeps its order, whose index is not touched then.
const REPLACE: &str = "UPDATE rows SET value = ?4 WHERE tbl = ?1 AND scope = ?2 AND key = ?3";
const DELETE: &str = "DELETE FROM rows WHERE tbl = ?1 AND scope = ?2 AND key = ?3";
const DELETE_RANGE: &str = "DELETE FROM rows WHERE tbl = ?1 AND scope = ?2 AND ord BETWEEN ?3 AND ?4";
const SCAN_UP: &str = "SELECT key, ord, value FROM rows WHERE tbl = ?1 AND scope = ?2 AND ord BETWEEN ?3 AND ?4 \
                       ORDER BY ord ASC, id ASC LIMIT ?5";
const SCAN_DOWN: &str = "SELECT key, ord, value FROM rows WHERE tbl = ?1 AND scope = ?2 AND ord BETWEEN ?3 AND ?4 \
                         ORDER BY ord DESC, id DESC LIMIT ?5";
const LAST: &str = "SELECT max(ord) FROM rows WHERE tbl = ?1 AND scope = ?2";
const COUNT: &str = "SELECT count(*) FROM rows WHERE tbl = ?1 AND scope = ?2";

/// What a transaction cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were read from the database and opened.
    pub opened: u64,
    /// Rows that were sealed and written.
    pub sealed: u64,
}

/// The sealed rows, within one transaction of the database.
pub struct SealedRows<'s> {
    conn: &'s Connection,
    seals: &'s Seals,
    /// Of a transaction that may write.
    overlay: Option<RefCell<Overlay>>,
    counts: Cell<Counts>,
    /// Set when SQLite gave the whole transaction up: nothing of it may count as done.
    lost: OnceCell<RowsError>,
}

impl<'s> SealedRows<'s> {
    /// Rows that can only be read.
    pub(super) fn reading(conn: &'s Connection, seals: &'s Seals) -> Self {
        Self { conn, seals, overlay: None, counts: Cell::default(), lost: OnceCell::new() }
    }

    /// Rows of a transaction that writes, of which `overlay` is known.
    pub(super) fn writing(conn: &'s Connection, seals: &'s Seals, overlay: Overlay) -> Self {
        Self { overlay: Some(RefCell::new(overlay)), ..Self::reading(conn, seals) }
    }

    /// Runs `step`; what it changed is undone when it fails, and what was done before it stays.
    ///
    /// # Errors
    /// Those of `step`, and [`RowsError`].
    pub fn attempt<T, E: From<RowsError>>(&mut self, step: impl FnOnce(&mut dyn Rows) -> Result<T, E>) -> Result<T, E> {
        self.alive()?;
        self.run("SAVEPOINT step")?;
        self.with_overlay(Overlay::begin);
        let outcome = step(self);
        let ended = match &outcome {
            Ok(_) => {
                self.with_overlay(Overlay::keep);
                self.run("RELEASE step")
            }
            Err(_) => {
                self.with_overlay(Overlay::undo);
                self.run("ROLLBACK TO step").and_then(|()| self.run("RELEASE step"))
            }
        };
        match ended {
            Ok(()) => outcome,
            Err(error) => {
                let _ = self.lost.set(error.clone());
                outcome.and(Err(error.into()))
            }
        }
    }

    /// Writes what was put, before the commit; what is known once that is done, and what it cost.
    pub(super) fn finish(self) -> Result<(Overlay, Counts), RowsError> {
        self.write_unwritten(None)?;
        self.alive()?;
        Ok((self.overlay.map(RefCell::into_inner).unwrap_or_default(), self.counts.get()))
    }

    /// Whether the transaction still stands; a full disk makes SQLite give it up as a whole.
    fn alive(&self) -> Result<(), RowsError> {
        match self.lost.get() {
            Some(error) => Err(error.clone()),
            None if self.conn.is_autocommit() => Err(RowsError::Unavailable("the transaction was given up".into())),
            None => Ok(()),
        }
    }

    fn open(&self, at: &Address, order: u64, sealed: &[u8]) -> Result<Vec<u8>, RowsError> {
        self.counts.update(|counts| Counts { opened: counts.opened + 1, ..counts });
        self.seals.open(at, order, sealed)
    }

    fn run(&self, sql: &str) -> Result<(), RowsError> {
        transaction::run(self.conn, sql)
    }

    /// Runs a statement that changes rows and remembers when SQLite gave everything up over it.
    fn change(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, RowsError> {
        if self.overlay.is_none() {
            return Err(RowsError::ReadOnly);
        }
        self.alive()?;
        let changed = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        let changed = changed.map_err(classify);
        if let (Err(error), true) = (&changed, self.conn.is_autocommit()) {
            let _ = self.lost.set(error.clone());
        }
        changed
    }
}

impl Rows for SealedRows<'_> {
    fn get(&self, place: Place<'_>) -> Result<Option<Vec<u8>>, RowsError> {
        let Some(overlay) = &self.overlay else { return Ok(self.read(place)?.map(|(_, value)| value)) };
        let value = |row: &Row| row.as_ref().map(|(_, value)| value.to_vec());
        if let Some(known) = overlay.borrow().get(place) {
            return Ok(value(known));
        }
        let row = self.read(place)?.map(|(order, value)| (order, Zeroizing::new(value)));
        let found = value(&row);
        overlay.borrow_mut().read(place, row);
        self.let_go();
        Ok(found)
    }

    fn put(&mut self, place: Place<'_>, order: u64, value: &[u8]) -> Result<(), RowsError> {
        let Some(overlay) = &self.overlay else { return Err(RowsError::ReadOnly) };
        overlay.borrow_mut().put(place, order, value);
        if overlay.borrow().is_full() {
            self.write_unwritten(None)?;
        }
        self.let_go();
        Ok(())
    }

    fn delete(&mut self, place: Place<'_>) -> Result<bool, RowsError> {
        let deleted = match self.with_overlay(|overlay| overlay.stored(place)) {
            Some(Stored::Nothing) => 0,
            _ => {
                let at = self.seals.address(place);
                self.change(DELETE, params![at.table, at.scope, at.key])?
            }
        };
        let known = self.with_overlay(|overlay| overlay.delete(place)).unwrap_or(false);
        self.let_go();
        Ok(known || deleted > 0)
    }

    fn delete_range(&mut self, table: Table, scope: &[u8], range: RangeInclusive<u64>) -> Result<u64, RowsError> {
        if self.is_known_empty(table, scope) {
            return Ok(0);
        }
        self.write_unwritten(Some((table, scope)))?;
        self.with_overlay(|overlay| overlay.forget(table, scope));
        let scope = self.seals.scope(table, scope);
        let (from, to) = (to_column(*range.start()), to_column(*range.end()));
        self.change(DELETE_RANGE, params![table.number(), scope, from, to]).map(|deleted| deleted as u64)
    }

    fn scan(
        &self,
        table: Table,
        scope: &[u8],
        range: RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, RowsError> {
        if self.is_known_empty(table, scope) {
            return Ok(Vec::new());
        }
        self.write_unwritten(Some((table, scope)))?;
        let (is_whole, named) = (range == (0..=u64::MAX) && limit > 0, scope);
        let scope = self.seals.scope(table, scope);
        let sql = if direction == Direction::Ascending { SCAN_UP } else { SCAN_DOWN };
        let (from, to) = (to_column(*range.start()), to_column(*range.end()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.conn.prepare_cached(sql).map_err(classify)?;
        let mut found = statement.query(params![table.number(), scope, from, to, limit]).map_err(classify)?;
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(classify)? {
            let (key, order, sealed) = columns(row).map_err(classify)?;
            let at = Address { table: table.number(), scope, key };
            rows.push((order, self.open(&at, order, &sealed)?));
        }
        if is_whole && rows.is_empty() {
            self.with_overlay(|overlay| overlay.found_empty(table, named));
        }
        Ok(rows)
    }

    fn last_order(&self, table: Table, scope: &[u8]) -> Result<Option<u64>, RowsError> {
        if self.is_known_empty(table, scope) {
            return Ok(None);
        }
        let last: Option<i64> = self.one(LAST, table, scope)?;
        if last.is_none() {
            self.with_overlay(|overlay| overlay.found_empty(table, scope));
        }
        Ok(last.map(from_column))
    }

    fn count(&self, table: Table, scope: &[u8]) -> Result<u64, RowsError> {
        if self.is_known_empty(table, scope) {
            return Ok(0);
        }
        let count: i64 = self.one(COUNT, table, scope)?;
        if count == 0 {
            self.with_overlay(|overlay| overlay.found_empty(table, scope));
        }
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl SealedRows<'_> {
    fn read(&self, place: Place<'_>) -> Result<Option<(u64, Vec<u8>)>, RowsError> {
        let at = self.seals.address(place);
        let found = self.conn.prepare_cached(GET).and_then(|mut statement| {
            let columns = |row: &rusqlite::Row<'_>| Ok((from_column(row.get(0)?), row.get::<_, Vec<u8>>(1)?));
            statement.query_row(params![at.table, at.scope, at.key], columns).optional()
        });
        let opened = |(order, sealed): (u64, Vec<u8>)| Ok((order, self.open(&at, order, &sealed)?));
        found.map_err(classify)?.map(opened).transpose()
    }

    /// Writes what was put in a scope, or all of it: nothing that reads many rows sees less.
    fn write_unwritten(&self, scope: Option<(Table, &[u8])>) -> Result<(), RowsError> {
        let Some(overlay) = &self.overlay else { return Ok(()) };
        let unwritten = overlay.borrow().unwritten(scope);
        for key in unwritten {
            self.write(&key, &overlay.borrow())?;
            overlay.borrow_mut().written(key);
        }
        Ok(())
    }

    fn write(&self, key: &Key, overlay: &Overlay) -> Result<(), RowsError> {
        let Some(Some((order, value))) = overlay.get(key.place()) else { return Ok(()) };
        let at = self.seals.address(key.place());
        let sealed = self.seals.seal(&at, *order, value)?;
        self.counts.update(|counts| Counts { sealed: counts.sealed + 1, ..counts });
        let changed = if overlay.stored(key.place()) == Stored::Row(*order) {
            self.change(REPLACE, params![at.table, at.scope, at.key, sealed])?
        } else {
            self.change(PUT, params![at.table, at.scope, at.key, to_column(*order), sealed])?
        };
        // nobody else writes here
        if changed == 0 { Err(RowsError::Corrupt(format!("a row of table {} is gone", at.table))) } else { Ok(()) }
    }

    /// Lets go of rows that the database has too, where more are kept than should be.
    fn let_go(&self) {
        self.with_overlay(|overlay| {
            if overlay.is_full() {
                overlay.shrink();
            }
        });
    }

    fn is_known_empty(&self, table: Table, scope: &[u8]) -> bool {
        self.with_overlay(|overlay| overlay.is_empty(table, scope)).unwrap_or(false)
    }

    fn with_overlay<T>(&self, change: impl FnOnce(&mut Overlay) -> T) -> Option<T> {
        self.overlay.as_ref().map(|overlay| change(&mut overlay.borrow_mut()))
    }

    fn one<T: rusqlite::types::FromSql>(&self, sql: &str, table: Table, scope: &[u8]) -> Result<T, RowsError> {
        self.write_unwritten(Some((table, scope)))?;
        let scope = self.seals.scope(table, scope);
        let mut statement = self.conn.prepare_cached(sql).map_err(classify)?;
        statement.query_row(params![table.number(), scope], |row| row.get(0)).map_err(classify)
    }
}

impl std::fmt::Debug for SealedRows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedRows(..)")
    }
}

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Tag, u64, Vec<u8>)> {
    Ok((row.get(0)?, from_column(row.get(1)?), row.get(2)?))
}

/// SQLite's integers are signed: shifted by half the range, the order stays the same.
const fn to_column(order: u64) -> i64 {
    (order ^ (1 << 63)).cast_signed()
}

const fn from_column(column: i64) -> u64 {
    column.cast_unsigned() ^ (1 << 63)
}
