//! All rows out of a file, or into one.

use std::path::Path;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params_from_iter};

use super::super::contract::{Result, StoreError};
use super::super::copy::tables::{self, Cell, CopyError, Shape, Sink, TABLES, Table, emptied};
use super::open;
use super::row::{Sql, int, run, text};

/// Hands out every row, within one snapshot.
pub(in super::super) fn dump(file: &Path, sink: &mut dyn Sink) -> std::result::Result<(), CopyError> {
    let mut db = open::reading(file)?;
    let snapshot = Transaction::new(&mut db, TransactionBehavior::Deferred).map_err(StoreError::from)?;
    for table in TABLES {
        sink.table(table)?;
        let sql = format!("SELECT {} FROM {}", table.list(|name| name), table.name);
        let mut statement = snapshot.prepare(&sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            sink.row(&read(row, table).map_err(StoreError::from)?)?;
        }
    }
    Ok(())
}

fn read(row: &Row<'_>, table: &Table) -> Sql<Vec<Cell>> {
    let shapes = table.columns.iter().enumerate();
    shapes
        .map(|(column, (_, shape))| {
            Ok(match shape {
                Shape::Int => Cell::Int(row.get(column)?),
                Shape::Bytes => Cell::Bytes(row.get(column)?),
                Shape::Text => Cell::Text(text(row, column)?),
            })
        })
        .collect()
}

impl ToSql for Cell {
    fn to_sql(&self) -> Sql<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(number) => ToSqlOutput::from(*number),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// A file in a transaction that is not committed yet; dropped, it is as it was.
pub struct Filling(Connection);

impl Filling {
    pub(in super::super) fn begin(file: &Path) -> Result<(Self, bool)> {
        let (db, _) = open::writing(file)?;
        db.execute_batch("BEGIN IMMEDIATE")?;
        let mut used = false;
        for table in tables::used() {
            used |= db.prepare(&format!("SELECT 1 FROM {table}"))?.exists([])?;
        }
        Ok((Self(db), used))
    }

    pub(in super::super) fn clear(&self) -> Result<()> {
        Ok(emptied().try_for_each(|table| run(&self.0, &format!("DELETE FROM {table}"), []).map(drop))?)
    }

    pub(in super::super) fn insert(&self, table: &Table, rows: &[Vec<Cell>]) -> Result<()> {
        let marks = vec!["?"; table.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", table.name, table.list(|name| name));
        Ok(rows.iter().try_for_each(|row| run(&self.0, &sql, params_from_iter(row)).map(drop))?)
    }

    pub(in super::super) fn finish(self, floor: u64) -> Result<()> {
        let floor = int(floor);
        run(&self.0, "UPDATE mailbox_generation SET generation = MAX(generation + 1, ?1)", [floor])?;
        run(&self.0, "UPDATE room_state SET last_seq = MAX(last_seq + 1, ?1)", [floor])?;
        Ok(self.0.execute_batch("COMMIT")?)
    }
}
