//! A database in memory, for simulations: every call is one transaction, carried out where it is awaited.
//!
//! No thread and no clock has a say in what happens when, so the same calls always give the same rows.

use std::io::Cursor;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthContext, Authorization};
use rusqlite::{Connection, MAIN_DB};

use super::super::contract::Result;
use super::{Readers, SqliteStore, Writer, open};

impl SqliteStore {
    /// An empty database with our tables.
    ///
    /// # Errors
    /// [`super::super::contract::StoreError`] when SQLite fails.
    pub fn in_memory() -> Result<Self> {
        Ok(Self::of(open::in_memory()?))
    }

    /// A database that continues from an [`Self::image`].
    ///
    /// # Errors
    /// [`super::super::contract::StoreError`] when it is none.
    pub fn from_image(image: &[u8]) -> Result<Self> {
        let mut db = open::empty()?;
        db.deserialize_read_exact(MAIN_DB, Cursor::new(image), image.len(), false)?;
        Ok(Self::of(db))
    }

    /// Everything committed, for [`Self::from_image`]; `None` unless it lives in memory.
    ///
    /// # Errors
    /// [`super::super::contract::StoreError`] when SQLite fails.
    pub fn image(&self) -> Result<Option<Vec<u8>>> {
        let Writer::Caller(db) = &self.writer else { return Ok(None) };
        let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(db.serialize(MAIN_DB)?.to_vec()))
    }

    /// Runs SQL that no server would; nothing unless it lives in memory.
    ///
    /// # Errors
    /// [`super::super::contract::StoreError`] when SQLite refuses it.
    pub fn meddle(&self, sql: &str) -> Result<()> {
        let Writer::Caller(db) = &self.writer else { return Ok(()) };
        Ok(db.lock().unwrap_or_else(PoisonError::into_inner).execute_batch(sql)?)
    }

    /// Counts from now on what SQLite compiles: the number grows by several with every statement that is parsed. `None` unless
    /// it lives in memory.
    ///
    /// # Errors
    /// [`super::super::contract::StoreError`] when SQLite fails.
    pub fn count_parses(&self) -> Result<Option<Arc<AtomicU64>>> {
        let Writer::Caller(db) = &self.writer else { return Ok(None) };
        let parses = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&parses);
        db.lock().unwrap_or_else(PoisonError::into_inner).authorizer(Some(move |_: AuthContext<'_>| {
            counted.fetch_add(1, Ordering::Relaxed);
            Authorization::Allow
        }))?;
        Ok(Some(parses))
    }

    fn of(db: Connection) -> Self {
        let db = Arc::new(Mutex::new(db));
        Self { writer: Writer::Caller(Arc::clone(&db)), readers: Readers::Caller(db), file: None }
    }
}
