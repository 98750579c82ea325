//! How far one connection has pushed its mailbox, and how far it may.
//!
//! Pure, like the rest of [`super`].

use super::next_seq;

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
    gap: Gap,
}

/// Numbers above `after` up to `until` that no row has: retention took it, or a restored server left them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Gap {
    after: u64,
    until: u64,
}

impl Gap {
    /// How many of its numbers are above `seq`.
    fn above(self, seq: u64) -> u64 {
        self.until.saturating_sub(self.after.max(seq))
    }
}

impl Window {
    /// A window of `size` (at least one) over a mailbox acknowledged to `acked` and filled to `last`.
    #[must_use]
    pub fn new(size: u64, acked: u64, last: u64) -> Self {
        Self { size: size.max(1), acked, pushed: acked, last: last.max(acked), gap: Gap::default() }
    }

    /// Highest sequence pushed.
    #[must_use]
    pub const fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Highest sequence that was pushed or acknowledged: what lies above it up to [`Window::pushed`] has no row.
    #[must_use]
    pub fn brought(&self) -> u64 {
        if self.gap.until == self.pushed { self.gap.after.max(self.acked) } else { self.pushed }
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
    pub fn stored(&mut self, seq: u64) -> bool {
        let next = self.room() > 0 && seq > self.pushed;
        if next {
            self.skip_to(seq.saturating_sub(1));
            self.pushed = seq;
        }
        next
    }

    /// How many rows to read from the store now: 0 when nothing waits or the window is closed.
    #[must_use]
    pub fn due(&self) -> u64 {
        if self.last > self.pushed { self.room() } else { 0 }
    }

    /// Notes that the store has no row above `seq`, so that numbers retention removed are not asked for again.
    pub fn exhausted(&mut self, seq: u64) {
        if self.last <= seq && self.pushed < seq {
            self.skip_to(seq);
        }
    }

    /// Goes past numbers without a row. One gap is remembered, the longest: a forgotten one only makes the window
    /// smaller until it is acknowledged past.
    fn skip_to(&mut self, seq: u64) {
        let joins = self.gap.until == self.pushed && self.gap.until > self.gap.after;
        let fresh = Gap { after: if joins { self.gap.after } else { self.pushed }, until: seq };
        if fresh.above(self.acked) > self.gap.above(self.acked) {
            self.gap = fresh;
        }
        self.pushed = self.pushed.max(seq);
    }

    /// Takes a cumulative acknowledgement; how many it newly acknowledges, if it names something that exists.
    ///
    /// It may be ahead of what was pushed here: the device got that over an earlier connection.
    pub fn ack(&mut self, seq: u64) -> Option<u64> {
        if seq > self.last {
            return None;
        }
        let (before, absent) = (self.acked, self.gap.above(self.acked));
        self.acked = before.max(seq);
        self.pushed = self.pushed.max(seq);
        Some((self.acked - before).saturating_sub(absent - self.gap.above(self.acked)))
    }

    fn room(&self) -> u64 {
        let under_way = self.pushed.saturating_sub(self.acked).saturating_sub(self.gap.above(self.acked));
        self.size.saturating_sub(under_way)
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

    #[test]
    fn numbers_left_out_by_a_restore_neither_close_the_window_nor_count_as_brought() {
        const LEAP: u64 = 1 << 50;
        let mut window = Window::new(4, 3, LEAP);
        assert!(window.stored(4));
        window.exhausted(LEAP);
        assert_eq!((window.pushed(), window.brought(), window.due()), (LEAP, 4, 0));
        assert!((1..=3).all(|more| window.fresh(LEAP + more)), "one of four is under way");
        assert!(!window.fresh(LEAP + 4));
        assert_eq!(window.ack(LEAP + 3), Some(4), "rows, not numbers");
        assert!(window.fresh(LEAP + 4) || window.stored(LEAP + 4));
        assert_eq!(window.brought(), LEAP + 4);
    }

    #[test]
    fn device_that_knows_more_than_a_restored_server_acknowledges_into_the_gap() {
        const LEAP: u64 = 1 << 50;
        let mut window = Window::new(2, 3, LEAP);
        window.exhausted(LEAP);
        assert_eq!(window.brought(), 3);
        assert_eq!(window.ack(900), Some(0));
        assert_eq!((window.brought(), window.due()), (900, 0));
        assert!(window.fresh(LEAP + 1) && window.fresh(LEAP + 2) && !window.fresh(LEAP + 3));
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
