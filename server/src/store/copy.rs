//! The rows of a database as values that both databases understand, table by table: what a backup holds.
//!
//! One-time keys are left out: each may be handed out once, and whether that happened since is not
//! known to a copy. Devices publish new ones by themselves.

pub(super) mod tables;

use super::contract::Result;
use super::url::DatabaseUrl;
use super::{mysql, sqlite};
pub use tables::{Cell, CopyError, Shape, Sink, TABLES, Table};

/// Number of the schema these tables belong to: the number of migrations.
pub const SCHEMA: usize = super::schema::STEPS;

/// Hands all rows to `sink`, as they are at one moment; whoever uses the database meanwhile is not disturbed.
///
/// # Errors
/// [`CopyError`].
pub async fn dump(url: &DatabaseUrl, sink: &mut (dyn Sink + Send)) -> std::result::Result<(), CopyError> {
    match url {
        DatabaseUrl::Sqlite(file) => sqlite::copy::dump(file, sink),
        DatabaseUrl::Mysql(opts) => mysql::copy::dump(opts, sink).await,
    }
}

/// A database that is being filled: all or nothing of it.
pub enum Filling {
    /// The embedded one.
    Sqlite(sqlite::copy::Filling),
    /// A server's.
    Mysql(mysql::copy::Filling),
}

impl Filling {
    /// Begins on a database, made or brought up to date first. Tells whether it holds rows already.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError).
    pub async fn begin(url: &DatabaseUrl) -> Result<(Self, bool)> {
        Ok(match url {
            DatabaseUrl::Sqlite(file) => {
                let (filling, used) = sqlite::copy::Filling::begin(file)?;
                (Self::Sqlite(filling), used)
            }
            DatabaseUrl::Mysql(opts) => {
                let (filling, used) = mysql::copy::Filling::begin(opts).await?;
                (Self::Mysql(filling), used)
            }
        })
    }

    /// Removes what is there, within the transaction.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError).
    pub async fn clear(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(filling) => filling.clear(),
            Self::Mysql(filling) => filling.clear().await,
        }
    }

    /// Inserts rows that fit their table.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError).
    pub async fn insert(&mut self, table: &'static Table, rows: Vec<Vec<Cell>>) -> Result<()> {
        match self {
            Self::Sqlite(filling) => filling.insert(table, &rows),
            Self::Mysql(filling) => filling.insert(table, rows).await,
        }
    }

    /// Begins a generation of mailboxes at `floor` or above, lets the room go on above it, and makes everything durable.
    ///
    /// Devices have perhaps acknowledged, and readers of the room seen, numbers that this copy does not know of: those of
    /// mailboxes are of another generation then, and a post under a number that was read would be taken for known.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError).
    pub async fn finish(self, floor: u64) -> Result<()> {
        match self {
            Self::Sqlite(filling) => filling.finish(floor),
            Self::Mysql(filling) => filling.finish(floor).await,
        }
    }
}

/// A sequence, and a generation, above all that were assigned before `now_ms`: seconds since 1970, with room for a million numbers in
/// each. Below 2^53 for two centuries, so that every language can hold it.
#[must_use]
pub const fn floor_at(now_ms: u64) -> u64 {
    (now_ms / 1_000) << 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_rise_faster_than_messages_come_and_stay_exact() {
        let (now, later) = (floor_at(1_800_000_000_000), floor_at(1_800_000_001_000));
        assert_eq!(later - now, 1 << 20);
        assert!(floor_at(6_000_000_000_000) < 1 << 53, "the year 2160");
    }

    #[test]
    fn rows_that_do_not_fit_are_known() {
        let table = TABLES.iter().find(|table| table.name == "room_state").unwrap();
        assert!(table.fits(&[Cell::Int(1), Cell::Int(2)]));
        assert!(!table.fits(&[Cell::Int(1)]) && !table.fits(&[Cell::Int(1), Cell::Text("2".into())]));
    }
}
