//! All rows out of a database, or into one.

use mysql_async::prelude::Queryable;
use mysql_async::{IsolationLevel, Opts, Pool, Row, Transaction, TxOpts, Value};

use super::super::contract::{Result, StoreError};
use super::super::copy::tables::{self, Cell, CopyError, Shape, Sink, TABLES, Table, emptied};
use super::row::{Fault, Sql, blob, int, one, run, signed, text};
use super::submits::insert_all;
use super::{connect, in_time, migrate};

/// Columns that have another name here.
fn renamed(column: &'static str) -> &'static str {
    if column == "text" { "said" } else { column }
}

/// Hands out every row, within one snapshot.
pub(in super::super) async fn dump(opts: &Opts, sink: &mut (dyn Sink + Send)) -> std::result::Result<(), CopyError> {
    let pool = in_time(connect(opts)).await.map_err(StoreError::from)?;
    let mut snapshot = TxOpts::default();
    snapshot.with_consistent_snapshot(true).with_isolation_level(IsolationLevel::RepeatableRead);
    let begun = pool.start_transaction(snapshot).await;
    let mut db = begun.map_err(|error| StoreError::from(Fault::from(error)))?;
    for table in TABLES {
        sink.table(table)?;
        dump_table(&mut db, table, sink).await?;
    }
    db.rollback().await.map_err(|error| StoreError::from(Fault::from(error)))?;
    pool.disconnect().await.map_err(|error| StoreError::from(Fault::from(error)))?;
    Ok(())
}

/// Rows come one by one: a table may be larger than the memory.
async fn dump_table(
    db: &mut Transaction<'static>,
    table: &Table,
    sink: &mut (dyn Sink + Send),
) -> std::result::Result<(), CopyError> {
    let lost = |error| CopyError::Store(Fault::from(error).into());
    let sql = format!("SELECT {} FROM {}", table.list(renamed), table.name);
    let mut rows = db.exec_iter(sql, ()).await.map_err(lost)?;
    while let Some(mut row) = rows.next().await.map_err(lost)? {
        sink.row(&read(&mut row, table).map_err(StoreError::from)?)?;
    }
    Ok(())
}

fn read(row: &mut Row, table: &Table) -> Sql<Vec<Cell>> {
    let shapes = table.columns.iter().enumerate();
    shapes
        .map(|(column, (_, shape))| {
            Ok(match shape {
                Shape::Int => Cell::Int(signed(row, column)?),
                Shape::Bytes => Cell::Bytes(blob(row, column)?),
                Shape::Text => Cell::Text(text(row, column)?),
            })
        })
        .collect()
}

/// A database in a transaction that is not committed yet; dropped, it is as it was.
pub struct Filling {
    db: Transaction<'static>,
    pool: Pool,
}

impl Filling {
    pub(in super::super) async fn begin(opts: &Opts) -> Result<(Self, bool)> {
        let pool = in_time(connect(opts)).await?;
        migrate(&pool).await?;
        let mut db = pool.start_transaction(TxOpts::default()).await.map_err(Fault::from)?;
        let mut used = false;
        for table in tables::used() {
            used |= one(&mut db, &format!("SELECT 1 FROM {table} LIMIT 1"), (), |_| Ok(())).await?.is_some();
        }
        Ok((Self { db, pool }, used))
    }

    pub(in super::super) async fn clear(&mut self) -> Result<()> {
        for table in emptied() {
            run(&mut self.db, format!("DELETE FROM {table}"), ()).await?;
        }
        Ok(())
    }

    pub(in super::super) async fn insert(&mut self, table: &Table, rows: Vec<Vec<Cell>>) -> Result<()> {
        let insert = format!("INSERT INTO {} ({}) VALUES ", table.name, table.list(renamed));
        let marks = format!("({})", vec!["?"; table.columns.len()].join(", "));
        let rows = rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect();
        Ok(insert_all(&mut self.db, &insert, &marks, rows).await?)
    }

    pub(in super::super) async fn finish(mut self, floor: u64) -> Result<()> {
        let (db, floor) = (&mut self.db, int(floor));
        run(db, "UPDATE mailbox_generation SET generation = GREATEST(generation + 1, ?)", (floor,)).await?;
        run(db, "UPDATE room_state SET last_seq = GREATEST(last_seq + 1, ?)", (floor,)).await?;
        self.db.commit().await.map_err(Fault::from)?;
        Ok(self.pool.disconnect().await.map_err(Fault::from)?)
    }
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Int(number) => number.into(),
        Cell::Bytes(bytes) => bytes.into(),
        Cell::Text(text) => text.into(),
    }
}
