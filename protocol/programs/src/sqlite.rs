//! How the programs use SQLite: what holds for every connection, and a write-ahead log that is written into the database
//! beside the commits. The bundled SQLite notices a log that begins again while it is being written; those of older systems may
//! not, and are not for this.

use std::ffi::c_int;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;

/// Pages after which the log is written into the database, as often as they come again: SQLite's own number.
const PAGES: c_int = 1_000;
/// Pages (8 MiB) after which a commit does it by itself. While something is always being committed, only then is there a
/// moment at which the log is in the database from end to end, and can begin again.
const MOST_PAGES: c_int = 2 * PAGES;

/// What holds for every connection: each statement is parsed once, of so many that are kept; nothing is written to temporary
/// files; functions and virtual tables that the file names are not believed.
///
/// # Errors
/// What SQLite says.
pub fn settle(conn: &Connection, statements: usize) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(statements);
    // the bundled SQLite plans by the values that are bound (STAT4), and so would parse anew with each other value
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // what a savepoint may have to undo is in a file otherwise, made for each transaction
    conn.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF")
}

/// A thread that writes the log of a connection into the database while that goes on committing.
///
/// A commit has its log synced and is done; copying pages to their places, which takes milliseconds and a sync of the
/// database, keeps none of its promises.
#[derive(Debug)]
pub struct Checkpoints {
    thread: JoinHandle<()>,
    /// Held by who writes from the log into the database: SQLite lets one do that, and does not wait for another's end.
    writing: Arc<Mutex<()>>,
}

impl Checkpoints {
    /// Begins, in place of SQLite's own checkpoints. `open` makes one more connection to the same database, when it is first
    /// needed; without one, commits do it by themselves.
    ///
    /// # Errors
    /// There is no thread to be had, or what SQLite says.
    pub fn beside<E: std::fmt::Display>(
        writer: &mut Connection,
        open: impl FnOnce() -> Result<Connection, E> + Send + 'static,
    ) -> io::Result<Self> {
        let (wake, wakes) = sync_channel(1);
        let writing = Arc::new(Mutex::new(()));
        let theirs = Arc::clone(&writing);
        let serve = move || serve(&wakes, open, &theirs);
        let thread = thread::Builder::new().name("checkpoints".to_owned()).spawn(serve)?;
        let mut pace = Pace { wake, reached: 0 };
        let hook = move |log: &mut Wal, pages| {
            pace.committed(log, pages);
            // what is said here would be the answer to the commit, which is done
            Ok(())
        };
        writer.wal_hook(Some(hook)).map_err(io::Error::other)?;
        Ok(Self { thread, writing })
    }

    /// Ends, and closes the other connection: whoever closes `writer` now may be the last.
    pub fn stop(self, writer: &mut Connection) {
        // the thread ends when nobody can wake it any more
        let forgotten = writer.wal_hook(None::<fn(&mut Wal, c_int) -> rusqlite::Result<()>>);
        if forgotten.is_ok() {
            let _panicked = self.thread.join();
        }
    }

    /// Writes the whole log into the database and cuts it to nothing, so that old pages are gone. False if a reader keeps it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn truncate(&self, writer: &Connection) -> rusqlite::Result<bool> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0)
    }
}

struct Pace {
    wake: SyncSender<()>,
    /// How often the log had its number of pages at the last commit.
    reached: c_int,
}

impl Pace {
    /// Hears of each commit, and how long the log is now.
    fn committed(&mut self, log: &mut Wal, pages: c_int) {
        let before = std::mem::replace(&mut self.reached, pages / PAGES);
        // beyond that the thread is left alone: while it is at it, a commit cannot
        let full = pages >= MOST_PAGES;
        if (full || (self.reached > before && !self.wake()))
            && let Err(error) = log.checkpoint()
        {
            // the thread is still at it, or the disk is full: the log goes on, and the next commit tries again
            tracing::debug!(%error, pages, "the write-ahead log was not written into the database");
        }
    }

    /// Whether there is anybody to be woken.
    fn wake(&self) -> bool {
        !matches!(self.wake.try_send(()), Err(TrySendError::Disconnected(())))
    }
}

fn serve<E: std::fmt::Display>(
    wakes: &Receiver<()>,
    open: impl FnOnce() -> Result<Connection, E>,
    writing: &Mutex<()>,
) {
    if wakes.recv().is_err() {
        return;
    }
    let conn = match open() {
        Ok(conn) => conn,
        Err(error) => return tracing::warn!(%error, "no connection for checkpoints: commits make them"),
    };
    loop {
        let alone = writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        drop(alone);
        if let Err(error) = written {
            tracing::warn!(%error, "the write-ahead log was not written into the database");
        }
        if wakes.recv().is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn open(file: &Path) -> rusqlite::Result<Connection> {
        let conn = Connection::open(file)?;
        settle(&conn, 16)?;
        Ok(conn)
    }

    /// A database whose log is a long way from its first checkpoint.
    fn database(dir: &tempfile::TempDir) -> (Connection, PathBuf) {
        let file = dir.path().join("x.db");
        let conn = open(&file).unwrap();
        conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        conn.execute_batch("PRAGMA synchronous = FULL; CREATE TABLE t (x BLOB NOT NULL)").unwrap();
        (conn, file)
    }

    /// Commits about so many pages.
    fn commit(conn: &Connection, pages: u32) {
        conn.prepare_cached("INSERT INTO t VALUES (zeroblob(?1))").unwrap().execute([pages * 4_000]).unwrap();
    }

    fn pages_of(file: &Path) -> u64 {
        std::fs::metadata(file).unwrap().len() / 4_096
    }

    fn rows(file: &Path) -> i64 {
        open(file).unwrap().query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn log_is_written_into_the_database_beside_commits_and_begins_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut conn, file) = database(&dir);
        let other = file.clone();
        let checkpoints = Checkpoints::beside(&mut conn, move || open(&other)).unwrap();
        for _ in 0..100 {
            commit(&conn, 500);
        }
        // 50,000 pages; how many a commit adds while the thread is at it depends on the disk
        let log = pages_of(&file.with_extension("db-wal"));
        assert!(log < 12 * u64::from(MOST_PAGES.unsigned_abs()), "{log} pages of log");
        checkpoints.stop(&mut conn);
        assert_eq!(rows(&file), 100);
        conn.close().unwrap();
        assert!(!file.with_extension("db-wal").exists(), "the last connection closes the log");
    }

    #[test]
    fn commit_below_the_most_pages_writes_nothing_into_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let (mut conn, file) = database(&dir);
        let (go, gone) = sync_channel::<()>(0);
        let other = file.clone();
        let waits = move || {
            // woken, and held until the test has looked
            gone.recv().ok();
            open(&other)
        };
        let before = pages_of(&file);
        let checkpoints = Checkpoints::beside(&mut conn, waits).unwrap();
        for _ in 0..3 {
            commit(&conn, 500);
        }
        assert_eq!(pages_of(&file), before);
        go.send(()).unwrap();
        checkpoints.stop(&mut conn);
        assert!(pages_of(&file) > before + 1_000, "the thread has written it");
    }

    #[test]
    fn log_is_cut_to_nothing_whatever_the_thread_is_at() {
        let dir = tempfile::tempdir().unwrap();
        let (mut conn, file) = database(&dir);
        let other = file.clone();
        let checkpoints = Checkpoints::beside(&mut conn, move || open(&other)).unwrap();
        for _ in 0..10 {
            // each of them wakes the thread
            commit(&conn, 1_100);
            assert!(checkpoints.truncate(&conn).unwrap());
            assert_eq!(pages_of(&file.with_extension("db-wal")), 0);
        }
        checkpoints.stop(&mut conn);
    }

    #[test]
    fn commits_write_the_log_into_the_database_where_no_thread_can() {
        let dir = tempfile::tempdir().unwrap();
        let (mut conn, file) = database(&dir);
        let checkpoints = Checkpoints::beside(&mut conn, || Err("no connection")).unwrap();
        for _ in 0..40 {
            commit(&conn, 500);
        }
        let log = pages_of(&file.with_extension("db-wal"));
        assert!(log < 2 * u64::from(MOST_PAGES.unsigned_abs()), "{log} pages of log");
        checkpoints.stop(&mut conn);
        assert_eq!(rows(&file), 40);
    }
}
