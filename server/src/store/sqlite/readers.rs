//! Connections that read beside the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::super::contract::{Cause, Result, StoreError};
use super::open;
use super::row::{Sql, run};

/// Reads at once: more would not be faster on the disks this is for.
const READERS: usize = 4;

/// Who reads, and on which connection.
pub(super) enum Readers {
    /// A few idle connections behind as many permits; who finds none waits his turn.
    Beside { idle: Arc<Mutex<Vec<Connection>>>, permits: Semaphore },
    /// Whoever asks, at once.
    #[cfg(feature = "fixtures")]
    Caller(Arc<Mutex<Connection>>),
}

impl Readers {
    pub(super) fn open(file: &Path) -> Result<Self> {
        let idle = (0..READERS).map(|_| open::reading(file)).collect::<Result<Vec<_>>>()?;
        Ok(Self::Beside { idle: Arc::new(Mutex::new(idle)), permits: Semaphore::new(READERS) })
    }

    /// Runs `look` on a blocking thread, within one snapshot.
    pub(super) async fn read<T, F>(&self, look: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Sql<T> + Send + 'static,
    {
        let (idle, permits) = match self {
            Self::Beside { idle, permits } => (Arc::clone(idle), permits),
            #[cfg(feature = "fixtures")]
            Self::Caller(db) => return snapshot(&db.lock().unwrap_or_else(PoisonError::into_inner), look),
        };
        let _permit = permits.acquire().await.map_err(closed)?;
        tokio::task::spawn_blocking(move || {
            let db = take(&idle).ok_or_else(|| StoreError::Unavailable("no reader is left".into()))?;
            let found = snapshot(&db, look);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            found
        })
        .await
        .map_err(closed)?
    }
}

fn take(idle: &Mutex<Vec<Connection>>) -> Option<Connection> {
    idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

/// Looks at what is committed now. Of a look that panics its connection goes too, and its snapshot with it.
fn snapshot<T>(db: &Connection, look: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
    run(db, "BEGIN", [])?;
    let found = look(db);
    // it changed nothing, and this cannot be refused as a commit can: the connection would keep its snapshot
    if !db.is_autocommit() {
        run(db, "ROLLBACK", [])?;
    }
    Ok(found?)
}

fn closed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Cause::from(error))
}
