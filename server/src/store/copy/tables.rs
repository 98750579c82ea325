//! Which tables there are, what their rows look like, and who takes them.

use std::io;

use super::super::contract::StoreError;

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
    pub(in crate::store) fn list(&self, rename: impl Fn(&'static str) -> &'static str) -> String {
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
    mailbox_by_sender { device: Bytes, account: Int, messages: Int, bytes: Int }
    mailbox_generation { one: Int, generation: Int }
    mailbox_total { account: Int, bytes: Int }
    mail { device: Bytes, seq: Int, sender: Bytes, sender_account: Int, at_ms: Int, envelope: Bytes }
    submitted { sender: Bytes, submit_id: Bytes, at_ms: Int, full_devices: Bytes, room_seq: Int }
    room_state { room: Int, last_seq: Int }
    room_post { seq: Int, author: Text, device: Bytes, submit_id: Bytes, at_ms: Int, text: Text }
    room_post_age { seq: Int, kept_ms: Int }
    group_log { group_id: Bytes, account: Int, seq: Int, next_token: Bytes }
    group_op { group_id: Bytes, seq: Int, hash: Bytes }
    seen_time { one: Int, time_ms: Int, wall_ms: Int }
}

/// Tables whose rows go when a database is filled anew: all there are.
pub(in crate::store) fn emptied() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|table| table.name).chain(["one_time_key"])
}

/// Tables that the schema puts a row into: one in them does not say that a database is in use.
const SEEDED: [&str; 2] = ["room_state", "mailbox_generation"];

/// Tables of which a row says that a database is in use.
pub(in crate::store) fn used() -> impl Iterator<Item = &'static str> {
    emptied().filter(|table| !SEEDED.contains(table))
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
