//! The daemon's memory: rows grouped by scope and ordered by a number, every value sealed on disk.
//!
//! [`chat_engine::store`] says what may be asked of it, and has the form for tests and the simulated world; [`Store`] is
//! the one on disk. Two files: `store.key`, the random store key wrapped by a key file or a
//! passphrase, and `store.db`. Nothing outside this module speaks SQL or knows the store key. What it
//! cannot read it refuses and leaves as it is.
//!
//! Honest limits: sizes and orders of rows are visible, a mebibyte of rows that were used lately stays open in memory, an older
//! copy of the whole database is not noticed here, and a solid-state disk may keep blocks that were overwritten.

mod check;
mod database;
mod overlay;
pub mod seal;
mod sealed;
pub mod search;
#[cfg(test)]
mod tests;
mod transaction;
mod words;
mod wrap;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_engine::rows::version_1;
pub use chat_engine::store::{Direction, Place, Rows, RowsError, Table};
use chat_programs::sqlite::Checkpoints;
use chat_protocol::crypto::kdf::hkdf;
use chat_protocol::crypto::labels::Label;
use chat_protocol::crypto::secret::SecretBytes;
use rusqlite::Connection;
use thiserror::Error;
use zeroize::Zeroizing;

use self::check::Check;
use self::overlay::Overlay;
use self::seal::Seals;
pub use self::sealed::{Counts, SealedRows};
use self::transaction::Transaction;
pub use self::wrap::{Unlock, UnlockError};
use crate::dirs::{DataDir, DirError};

const KEY_NAME: &str = "store.key";
const DATABASE_NAME: &str = "store.db";
/// How long a deleted row may stay in the write-ahead log.
const LOG_LIFETIME: Duration = Duration::from_secs(60);

/// Why a store could not be opened. It is left as it was found.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store key could not be had.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// A file is not private, or could not be read or written.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// The database is damaged, full, or cannot be used.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// One of the two files is gone.
    #[error("{missing} is missing beside {present}: put it back from a copy, or move {present} away to start anew")]
    Half {
        /// The file that is not there.
        missing: &'static str,
        /// The one that is.
        present: &'static str,
    },
    /// A later program wrote it.
    #[error("the database has version {found}, this program knows {known}: use a newer chatd")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// A program from before the first version that is still read wrote it.
    #[error(
        "the database has version {found}, this program reads from {oldest} on: export what you need with the chatd \
         that wrote it, move its data directory away, then run `chatctl login`"
    )]
    Older {
        /// Its version.
        found: i64,
        /// The oldest version read here.
        oldest: i64,
    },
}

/// The sealed rows of one account on disk.
pub struct Store {
    path: PathBuf,
    key: SecretBytes<32>,
    seals: Arc<Seals>,
    check: Check,
    writer: Mutex<Writer>,
}

struct Writer {
    conn: Connection,
    /// None once the store closes.
    checkpoints: Option<Checkpoints>,
    known: Overlay,
    counts: Counts,
    truncated: Instant,
}

impl Store {
    /// Opens the store in `dir`, or makes one where there is none.
    ///
    /// # Errors
    /// [`StoreError`]; nothing that was there is then changed.
    pub fn open(dir: &DataDir, unlock: &Unlock) -> Result<Self, StoreError> {
        let (key_path, path) = (dir.file(KEY_NAME), dir.file(DATABASE_NAME));
        let key = match (crate::dirs::private_exists(&key_path)?, database::exists(&path)?) {
            (true, true) => wrap::open(&key_path, unlock)?,
            (true, false) => return Err(StoreError::Half { missing: DATABASE_NAME, present: KEY_NAME }),
            (false, found) => begin(&key_path, &path, unlock, found)?,
        };
        let (mut conn, seals) = (database::open(&path)?, Arc::new(Seals::new(&key)));
        let check = Check::of(path.clone());
        if !database::is_newest(&conn)? {
            check.wait()?;
        }
        database::bring_over(&mut conn, |tx| {
            let mut rows = SealedRows::writing(tx, &seals, Overlay::default());
            version_1::bring_over(&mut rows)?;
            rows.finish().map(drop)
        })?;
        let at = path.clone();
        let checkpoints = Checkpoints::beside(&mut conn, move || database::open_for_checkpoints(&at));
        let writer = Mutex::new(Writer {
            conn,
            checkpoints: Some(checkpoints.map_err(|error| RowsError::Unavailable(error.to_string()))?),
            known: Overlay::default(),
            counts: Counts::default(),
            truncated: Instant::now(),
        });
        Ok(Self { path, seals, key, check, writer })
    }

    /// Wraps the store key in another way: rewrites `store.key` and nothing else.
    ///
    /// # Errors
    /// [`StoreError`]; the old way then still works.
    pub fn change_unlock(dir: &DataDir, from: &Unlock, to: &Unlock) -> Result<(), StoreError> {
        let path = dir.file(KEY_NAME);
        let key = wrap::open(&path, from)?;
        Ok(wrap::write(&path, to, &key)?)
    }

    /// Runs `work` over the rows and commits what it did, durably, if it succeeds.
    ///
    /// # Errors
    /// Those of `work`, and [`RowsError`]; nothing of it is then kept.
    pub fn transaction<T, E: From<RowsError>>(
        &self,
        work: impl FnOnce(&mut SealedRows<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.check.wait()?;
        let mut writer = self.writer();
        let known = std::mem::take(&mut writer.known);
        let transaction = Transaction::writing(&writer.conn)?;
        // what is known of the rows comes back with the commit, and with nothing else
        let mut rows = SealedRows::writing(&writer.conn, &self.seals, known);
        let done = work(&mut rows)?;
        let (known, Counts { opened, sealed }) = rows.finish()?;
        transaction.commit()?;
        writer.known = known;
        writer.counts.opened += opened;
        writer.counts.sealed += sealed;
        if writer.truncated.elapsed() >= LOG_LIFETIME {
            writer.truncate_log();
        }
        Ok(done)
    }

    /// Reads what is needed before the database was looked over, or once in a while: nothing waits for the verdict.
    ///
    /// # Errors
    /// Those of `work`, and [`RowsError`].
    pub fn read<T, E: From<RowsError>>(&self, work: impl FnOnce(&dyn Rows) -> Result<T, E>) -> Result<T, E> {
        read(&self.writer().conn, &self.seals, work)
    }

    /// Opens another connection for reading, which neither waits for the writer nor delays it.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn reader(&self) -> Result<Reader, RowsError> {
        Ok(Reader { conn: Mutex::new(database::open_reader(&self.path)?), seals: Arc::clone(&self.seals) })
    }

    /// Waits until the database was looked over from end to end, which begins with the first who waits; nothing is written
    /// before.
    ///
    /// # Errors
    /// [`RowsError::Corrupt`]: it is left as it was found.
    pub fn checked(&self) -> Result<(), RowsError> {
        self.check.wait()
    }

    /// The same store while it is looked over, without end.
    #[cfg(test)]
    pub(crate) fn never_checked(mut self) -> Self {
        self.check = Check::endless();
        self
    }

    /// Whether it was looked over, whatever was found.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        self.check.verdict().is_some()
    }

    /// Empties the write-ahead log, where deleted rows linger. Call it about once a minute while idle.
    pub fn tidy(&self) {
        if self.check.wait().is_ok() {
            self.writer().truncate_log();
        }
    }

    /// What all transactions cost since the start, failed ones excepted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.writer().counts
    }

    /// Bytes the database takes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let wal = self.path.with_extension("db-wal");
        [&self.path, &wal].iter().filter_map(|path| std::fs::metadata(path).ok()).map(|meta| meta.len()).sum()
    }

    /// What the PEM files of this store are encrypted under: 256 bits, in base64url.
    #[must_use]
    pub fn pem_passphrase(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(hkdf::<32>(b"", self.key.expose(), Label::StorePem));
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))
    }

    /// Key of the secret that stands in for an RSA ciphertext that does not open.
    #[must_use]
    pub fn rejection_key(&self) -> SecretBytes<32> {
        SecretBytes::new(hkdf(b"", self.key.expose(), Label::StoreReject))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // a panic in the middle of a transaction has rolled it back
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    /// The last connection that closes writes the log into the database: only where that was found whole.
    fn drop(&mut self) {
        let Writer { conn, checkpoints, .. } = &mut *self.writer();
        if let Some(checkpoints) = checkpoints.take() {
            checkpoints.stop(conn);
        }
        if self.check.verdict() == Some(Ok(()))
            && let Err(error) = database::write_log_on_close(conn)
        {
            tracing::debug!(%error, "the write-ahead log stays");
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.path.display())
    }
}

impl Writer {
    /// What fails here is tried again a minute later, and costs space until then; so is what a reader in the middle of
    /// something keeps.
    fn truncate_log(&mut self) {
        self.truncated = Instant::now();
        let Some(checkpoints) = &self.checkpoints else { return };
        if let Err(error) = checkpoints.truncate(&self.conn) {
            tracing::warn!(%error, "the write-ahead log was not emptied");
        }
    }
}

/// One more connection, for reading.
pub struct Reader {
    conn: Mutex<Connection>,
    seals: Arc<Seals>,
}

impl Reader {
    /// Runs `work` over the rows as they are at one instant.
    ///
    /// # Errors
    /// Those of `work`, and [`RowsError`].
    pub fn read<T, E: From<RowsError>>(&self, work: impl FnOnce(&dyn Rows) -> Result<T, E>) -> Result<T, E> {
        read(&self.conn.lock().unwrap_or_else(PoisonError::into_inner), &self.seals, work)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader(..)")
    }
}

/// Runs `work` over the rows of a connection as they are at one instant.
fn read<T, E: From<RowsError>>(
    conn: &Connection,
    seals: &Seals,
    work: impl FnOnce(&dyn Rows) -> Result<T, E>,
) -> Result<T, E> {
    let _snapshot = Transaction::reading(conn)?;
    work(&SealedRows::reading(conn, seals))
}

/// Makes the two files of a new store. The key comes last: until it is there, nothing was ever written,
/// and a database beside it can only be what an earlier beginning left.
fn begin(
    key_path: &std::path::Path,
    path: &std::path::Path,
    unlock: &Unlock,
    found: bool,
) -> Result<SecretBytes<32>, StoreError> {
    if !found {
        database::create(path)?;
    } else if database::has_rows(path)? {
        return Err(StoreError::Half { missing: KEY_NAME, present: DATABASE_NAME });
    }
    let key = SecretBytes::new(wrap::random());
    wrap::write(key_path, unlock, &key)?;
    Ok(key)
}
