//! How many connections there are, and how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Connections;

/// What a connection holds while it lives.
pub(crate) struct Permits {
    /// One of all connections.
    _connection: OwnedSemaphorePermit,
    /// One of those that have not logged in; given back at login.
    pub(crate) guest: Option<OwnedSemaphorePermit>,
}

/// The bounds of the accept loop.
pub(crate) struct ConnectionLimits {
    connections: Arc<Semaphore>,
    guests: Arc<Semaphore>,
    most: usize,
    most_guests: usize,
    accepting: AtomicBool,
}

impl ConnectionLimits {
    /// The bounds the settings name; closed until the accept loop begins.
    pub(crate) fn new(settings: &Connections) -> Self {
        let (most, most_guests) =
            (settings.most.min(Semaphore::MAX_PERMITS), settings.most_guests.min(Semaphore::MAX_PERMITS));
        let permits = |most| Arc::new(Semaphore::new(most));
        let (connections, guests) = (permits(most), permits(most_guests));
        Self { connections, guests, most, most_guests, accepting: AtomicBool::new(false) }
    }

    /// Open connections, and how many of them have not logged in.
    pub(crate) fn open(&self) -> (usize, usize) {
        let used = |most: usize, free: &Semaphore| most.saturating_sub(free.available_permits());
        (used(self.most, &self.connections), used(self.most_guests, &self.guests))
    }

    /// Whether the next connection would be admitted, as far as it is not its address's fault.
    pub(crate) fn is_open(&self) -> bool {
        let (connections, guests) = self.open();
        self.accepting.load(Ordering::Relaxed) && connections < self.most && guests < self.most_guests
    }

    /// Tells whether the accept loop runs.
    pub(crate) fn is_accepting(&self, accepting: bool) {
        self.accepting.store(accepting, Ordering::Relaxed);
    }

    /// Admits a connection, unless there are too many.
    pub(crate) fn admit(&self) -> Option<Permits> {
        Some(Permits {
            _connection: Arc::clone(&self.connections).try_acquire_owned().ok()?,
            guest: Some(Arc::clone(&self.guests).try_acquire_owned().ok()?),
        })
    }
}
