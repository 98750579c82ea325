//! The rows of a database as values that both databases understand, table by table: what a backup holds.
//!
//! One-time keys are left out: each may be handed out once, and whether that happened since is not
//! known to a copy. Devices publish new ones by themselves.

use std::io;

use super::{Result, StoreError, mysql, sqlite};
use crate::config::DatabaseUrl;

/// Number of the schema these tables belong to: the number of migrations.
pub const SCHEMA: usize = super::schema::STEPS;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A signed 64-bit number.
    Int,
    /// Bytes.
    Bytes,
    /// UTF-8 text.
    Text,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A number.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Text.
    Text(String),
}

impl Cell {
    /// What it is.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        match self {
            Self::Int(_) => Shape::Int,
            Self::Bytes(_) => Shape::Bytes,
            Self::Text(_) => Shape::Text,
        }
    }
}

/// A table that is copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name in both databases.
    pub name: &'static str,
    /// Its columns; MySQL reserves or avoids some words and has another name for those.
    pub columns: &'static [(&'static str, Shape)],
}

impl Table {
    /// Whether a row fits.
    #[must_use]
    pub fn fits(&self, row: &[Cell]) -> bool {
        row.len() == self.columns.len() && row.iter().zip(self.columns).all(|(cell, (_, shape))| cell.shape() == *shape)
    }

    /// Its columns as a list for a statement.
    pub(super) fn list(&self, rename: impl Fn(&'static str) -> &'static str) -> String {
        self.columns.iter().map(|(name, _)| rename(name)).collect::<Vec<_>>().join(", ")
    }
}

/// Declares the tables.
macro_rules! tables {
    ($($name:ident { $($column:ident: $shape:ident),* })*) => {
        /// Every table that is copied, in an order in which rows can be inserted.
        pub const TABLES: &[Table] = &[$(Table {
            name: stringify!($name),
            columns: &[$((stringify!($column), Shape::$shape)),*],
        }),*];
    };
}

tables! {
    chat_app { id: Int, username: Text, password: Text }
    invite { hash: Bytes, made_ms: Int, expires_ms: Int }
    account_log { account: Int, generation: Int, fingerprint: Bytes, seq: Int, head: Bytes }
    log_entry { account: Int, generation: Int, seq: Int, entry: Bytes }
    device {
        device: Bytes, account: Int, cert: Bytes, state: Int, since_ms: Int, last_login_ms: Int, submit_counter: Int
    }
    pending_reset { account: Int, genesis: Bytes, at_ms: Int, due_ms: Int }
    bundle { device: Bytes, seq: Int, bundle: Bytes }
    mailbox { device: Bytes, last_seq: Int, acked_seq: Int, messages: Int, bytes: Int }
    mailbox_sender { device: Bytes, account: Int, messages: Int }
    mail { device: Bytes, seq: Int, sender: Bytes, sender_account: Int, at_ms: Int, envelope: Bytes }
    submitted { sender: Bytes, submit_id: Bytes, at_ms: Int, full_devices: Bytes, room_seq: Int }
    room_state { room: Int, last_seq: Int }
    room_post { seq: Int, author: Text, device: Bytes, submit_id: Bytes, at_ms: Int, text: Text }
    room_post_age { seq: Int, kept_ms: Int }
    seen_time { one: Int, time_ms: Int, wall_ms: Int }
}

/// Tables whose rows go when a database is filled anew: all there are.
pub(super) fn emptied() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|table| table.name).chain(["one_time_key"])
}

/// Takes the rows of a database.
pub trait Sink {
    /// The rows that follow are of this table.
    ///
    /// # Errors
    /// When it cannot take more.
    fn table(&mut self, table: &'static Table) -> io::Result<()>;

    /// A row.
    ///
    /// # Errors
    /// When it cannot take more.
    fn row(&mut self, row: &[Cell]) -> io::Result<()>;
}

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other side.
    #[error("the rows could not be written")]
    Sink(#[from] io::Error),
}

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
    /// [`StoreError`].
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
    /// [`StoreError`].
    pub async fn clear(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(filling) => filling.clear(),
            Self::Mysql(filling) => filling.clear().await,
        }
    }

    /// Inserts rows that fit their table.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert(&mut self, table: &'static Table, rows: Vec<Vec<Cell>>) -> Result<()> {
        match self {
            Self::Sqlite(filling) => filling.insert(table, &rows),
            Self::Mysql(filling) => filling.insert(table, rows).await,
        }
    }

    /// Lets every sequence go on above `floor`, and makes everything durable.
    ///
    /// Devices have perhaps acknowledged, and readers of the room seen, numbers that this copy does not know of: what
    /// came under one of them again would be taken for known and dropped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish(self, floor: u64) -> Result<()> {
        match self {
            Self::Sqlite(filling) => filling.finish(floor),
            Self::Mysql(filling) => filling.finish(floor).await,
        }
    }
}

/// A sequence above all that were assigned before `now_ms`: seconds since 1970, with room for a million numbers in
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
