//! Opens the file: private, durable, up to date.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use chat_programs::sqlite::settle;
use rusqlite::{Connection, OpenFlags};

use super::super::contract::{Cause, Result, StoreError};
use super::super::schema;

/// How long to wait for another process, `chat-server user` say, to finish its write.
const BUSY: Duration = Duration::from_secs(5);
/// Statements kept prepared per connection: more than there are.
const STATEMENTS: usize = 128;

/// The connection that writes, and the migrations it had to apply.
pub(super) fn writing(file: &Path) -> Result<(Connection, Vec<String>)> {
    create_private(file)?;
    let mut db = durable(file)?;
    let report = schema::sqlite()?.run(&mut db).map_err(schema::failed)?;
    Ok((db, schema::names(&report)))
}

/// A connection that syncs what it commits, or writes from the log into the database.
pub(super) fn durable(file: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    settle(&db, STATEMENTS)?;
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.execute_batch("PRAGMA synchronous = FULL")?;
    Ok(db)
}

/// A connection of its own in memory, with our tables.
#[cfg(feature = "fixtures")]
pub(super) fn in_memory() -> Result<Connection> {
    let mut db = empty()?;
    schema::sqlite()?.run(&mut db).map_err(schema::failed)?;
    Ok(db)
}

/// The same without a table.
#[cfg(feature = "fixtures")]
pub(super) fn empty() -> Result<Connection> {
    let db = Connection::open_in_memory()?;
    settle(&db, STATEMENTS)?;
    Ok(db)
}

/// A connection that only reads.
pub(super) fn reading(file: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    settle(&db, STATEMENTS)?;
    db.execute_batch("PRAGMA query_only = ON")?;
    Ok(db)
}

/// SQLite gives its side files the mode of the main one, so that one is made first.
fn create_private(file: &Path) -> Result<()> {
    let made = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(file);
    made.map(drop).map_err(|error| StoreError::Unavailable(Cause::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_synced_before_it_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let (db, _) = writing(&dir.path().join("chat.db")).unwrap();
        let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        // 2 is FULL: the log is synced at every commit
        let synchronous: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    }
}
