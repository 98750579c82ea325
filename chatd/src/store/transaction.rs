//! A transaction whose own words are parsed once: rusqlite parses `BEGIN` and `COMMIT` anew for each.

use chat_engine::store::RowsError;
use rusqlite::Connection;

use super::database::classify;

/// Undone when it is dropped, by a panic too, unless it was committed before.
pub(super) struct Transaction<'c> {
    conn: &'c Connection,
}

impl<'c> Transaction<'c> {
    /// Begins one that writes: nobody else does until it has ended.
    pub(super) fn writing(conn: &'c Connection) -> Result<Self, RowsError> {
        run(conn, "BEGIN IMMEDIATE").map(|()| Self { conn })
    }

    /// Begins one that sees what is committed when it first reads, and nothing later.
    pub(super) fn reading(conn: &'c Connection) -> Result<Self, RowsError> {
        run(conn, "BEGIN").map(|()| Self { conn })
    }

    pub(super) fn commit(self) -> Result<(), RowsError> {
        run(self.conn, "COMMIT")
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.conn.is_autocommit() {
            return;
        }
        if let Err(error) = run(self.conn, "ROLLBACK") {
            tracing::error!(%error, "a transaction could not be undone");
        }
    }
}

/// Runs a statement without values, parsed once.
pub(super) fn run(conn: &Connection, sql: &str) -> Result<(), RowsError> {
    conn.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).map_err(classify)
}
