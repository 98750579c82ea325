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

    /// How many bytes may be in use by who has `mine` of those that are.
    #[must_use]
    pub fn share(&self, mine: usize) -> usize {
        let others = self.used().saturating_sub(mine);
        self.most.saturating_sub(others) / SHARE
    }

    /// Whether who has `mine` of the bytes in use may have `more`.
    #[must_use]
    pub fn admits(&self, mine: usize, more: usize) -> bool {
        mine.saturating_add(more) <= self.share(mine)
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

    /// So many fewer.
    pub fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
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
    fn bytes_are_counted_once_and_until_they_are_given_back() {
        let budget = Arc::new(Budget::new(100));
        let mut held = budget.hold(10);
        held.add(5);
        held.give_back(6);
        assert_eq!((budget.used(), held.bytes()), (9, 9));
        held.give_back(100);
        assert_eq!((budget.used(), held.bytes()), (0, 0));
        held.add(7);
        drop(held);
        assert_eq!(budget.used(), 0);
    }
}
