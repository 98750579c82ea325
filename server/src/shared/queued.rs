//! What is queued for all connections, counted in bytes: the part of the memory that members decide about.

use std::sync::Arc;

use chat_protocol::limits::MAX_RECORD_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use crate::work::Budget;

/// A long record is held as it came, as opened, as frames, and as requests.
pub(crate) const RECORD_COPIES: usize = 4;
/// Pages of mailboxes, the room and logs that are read at once; each is 4 MiB at most.
const PAGES: usize = 16;

/// The budgets.
#[derive(Clone, Debug)]
pub struct Queued {
    /// What waits for readers.
    pub outboxes: Arc<Budget>,
    /// Submits and posts that wait for a commit.
    pub submits: Arc<Budget>,
    records: Arc<Semaphore>,
    most_records: usize,
    pages: Arc<Semaphore>,
}

impl Queued {
    /// Shares bytes out: half, a quarter, a quarter.
    pub(crate) fn new(bytes: usize) -> Self {
        let records = (bytes / 4 / (MAX_RECORD_BYTES * RECORD_COPIES)).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            outboxes: Arc::new(Budget::new(bytes / 2)),
            submits: Arc::new(Budget::new(bytes / 4)),
            records: Arc::new(Semaphore::new(records)),
            most_records: records,
            pages: Arc::new(Semaphore::new(PAGES)),
        }
    }

    /// Places for long records, each kept until its record was taken in; who comes first has one first.
    pub(crate) fn record_places(&self) -> PollSemaphore {
        PollSemaphore::new(Arc::clone(&self.records))
    }

    /// Long records that may be received beside those that are.
    #[must_use]
    pub fn records_left(&self) -> usize {
        self.records.available_permits()
    }

    /// Long records that are being received.
    #[must_use]
    pub fn records_used(&self) -> usize {
        self.most_records.saturating_sub(self.records_left())
    }

    /// A place for a page, kept until it is in the outbox.
    pub(crate) async fn page(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pages).acquire_owned().await.ok()
    }
}
