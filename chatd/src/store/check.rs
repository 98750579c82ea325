//! Looks the database over from end to end while it is read already: nothing is written before it was found whole.
//!
//! That takes a second for a hundred thousand messages, and whoever starts the daemon to ask something need not wait for it.
//! A row that is read meanwhile opens in its place and order only, whatever is damaged around it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use chat_engine::store::RowsError;
use chat_programs::priority::step_back;

use super::database;

/// The verdict, once there is one.
#[derive(Clone, Debug)]
pub(super) struct Check(Arc<OnceLock<Result<(), RowsError>>>);

impl Check {
    /// Begins to look a database over, on a thread of its own.
    pub(super) fn begin(at: PathBuf) -> Self {
        let check = Self(Arc::default());
        let verdict = check.clone();
        let look = move || {
            // without that the check is only less polite
            let _ = step_back();
            let found = catch_unwind(AssertUnwindSafe(|| database::check(&at)));
            let _ = verdict.0.set(found.unwrap_or_else(|_| Err(RowsError::Unavailable("the check stopped".into()))));
        };
        if std::thread::Builder::new().name("check".into()).spawn(look).is_err() {
            let _ = check.0.set(Err(RowsError::Unavailable("no thread to look the database over".into())));
        }
        check
    }

    /// One that is never done.
    #[cfg(test)]
    pub(super) fn endless() -> Self {
        Self(Arc::default())
    }

    /// The verdict, if there is one by now.
    pub(super) fn verdict(&self) -> Option<Result<(), RowsError>> {
        self.0.get().cloned()
    }

    /// Waits for the verdict.
    ///
    /// # Errors
    /// As [`database::check`].
    pub(super) fn wait(&self) -> Result<(), RowsError> {
        self.0.wait().clone()
    }
}
