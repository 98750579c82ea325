//! When the server was last heard: noted by the link, read by whoever tells how the connection is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock;

/// When the server was last heard; shared by all who want to know.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<AtomicU64>);

impl Heard {
    pub(super) fn now(&self) {
        self.0.store(clock::now().as_millis(), Ordering::Relaxed);
    }

    /// Milliseconds since the Unix epoch; `None` if it never was.
    #[must_use]
    pub fn last_ms(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ms| *ms > 0)
    }
}
