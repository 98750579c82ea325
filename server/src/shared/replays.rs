//! Ephemeral keys of recent handshakes: one that comes again is a recording.
//!
//! A recorded first message could not be continued by who replays it (the keys differ), but it would
//! make the server compute and answer. Only keys that authenticated are remembered, so strangers cannot flush the memory.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

/// The most recent keys, oldest forgotten first.
#[derive(Debug)]
pub(crate) struct Replays {
    seen: Mutex<Seen>,
    most: usize,
}

#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl Replays {
    /// Remembers `most` keys (at least one), 64 bytes each.
    #[must_use]
    pub(crate) fn new(most: usize) -> Self {
        Self { seen: Mutex::default(), most: most.max(1) }
    }

    /// Remembers a key; tells whether it was new.
    pub(crate) fn is_new(&self, key: [u8; 32]) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.keys.insert(key) {
            return false;
        }
        seen.order.push_back(key);
        if seen.order.len() > self.most
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.keys.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once_and_memory_is_bounded() {
        let replays = Replays::new(2);
        assert!(replays.is_new([1; 32]) && !replays.is_new([1; 32]));
        assert!(replays.is_new([2; 32]) && replays.is_new([3; 32]));
        assert!(replays.is_new([1; 32]), "forgotten by now");
        assert_eq!(replays.seen.lock().unwrap().keys.len(), 2);
    }
}
