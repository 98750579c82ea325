//! Looks the database over from end to end while it is read already: nothing is written before it was found whole.
//!
//! That takes a second for a hundred thousand messages, and whoever starts the daemon to ask something need not wait for it.
//! A row that is read meanwhile opens in its place and order only, whatever is damaged around it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Once, OnceLock};

use chat_engine::store::RowsError;
use chat_programs::priority::step_back;

use super::database;

/// The verdict, once there is one.
#[derive(Debug)]
pub(super) struct Check {
    at: PathBuf,
    begun: Once,
    found: Arc<OnceLock<Result<(), RowsError>>>,
}

impl Check {
    /// Of a database, begun once somebody waits for its verdict: what is only read at the start need not share a processor
    /// with it.
    pub(super) fn of(at: PathBuf) -> Self {
        Self { at, begun: Once::new(), found: Arc::default() }
    }

    /// Begins to look the database over, on a thread of its own.
    fn begin(&self) {
        let (at, verdict) = (self.at.clone(), Arc::clone(&self.found));
        let look = move || {
            // without that the check is only less polite
            let _ = step_back();
            let found = catch_unwind(AssertUnwindSafe(|| database::check(&at)));
            let _ = verdict.set(found.unwrap_or_else(|_| Err(RowsError::Unavailable("the check stopped".into()))));
        };
        if std::thread::Builder::new().name("check".into()).spawn(look).is_err() {
            let _ = self.found.set(Err(RowsError::Unavailable("no thread to look the database over".into())));
        }
    }

    /// One that is never done.
    #[cfg(test)]
    pub(super) fn endless() -> Self {
        let never = Self::of(PathBuf::new());
        never.begun.call_once(|| ());
        never
    }

    /// The verdict, if there is one by now.
    pub(super) fn verdict(&self) -> Option<Result<(), RowsError>> {
        self.found.get().cloned()
    }

    /// Waits for the verdict.
    ///
    /// # Errors
    /// As [`database::check`].
    pub(super) fn wait(&self) -> Result<(), RowsError> {
        self.begun.call_once(|| self.begin());
        self.found.wait().clone()
    }
}
