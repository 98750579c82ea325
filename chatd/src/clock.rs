//! The clocks of the system, and how far another one is from them.

pub use chat_programs::clock::{now, read, running};
use chat_protocol::time::{Reading, Timestamp};

/// How far another clock was ahead of this one.
#[derive(Clone, Copy, Debug)]
pub struct Offset {
    millis: i64,
    at: Reading,
}

impl Offset {
    /// As it was at a reading.
    #[must_use]
    pub const fn new(millis: i64, at: Reading) -> Self {
        Self { millis, at }
    }

    /// As it is at a later reading of the same process, in milliseconds: this clock may have been set meanwhile.
    #[must_use]
    pub fn at(&self, at: Reading) -> i64 {
        let expected = self.at.wall + at.ran.saturating_sub(self.at.ran);
        let millis = |time: Timestamp| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.millis.saturating_add(millis(expected)).saturating_sub(millis(at.wall))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_set_meanwhile_is_that_much_further_off() {
        let at = |wall_s: u64, ran_s: u64| Reading {
            wall: Timestamp::from_millis(wall_s * 1000),
            ran: Duration::from_secs(ran_s),
        };
        let offset = Offset::new(-7_000, at(1_000, 5));
        assert_eq!(offset.at(at(1_060, 65)), -7_000);
        assert_eq!(offset.at(at(1_053, 65)), 0, "it was set back by seven seconds");
        assert_eq!(offset.at(at(2_060, 65)), -1_007_000);
    }
}
