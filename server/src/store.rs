//! What the server keeps, in words of the domain.
//!
//! Owns every durable row: accounts, account logs, devices, bundles, mailboxes, the room, and which op
//! stands where in a group. Each method
//! is one transaction and is durable when it returns. No SQL leaves this module, and nothing here
//! judges a signature: whoever calls has verified what it hands in.

mod contract;
pub mod copy;
mod decide;
mod metered;
pub mod mysql;
mod schema;
mod snapshot;
pub mod sqlite;
mod types;
mod url;

use std::sync::Arc;

pub use contract::{Cause, Mend, Result, SharedStore, Store, StoreError};
pub(crate) use metered::MeteredStore;
pub use types::{
    Account, AccountSummary, AppendEntry, Creation, DeviceState, Invite, KnownHead, LogPage, LogWrite, Mail,
    MailboxState, NewAccount, NewBundle, NewDevice, NewLog, NewOp, NewPost, PasswordHash, PendingReset, Posted,
    Publication, Renaming, Retention, StoredDevice, SubmitOutcome, SubmitRow, Swept, TakenBundle, Waiting,
};
pub use url::{DatabaseUrl, DatabaseUrlError, ESCAPES, SEED};

/// A store that is ready, and what was done to make it so.
pub struct Opened {
    /// The store.
    pub store: SharedStore,
    /// Names of the migrations that were applied now.
    pub applied: Vec<String>,
}

/// Opens a database and brings its schema up to date.
///
/// # Errors
/// [`StoreError`] when it cannot be reached or is not one of ours.
pub async fn open(url: &DatabaseUrl) -> Result<Opened> {
    match url {
        DatabaseUrl::Sqlite(file) => {
            let file = file.clone();
            let opened = tokio::task::spawn_blocking(move || sqlite::SqliteStore::open(&file)).await;
            let (store, applied) = opened.map_err(|error| StoreError::Internal(Cause::from(error)))??;
            Ok(Opened { store: Arc::new(store), applied })
        }
        DatabaseUrl::Mysql(opts) => {
            let (store, applied) = mysql::MysqlStore::open(opts).await?;
            Ok(Opened { store: Arc::new(store), applied })
        }
    }
}
