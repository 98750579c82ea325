//! The one thread that writes, and its group commit.
//!
//! Jobs that wait together share a transaction and its one sync; each, or each of its parts, runs behind a savepoint, so
//! what fails leaves nothing and disturbs nobody. Nobody is answered before the commit. The
//! queue is bounded: who finds it full waits. The thread ends when the store is dropped. What was committed is written from
//! the log into the database by another ([`Checkpoints`]).

use std::path::PathBuf;
#[cfg(feature = "fixtures")]
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use chat_programs::sqlite::Checkpoints;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::contract::{Cause, Result, StoreError};
use super::open;
use super::row::Sql;

/// Jobs that may wait; senders beyond that wait themselves.
const QUEUE: usize = 1_024;
/// Jobs in one transaction: enough to share the sync, few enough to answer soon.
const GROUP: usize = 256;

pub(super) enum Writer {
    /// The thread, through its queue.
    Thread(mpsc::Sender<Box<dyn Job>>),
    /// Whoever asks, at once.
    #[cfg(feature = "fixtures")]
    Caller(Arc<Mutex<Connection>>),
}

/// Something to write, and somebody who waits for it.
pub(super) trait Job: Send {
    fn run(&mut self, db: &Connection);
    /// Tells the outcome: its own if the transaction was committed.
    fn answer(self: Box<Self>, committed: bool);
}

struct Task<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T> + Send> Job for Task<T, F> {
    fn run(&mut self, db: &Connection) {
        if let Some(work) = self.work.take() {
            self.outcome = Some(work(db));
        }
    }

    fn answer(self: Box<Self>, committed: bool) {
        let outcome = if committed { self.outcome } else { None };
        let lost = || Err(StoreError::Unavailable("the transaction was not committed".into()));
        // who no longer waits needs no answer
        let _ = self.reply.send(outcome.unwrap_or_else(lost));
    }
}

impl Writer {
    /// With a connection to this file.
    pub(super) fn start(mut db: Connection, file: PathBuf) -> Result<Self> {
        let checkpoints = Checkpoints::beside(&mut db, move || open::durable(&file)).map_err(unavailable)?;
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let serve = move || {
            serve(&db, waiting);
            checkpoints.stop(&mut db);
        };
        thread::Builder::new().name("store-writer".to_owned()).spawn(serve).map_err(unavailable)?;
        Ok(Self::Thread(jobs))
    }

    /// Runs `work` in a transaction and returns once it is durable.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Sql<T> + Send + 'static,
    {
        self.write_parts(|db| apart(db, work)).await
    }

    /// The same for work that keeps its parts [`apart`] itself.
    ///
    /// One more savepoint around them would cost each of them a walk through all that those before it have changed.
    pub(super) async fn write_parts<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Task { work: Some(work), outcome: None, reply });
        match self {
            Self::Thread(jobs) => jobs.send(task).await.map_err(|_| stopped())?,
            #[cfg(feature = "fixtures")]
            Self::Caller(db) => commit_and_answer(&db.lock().unwrap_or_else(PoisonError::into_inner), &mut vec![task]),
        }
        answer.await.map_err(|_| stopped())?
    }
}

fn unavailable(error: std::io::Error) -> StoreError {
    StoreError::Unavailable(Cause::from(error))
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

fn serve(db: &Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
        commit_and_answer(db, &mut group);
    }
}

/// Commits a group, then answers it.
fn commit_and_answer(db: &Connection, group: &mut Vec<Box<dyn Job>>) {
    let committed = commit(db, group);
    if let Err(error) = &committed {
        tracing::error!(%error, jobs = group.len(), "a transaction was not committed");
    }
    group.drain(..).for_each(|job| job.answer(committed.is_ok()));
}

fn commit(db: &Connection, group: &mut [Box<dyn Job>]) -> Sql<()> {
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for job in group {
        // after a full disk SQLite has rolled back by itself: what follows would commit one by one
        if db.is_autocommit() {
            break;
        }
        job.run(db);
    }
    let result = db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([])).map(drop);
    if result.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    result
}

/// Runs `work` behind a savepoint: all of it or nothing.
pub(super) fn apart<T>(db: &Connection, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
    // a full disk has ended the transaction: what is done now would be committed by itself, and nobody told so
    if db.is_autocommit() {
        return Err(StoreError::Unavailable("the transaction was given up".into()));
    }
    db.prepare_cached("SAVEPOINT job")?.execute([])?;
    let outcome = work(db);
    let end = if outcome.is_ok() { "RELEASE job" } else { "ROLLBACK TO job" };
    if !db.is_autocommit() {
        db.prepare_cached(end)?.execute([])?;
        if outcome.is_err() {
            db.prepare_cached("RELEASE job")?.execute([])?;
        }
    }
    outcome.map_err(StoreError::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer on an empty table that may grow to a few pages.
    fn cramped(dir: &tempfile::TempDir) -> Writer {
        let file = dir.path().join("x.db");
        let db = Connection::open(&file).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x BLOB NOT NULL); PRAGMA max_page_count = 40")
            .unwrap();
        Writer::start(db, file).unwrap()
    }

    async fn put(writer: &Writer, bytes: u32) -> Result<()> {
        writer.write(move |db| db.execute("INSERT INTO t (x) VALUES (zeroblob(?1))", [bytes]).map(drop)).await
    }

    async fn rows(writer: &Writer) -> i64 {
        writer.write(|db| db.query_row("SELECT COUNT(*) FROM t", [], |row| row.get(0))).await.unwrap()
    }

    #[tokio::test]
    async fn parts_behind_one_that_fills_the_disk_are_stored_only_where_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let writer = cramped(&dir);
        let insert = "INSERT INTO t (x) VALUES (zeroblob(?1))";
        let parts = move |db: &Connection| {
            let sizes = (0..30).map(|part| if part == 10 { 1_000_000 } else { 10 });
            Ok(sizes.filter(|size| apart(db, |db| db.execute(insert, [*size])).is_ok()).count())
        };
        let said = writer.write_parts(parts).await.map_or(0, |stored| i64::try_from(stored).unwrap());
        assert_eq!(rows(&writer).await, said);
    }

    #[tokio::test]
    async fn full_disk_refuses_loses_nothing_and_recovers() {
        let dir = tempfile::tempdir().unwrap();
        let writer = cramped(&dir);
        let mut stored = 0;
        let refusal = loop {
            match put(&writer, 20_000).await {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(refusal, StoreError::Unavailable(_)), "{refusal:?}");
        assert!(stored > 0);
        assert_eq!(rows(&writer).await, stored);
        writer.write(|db| db.query_row("PRAGMA max_page_count = 1000", [], |_| Ok(()))).await.unwrap();
        put(&writer, 20_000).await.unwrap();
        assert_eq!(rows(&writer).await, stored + 1);
    }

    #[tokio::test]
    async fn failing_job_disturbs_nobody_in_its_group() {
        let dir = tempfile::tempdir().unwrap();
        let writer = cramped(&dir);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hold = writer.write(move |_| Ok(held.recv().is_ok()));
        let bad = writer.write(|db| {
            db.execute("INSERT INTO t (x) VALUES (X'00')", [])?;
            db.execute("INSERT INTO t (x) VALUES (NULL)", [])
        });
        let go = async { release.send(()).unwrap() };
        let (hold, first, bad, second, ()) = tokio::join!(hold, put(&writer, 1), bad, put(&writer, 1), go);
        assert!(hold.unwrap() && first.is_ok() && second.is_ok());
        assert!(matches!(bad, Err(StoreError::Internal(_))), "{bad:?}");
        assert_eq!(rows(&writer).await, 2, "the bad job left nothing");
    }
}
