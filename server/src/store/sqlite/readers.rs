//! Connections that read beside the writer.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;

use super::super::contract::{Cause, Result, StoreError};
use super::open;
use super::row::Sql;

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
            Self::Caller(db) => return snapshot(&mut db.lock().unwrap_or_else(PoisonError::into_inner), look),
        };
        let _permit = permits.acquire().await.map_err(closed)?;
        tokio::task::spawn_blocking(move || {
            let mut db = take(&idle).ok_or_else(|| StoreError::Unavailable("no reader is left".into()))?;
            let found = snapshot(&mut db, look);
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

fn snapshot<T>(db: &mut Connection, look: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
    let transaction = Transaction::new(db, TransactionBehavior::Deferred)?;
    let found = look(&transaction)?;
    transaction.commit()?;
    Ok(found)
}

fn closed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unavailable(Cause::from(error))
}
