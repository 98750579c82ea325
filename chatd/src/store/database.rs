//! Opens the database file and brings it to the newest form; the one list of migrations.
//!
//! A new database is built under another name and renamed, so that a file by the right name is always
//! whole. One that is damaged, empty, too old or newer than this program is refused and left as it is.

use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::StoreError;
use chat_engine::store::RowsError;
use chat_programs::private::{FileError, create_new};
use chat_programs::sqlite::settle;

use crate::dirs::DirError;

/// Statements kept parsed per connection: more than there are.
const STATEMENTS: usize = 64;
/// "chat", so that `file` and SQLite's tools know whose it is.
const APPLICATION_ID: i32 = 0x6368_6174;
/// How long one connection waits for another, in milliseconds. Only the truncation of the log ever makes one wait.
const BUSY_MS: u64 = 5_000;
/// The version of which the tables are today's and the rows are not: what they say is brought over with the store key.
const OLDEST: i64 = 1;
/// The version the first migration makes.
const FIRST: i64 = 2;
/// Append-only: each brings the version of the one before to the next.
const MIGRATIONS: [&str; 1] = [include_str!("../../../sql/chatd/0001_rows.sql")];

/// Makes a new database with no rows in it.
pub(super) fn create(at: &Path) -> Result<(), StoreError> {
    let unfinished = at.with_extension("new");
    for name in ["new", "new-wal", "new-shm"] {
        crate::dirs::remove(&at.with_extension(name))?;
    }
    let made = create_new(&unfinished);
    made.map_err(FileError::io("create", &unfinished)).map_err(DirError::from)?;
    let mut conn = connect(&unfinished, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    pragma(&conn, "journal_mode", "WAL")?;
    pragma(&conn, "application_id", APPLICATION_ID)?;
    migrate(&mut conn, 0)?;
    write_log_on_close(&conn)?;
    conn.close().map_err(|(_, error)| classify(error))?;
    fs::rename(&unfinished, at).map_err(FileError::io("create", at)).map_err(DirError::from)?;
    Ok(())
}

/// Opens a database for writing. Before anything is written, [`check`] has to find it whole; [`bring_over`] goes before
/// anything else.
pub(super) fn open(at: &Path) -> Result<Connection, StoreError> {
    let conn = connect(at, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    look_at_header(&conn)?;
    let found: i64 = query(&conn, "user_version")?;
    let known = version(MIGRATIONS.len());
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found < OLDEST {
        return Err(StoreError::Older { found, oldest: OLDEST });
    }
    pragma(&conn, "synchronous", "FULL")?;
    pragma(&conn, "secure_delete", "ON")?;
    Ok(conn)
}

/// Looks a database over from end to end, which takes the longer the more is in it. Only reads: a damaged file is left byte
/// for byte as it was found.
///
/// # Errors
/// [`RowsError::Corrupt`]; what SQLite says when it cannot be read.
pub(super) fn check(at: &Path) -> Result<(), RowsError> {
    let verdict: String = query(&open_reader(at)?, "integrity_check(1)")?;
    if verdict == "ok" {
        return Ok(());
    }
    // which of the databases it is stands in a line before
    let finding = verdict.lines().find(|line| !line.starts_with("***")).unwrap_or(&verdict);
    Err(RowsError::Corrupt(finding.to_owned()))
}

/// Opens one more connection that writes the log into the database, and nothing else.
pub(super) fn open_for_checkpoints(at: &Path) -> Result<Connection, RowsError> {
    let conn = connect(at, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    pragma(&conn, "synchronous", "FULL")?;
    Ok(conn)
}

/// Whether it has the newest version.
pub(super) fn is_newest(conn: &Connection) -> Result<bool, RowsError> {
    Ok(query::<i64>(conn, "user_version")? == version(MIGRATIONS.len()))
}

/// Brings a database to the newest version. `rows` turns the rows of the oldest one into those of the next, in one
/// transaction.
pub(super) fn bring_over(
    conn: &mut Connection,
    rows: impl FnOnce(&Connection) -> Result<(), RowsError>,
) -> Result<(), RowsError> {
    if query::<i64>(conn, "user_version")? == OLDEST {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(classify)?;
        rows(&tx)?;
        pragma(&tx, "user_version", FIRST)?;
        tx.commit().map_err(classify)?;
    }
    let found: i64 = query(conn, "user_version")?;
    migrate(conn, usize::try_from(found - FIRST + 1).unwrap_or(0))
}

/// Opens one more connection that cannot write.
pub(super) fn open_reader(at: &Path) -> Result<Connection, RowsError> {
    let conn = connect(at, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // the shared-memory file of the log needs a connection that may write; the rows are protected here
    pragma(&conn, "query_only", "ON")?;
    Ok(conn)
}

/// Whether there is a database, and not a file cut to nothing.
pub(super) fn exists(at: &Path) -> Result<bool, StoreError> {
    match crate::dirs::private_exists(at)? {
        true if fs::metadata(at).is_ok_and(|meta| meta.len() == 0) => {
            Err(RowsError::Corrupt("the file is empty".into()).into())
        }
        found => Ok(found),
    }
}

/// Whether anything was ever written to it and is still there.
pub(super) fn has_rows(at: &Path) -> Result<bool, StoreError> {
    let found: i64 = open(at)?.query_row("SELECT count(*) FROM rows", [], |row| row.get(0)).map_err(classify)?;
    Ok(found > 0)
}

/// Has the log written into the database when this connection closes and is the last.
pub(super) fn write_log_on_close(conn: &Connection) -> Result<(), RowsError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop).map_err(classify)
}

/// Sorts SQLite's many failures into the few that matter.
pub(super) fn classify(error: rusqlite::Error) -> RowsError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => RowsError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => RowsError::Corrupt(error.to_string()),
        Some(_) => RowsError::Unavailable(error.to_string()),
        // a column of another type than we write, a row that is not there: somebody changed the file
        None => RowsError::Corrupt(error.to_string()),
    }
}

fn connect(at: &Path, flags: OpenFlags) -> Result<Connection, RowsError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(at, flags).map_err(classify)?;
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_MS)).map_err(classify)?;
    // or else the last connection that closes would write the log into a file that was found damaged
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(classify)?;
    settle(&conn, STATEMENTS).map_err(classify)?;
    pragma(&conn, "cell_size_check", "ON")?;
    Ok(conn)
}

fn look_at_header(conn: &Connection) -> Result<(), RowsError> {
    let mode: String = query(conn, "journal_mode")?;
    let whose: i32 = query(conn, "application_id")?;
    if mode != "wal" || whose != APPLICATION_ID {
        return Err(RowsError::Corrupt("the header is not ours".into()));
    }
    Ok(())
}

/// The version after so many migrations.
fn version(done: usize) -> i64 {
    i64::try_from(done).unwrap_or(i64::MAX).saturating_add(FIRST - 1)
}

fn migrate(conn: &mut Connection, done: usize) -> Result<(), RowsError> {
    for (nth, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let tx = conn.transaction().map_err(classify)?;
        tx.execute_batch(sql).map_err(classify)?;
        pragma(&tx, "user_version", version(nth + 1))?;
        tx.commit().map_err(classify)?;
    }
    Ok(())
}

fn pragma(conn: &Connection, name: &str, value: impl rusqlite::ToSql) -> Result<(), RowsError> {
    // some answer with the value they took, some with nothing
    conn.pragma_update_and_check(None, name, value, |_| Ok(())).or_else(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        error => Err(classify(error)),
    })
}

fn query<T: rusqlite::types::FromSql>(conn: &Connection, pragma: &str) -> Result<T, RowsError> {
    conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).map_err(classify)
}
