//! What is queued for all connections, counted in bytes: the part of the memory that members decide about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_RECORD_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use crate::work::{Budget, Held};

/// A long record is held as it came, as opened, as frames, and as requests.
pub(crate) const RECORD_COPIES: usize = 4;
/// Of the places for long records one account has this part, and one at least: its devices wait for each other first.
const SHARE: usize = 16;
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
    /// The places of each account that is connected.
    of_accounts: Arc<Mutex<HashMap<Username, Weak<Semaphore>>>>,
    /// Connections that wait for a place: a count that is given back however they end, of which there is always more.
    waiting: Arc<Budget>,
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
            of_accounts: Arc::default(),
            waiting: Arc::new(Budget::new(usize::MAX)),
            pages: Arc::new(Semaphore::new(PAGES)),
        }
    }

    /// The way of a connection of this account to places for long records.
    pub(crate) fn record_places(&self, user: &Username) -> RecordPlaces {
        let mut accounts = self.of_accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = accounts.get(user).and_then(Weak::upgrade).unwrap_or_else(|| {
            accounts.retain(|_, places| places.strong_count() > 0);
            let places = Arc::new(Semaphore::new((self.most_records / SHARE).max(1)));
            accounts.insert(user.clone(), Arc::downgrade(&places));
            places
        });
        RecordPlaces {
            of_account: PollSemaphore::new(of_account),
            of_all: PollSemaphore::new(Arc::clone(&self.records)),
            turn: None,
            waiting: Arc::clone(&self.waiting),
            waits: None,
        }
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

    /// Connections that wait for a place.
    #[must_use]
    pub fn records_waiting(&self) -> usize {
        self.waiting.used()
    }

    /// A place for a page, kept until it is in the outbox.
    pub(crate) async fn page(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pages).acquire_owned().await.ok()
    }
}

/// The line for a place, which keeps the connection's turn however often waiting for it is broken off.
#[derive(Debug)]
pub(crate) struct RecordPlaces {
    of_account: PollSemaphore,
    of_all: PollSemaphore,
    /// That it is this connection's turn among those of its account.
    turn: Option<OwnedSemaphorePermit>,
    waiting: Arc<Budget>,
    waits: Option<Held>,
}

/// A place for a long record, kept until it was taken in.
pub(crate) type RecordPlace = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl RecordPlaces {
    /// A place: first come, first served among the connections of an account, then among all accounts.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<RecordPlace>> {
        self.waits.get_or_insert_with(|| self.waiting.hold(1));
        let place = ready!(self.poll_place(context));
        self.waits = None;
        Poll::Ready(place)
    }

    /// Whether this connection waits for its turn: that it is silent then is our doing.
    pub(crate) const fn waits(&self) -> bool {
        self.waits.is_some()
    }

    fn poll_place(&mut self, context: &mut Context<'_>) -> Poll<Option<RecordPlace>> {
        if self.turn.is_none() {
            self.turn = ready!(self.of_account.poll_acquire(context));
        }
        let place = ready!(self.of_all.poll_acquire(context));
        Poll::Ready(self.turn.take().zip(place))
    }
}
