//! Bytes that are queued for all connections together, and what one of them may have of those.
//!
//! A share is a part of what all others leave free: however many take theirs, something is left for the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One connection may have this part of the bytes that all others leave free.
const SHARE: usize = 16;

/// So many bytes, and how many of them are in use.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Nothing in use of so many bytes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { most, used: AtomicUsize::new(0) }
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether who has `mine` of the bytes in use may have `more`.
    #[must_use]
    pub fn admits(&self, mine: usize, more: usize) -> bool {
        let others = self.used().saturating_sub(mine);
        mine.saturating_add(more) <= self.most.saturating_sub(others) / SHARE
    }

    /// Counts bytes whether or not there is room for them, until what is returned is dropped.
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Held { budget: Arc::clone(self), bytes }
    }
}

/// Bytes that are in use.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// As many more.
    pub fn add(&mut self, bytes: usize) {
        self.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Hands some of them on.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: Arc::clone(&self.budget), bytes }
    }

    /// How many.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Of all.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What one connection has in use of a budget.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    mine: Arc<Budget>,
}

impl Share {
    /// Nothing yet.
    #[must_use]
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), mine: Arc::new(Budget::new(budget.most)) }
    }

    /// So many bytes if that is within the share, until what is returned is dropped.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<(Held, Held)> {
        let admitted = self.budget.admits(self.mine.used(), bytes);
        admitted.then(|| (self.budget.hold(bytes), self.mine.hold(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_90_however_many_take_their_share_the_budget_holds_and_the_next_has_one() {
        let budget = Arc::new(Budget::new(64 << 20));
        let mut taken = Vec::new();
        for connection in 0..100 {
            let share = Share::of(&budget);
            let before = taken.len();
            while let Some(held) = share.take(1_024) {
                taken.push(held);
            }
            assert!(taken.len() > before, "{connection}");
            assert!(budget.used() < 64 << 20);
        }
        drop(taken);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_handed_on_is_counted_once_and_until_it_is_dropped() {
        let budget = Arc::new(Budget::new(100));
        let mut held = budget.hold(10);
        held.add(5);
        let part = held.split(6);
        assert_eq!((budget.used(), held.bytes(), part.bytes()), (15, 9, 6));
        drop(held);
        assert_eq!(budget.used(), 6);
        drop(part);
        assert_eq!(budget.used(), 0);
    }
}
