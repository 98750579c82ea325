//! What the engine may ask of the store: rows in a place, read and changed within one transaction.
//!
//! Knows nothing of SQL, files or keys, so that the engine runs over maps in memory exactly as it
//! runs over the sealed database.

#[cfg(any(test, feature = "fixtures"))]
mod memory;

use std::ops::RangeInclusive;

use thiserror::Error;

#[cfg(any(test, feature = "fixtures"))]
pub use self::memory::MemoryRows;

/// What a row is about. The number is stored: once given, never changed or used for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// The one account of this daemon.
    Account = 1,
    /// What is known and trusted about other accounts.
    Peers = 2,
    /// Cores of end-to-end sessions.
    Sessions = 3,
    /// Message keys that were skipped.
    Skipped = 4,
    /// Private halves of published bundles.
    Prekeys = 5,
    /// First messages already opened.
    Replay = 6,
    /// Envelopes stored raw until they can be opened.
    Inbox = 7,
    /// Messages that wait for their order or for a decision of the user.
    Held = 8,
    /// What is still to be sent.
    Outbox = 9,
    /// Submits under way: which device has which bytes.
    Submits = 10,
    /// History.
    Messages = 11,
    /// Conversations.
    Chats = 12,
    /// The event log.
    Events = 13,
    /// Consumers of the event log, and ids chosen by clients.
    Clients = 14,
    /// Where the public room was read to.
    Room = 15,
    /// Counters and positions of the engine.
    State = 16,
}

impl Table {
    /// The number stored with every row.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Where one row is: at most one row has the same table, scope and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// What the row is about.
    pub table: Table,
    /// Groups rows that are read together: a chat, a session. On disk only its HMAC is seen.
    pub scope: &'a [u8],
    /// Tells the rows of a scope apart. On disk only its HMAC is seen.
    pub key: &'a [u8],
}

impl<'a> Place<'a> {
    /// Names a place.
    #[must_use]
    pub const fn new(table: Table, scope: &'a [u8], key: &'a [u8]) -> Self {
        Self { table, scope, key }
    }
}

/// Which end of a scope a scan begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Lowest order first.
    Ascending,
    /// Highest order first.
    Descending,
}

/// Why a row could not be read or written. Whatever it is, the transaction it happened in is not committed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RowsError {
    /// No room left; nothing was changed, and it works again once there is room.
    #[error("no space left for the database")]
    Full,
    /// What was read is not what was written: the file was damaged or changed. It is left as it is.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// Somebody tried to write through a reader.
    #[error("these rows can only be read")]
    ReadOnly,
    /// The database could not be used right now.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
}

/// The rows an input may read and change: one transaction.
///
/// A scope's rows are ordered by their `order`, those of equal order by when they were first put.
pub trait Rows {
    /// The value in a place, if there is one.
    ///
    /// # Errors
    /// [`RowsError`].
    fn get(&self, place: Place<'_>) -> Result<Option<Vec<u8>>, RowsError>;

    /// Writes the one row of a place, replacing the value and order it had.
    ///
    /// # Errors
    /// [`RowsError`].
    fn put(&mut self, place: Place<'_>, order: u64, value: &[u8]) -> Result<(), RowsError>;

    /// Removes the row of a place and says whether there was one.
    ///
    /// # Errors
    /// [`RowsError`].
    fn delete(&mut self, place: Place<'_>) -> Result<bool, RowsError>;

    /// Removes the rows of a scope with an order in `range` and says how many there were.
    ///
    /// # Errors
    /// [`RowsError`].
    fn delete_range(&mut self, table: Table, scope: &[u8], range: RangeInclusive<u64>) -> Result<u64, RowsError>;

    /// Rows of a scope with an order in `range` as (order, value), at most `limit`.
    ///
    /// # Errors
    /// [`RowsError`].
    fn scan(
        &self,
        table: Table,
        scope: &[u8],
        range: RangeInclusive<u64>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(u64, Vec<u8>)>, RowsError>;

    /// The highest order in a scope.
    ///
    /// # Errors
    /// [`RowsError`].
    fn last_order(&self, table: Table, scope: &[u8]) -> Result<Option<u64>, RowsError>;

    /// How many rows a scope has.
    ///
    /// # Errors
    /// [`RowsError`].
    fn count(&self, table: Table, scope: &[u8]) -> Result<u64, RowsError>;
}
