//! Rows over SQLite: one transaction, or one consistent look by a reader.
//!
//! All SQL of the daemon is here, prepared once per connection, columns written out. Every value is
//! sealed before SQLite sees it and opened against the place it was asked for.

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, params};

use super::database::classify;
use super::seal::{Address, Seals, Tag};
use super::transaction;
use chat_engine::store::{Direction, Place, Rows, RowsError, Table};

const GET: &str = "SELECT ord, value FROM rows WHERE tbl = ?1 AND scope = ?2 AND key = ?3";
const PUT: &str = "INSERT INTO rows (tbl, scope, key, ord, value) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT (tbl, scope, key) DO UPDATE SET ord = excluded.ord, value = excluded.value";
const DELETE: &str = "DELETE FROM rows WHERE tbl = ?1 AND scope = ?2 AND key = ?3";
const DELETE_RANGE: &str = "DELETE FROM rows WHERE tbl = ?1 AND scope = ?2 AND ord BETWEEN ?3 AND ?4";
const SCAN_UP: &str = "SELECT key, ord, value FROM rows WHERE tbl = ?1 AND scope = ?2 AND ord BETWEEN ?3 AND ?4 \
                       ORDER BY ord ASC, id ASC LIMIT ?5";
const SCAN_DOWN: &str = "SELECT key, ord, value FROM rows WHERE tbl = ?1 AND scope = ?2 AND ord BETWEEN ?3 AND ?4 \
                         ORDER BY ord DESC, id DESC LIMIT ?5";
const LAST: &str = "SELECT max(ord) FROM rows WHERE tbl = ?1 AND scope = ?2";
const COUNT: &str = "SELECT count(*) FROM rows WHERE tbl = ?1 AND scope = ?2";

/// The sealed rows, within one transaction of the database.
pub struct SealedRows<'s> {
    conn: &'s Connection,
    seals: &'s Seals,
    writable: bool,
    /// Set when SQLite gave the whole transaction up: nothing of it may count as done.
    lost: Option<RowsError>,
}

impl<'s> SealedRows<'s> {
    pub(super) const fn new(conn: &'s Connection, seals: &'s Seals, writable: bool) -> Self {
        Self { conn, seals, writable, lost: None }
    }

    /// Runs `step`; what it changed is undone when it fails, and what was done before it stays.
    ///
    /// # Errors
    /// Those of `step`, and [`RowsError`].
    pub fn attempt<T, E: From<RowsError>>(&mut self, step: impl FnOnce(&mut dyn Rows) -> Result<T, E>) -> Result<T, E> {
        self.alive()?;
        self.run("SAVEPOINT step")?;
        let outcome = step(self);
        let ended = match &outcome {
            Ok(_) => self.run("RELEASE step"),
            Err(_) => self.run("ROLLBACK TO step").and_then(|()| self.run("RELEASE step")),
        };
        match ended {
            Ok(()) => outcome,
            Err(error) => {
                self.lost.get_or_insert(error.clone());
                outcome.and(Err(error.into()))
            }
        }
    }

    /// Whether the transaction still stands; a full disk makes SQLite give it up as a whole.
    pub(super) fn alive(&self) -> Result<(), RowsError> {
        match &self.lost {
            Some(error) => Err(error.clone()),
            None if self.conn.is_autocommit() => Err(RowsError::Unavailable("the transaction was given up".into())),
            None => Ok(()),
        }
    }

    fn run(&self, sql: &str) -> Result<(), RowsError> {
        transaction::run(self.conn, sql)
    }

    /// Runs a statement that changes rows and remembers when SQLite gave everything up over it.
    fn change(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<usize, RowsError> {
        if !self.writable {
            return Err(RowsError::ReadOnly);
        }
        self.alive()?;
        let changed = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        let changed = changed.map_err(classify);
        if let (Err(error), true) = (&changed, self.conn.is_autocommit()) {
            self.lost = Some(error.clone());
        }
        changed
    }
}

impl Rows for SealedRows<'_> {
    fn get(&self, place: Place<'_>) -> Result<Option<Vec<u8>>, RowsError> {
        let at = self.seals.address(place);
        let found = self.conn.prepare_cached(GET).and_then(|mut statement| {
            let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
            statement.query_row(params![at.table, at.scope, at.key], columns).optional()
        });
        let found = found.map_err(classify)?;
        found.map(|(order, sealed)| self.seals.open(&at, from_column(order), &sealed)).transpose()
    }

    fn put(&mut self, place: Place<'_>, order: u64, value: &[u8]) -> Result<(), RowsError> {
        let at = self.seals.address(place);
        let sealed = self.seals.seal(&at, order, value)?;
        self.change(PUT, params![at.table, at.scope, at.key, to_column(order), sealed]).map(drop)
    }

    fn delete(&mut self, place: Place<'_>) -> Result<bool, RowsError> {
        let at = self.seals.address(place);
        self.change(DELETE, params![at.table, at.scope, at.key]).map(|deleted| deleted > 0)
    }

    fn delete_range(&mut self, table: Table, scope: &[u8], range: RangeInclusive<u64>) -> Result<u64, RowsError> {
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
            rows.push((order, self.seals.open(&at, order, &sealed)?));
        }
        Ok(rows)
    }

    fn last_order(&self, table: Table, scope: &[u8]) -> Result<Option<u64>, RowsError> {
        let last: Option<i64> = self.one(LAST, table, scope)?;
        Ok(last.map(from_column))
    }

    fn count(&self, table: Table, scope: &[u8]) -> Result<u64, RowsError> {
        let count: i64 = self.one(COUNT, table, scope)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

impl SealedRows<'_> {
    fn one<T: rusqlite::types::FromSql>(&self, sql: &str, table: Table, scope: &[u8]) -> Result<T, RowsError> {
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
