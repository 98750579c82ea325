//! How far one connection has pushed its mailbox, and how far it may.
//!
//! Pure, like [`super::rules`].

use super::rules::next_seq;

/// How far one connection has pushed its mailbox, and how far it may.
///
/// Rows arrive on two ways: fresh from a commit ([`Window::fresh`], only if nothing before it
/// waits) and read back from the store ([`Window::stored`], which may skip numbers that retention
/// removed). Whatever the interleaving, a row is pushed at most once and never before an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    size: u64,
    acked: u64,
    pushed: u64,
    last: u64,
}

impl Window {
    /// A window of `size` (at least one) over a mailbox acknowledged to `acked` and filled to `last`.
    #[must_use]
    pub fn new(size: u64, acked: u64, last: u64) -> Self {
        Self { size: size.max(1), acked, pushed: acked, last: last.max(acked) }
    }

    /// Highest sequence pushed.
    #[must_use]
    pub const fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Highest sequence known to exist.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Whether a row that was just committed as `seq` is to be pushed at once; counts it as pushed.
    pub fn fresh(&mut self, seq: u64) -> bool {
        self.last = self.last.max(seq);
        let next = self.room() > 0 && seq == next_seq(self.pushed);
        if next {
            self.pushed = seq;
        }
        next
    }

    /// Notes that rows up to `seq` exist, without pushing any.
    pub fn waiting(&mut self, seq: u64) {
        self.last = self.last.max(seq);
    }

    /// Whether a row read back from the store is to be pushed; counts it as pushed.
    pub const fn stored(&mut self, seq: u64) -> bool {
        let next = self.room() > 0 && seq > self.pushed;
        if next {
            self.pushed = seq;
        }
        next
    }

    /// How many rows to read from the store now: 0 when nothing waits or the window is closed.
    #[must_use]
    pub const fn due(&self) -> u64 {
        if self.last > self.pushed { self.room() } else { 0 }
    }

    /// Notes that the store has no row above `seq`, so that numbers retention removed are not asked for again.
    pub const fn exhausted(&mut self, seq: u64) {
        if self.last <= seq && self.pushed < seq {
            self.pushed = seq;
        }
    }

    /// Takes a cumulative acknowledgement; how many it newly acknowledges, if it names something that exists.
    ///
    /// It may be ahead of what was pushed here: the device got that over an earlier connection.
    pub fn ack(&mut self, seq: u64) -> Option<u64> {
        if seq > self.last {
            return None;
        }
        let before = self.acked;
        self.acked = before.max(seq);
        self.pushed = self.pushed.max(seq);
        Some(self.acked - before)
    }

    const fn room(&self) -> u64 {
        self.size.saturating_sub(self.pushed.saturating_sub(self.acked))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn window_closes_when_full_and_opens_with_the_acknowledgement() {
        let mut window = Window::new(2, 0, 0);
        assert!(window.fresh(1) && window.fresh(2) && !window.fresh(3));
        assert_eq!(window.due(), 0);
        assert_eq!(window.ack(1), Some(1));
        assert_eq!(window.due(), 1);
        assert!(window.stored(3) && !window.stored(4));
    }

    #[test]
    fn what_an_earlier_connection_brought_is_not_pushed_again() {
        let mut window = Window::new(4, 0, 9);
        assert_eq!((window.ack(7), window.ack(10)), (Some(7), None));
        assert!(!window.stored(7) && window.stored(8));
    }

    #[test]
    fn numbers_removed_by_retention_are_skipped_without_stalling() {
        let mut window = Window::new(4, 3, 9);
        assert!(!window.fresh(10), "older rows may wait in the store");
        assert!(window.stored(8) && window.pushed() == 8);
        window.exhausted(10);
        assert_eq!(window.due(), 0);
        assert!(window.ack(10).is_some() && window.fresh(11));
    }

    proptest! {
        /// Any interleaving of commits, reads and acknowledgements pushes every row once, in order.
        #[test]
        fn every_row_is_pushed_once_in_order(size in 1u64..5, steps in proptest::collection::vec(0u8..3, 1..200)) {
            let (mut window, mut last, mut pushed) = (Window::new(size, 0, 0), 0u64, Vec::new());
            for step in steps {
                match step {
                    0 => {
                        last += 1;
                        if window.fresh(last) { pushed.push(last) }
                    }
                    1 => {
                        let after = window.pushed();
                        for seq in after + 1..=last.min(after + window.due()) {
                            if window.stored(seq) { pushed.push(seq) }
                        }
                    }
                    _ => prop_assert!(window.ack(window.pushed()).is_some()),
                }
                prop_assert!(window.pushed() - window.acked <= size);
            }
            while window.pushed() < last {
                prop_assert!(window.ack(window.pushed()).is_some());
                let after = window.pushed();
                for seq in after + 1..=last.min(after + window.due()) {
                    if window.stored(seq) { pushed.push(seq) }
                }
            }
            prop_assert_eq!(pushed, (1..=last).collect::<Vec<_>>());
        }
    }
}
