//! Time that was seen to pass.
//!
//! A clock that is set, by a user, by NTP after a boot without a battery, by a mistake of some seconds, must not look
//! like waiting: what is destroyed or given up after a span counts the time during which somebody was there to count
//! it. While a process runs, that is what passes on a clock nobody can set. Over the time it does not run only the wall
//! clock tells something; of what that tells at most [`LONGEST_ABSENCE`] counts, and nothing if it went back.

use std::time::Duration;

use minicbor::{Decode, Encode};

use super::Timestamp;

/// The time between two runs of a process counts as at most this.
pub const LONGEST_ABSENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// A wall clock that moved otherwise than the time by more than this was set.
const SLACK: Duration = Duration::from_secs(60);

/// One look at the two clocks of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What people call the time. Anybody may set it, forward or back.
    pub wall: Timestamp,
    /// How long the machine has run, from any beginning. Only readings of one process can be compared.
    pub ran: Duration,
}

/// What is kept of the time that was seen, so that another process goes on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SeenMark {
    /// How far the time had come.
    #[n(0)]
    pub time: Timestamp,
    /// The wall clock then.
    #[n(1)]
    pub wall: Timestamp,
}

/// The time that was seen to pass. It begins as the wall clock's when there was none, and never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenTime {
    time: Timestamp,
    last: Reading,
    kept: Option<SeenMark>,
}

impl SeenTime {
    /// Goes on from what was kept.
    #[must_use]
    pub fn begin(kept: Option<SeenMark>, at: Reading) -> Self {
        let time = kept.map_or(at.wall, |kept| kept.time + at.wall.since(kept.wall).min(LONGEST_ABSENCE));
        Self { time, last: at, kept }
    }

    /// The time at a reading, which is not before the last one that was noted.
    #[must_use]
    pub fn at(&self, at: Reading) -> Timestamp {
        self.time + at.ran.saturating_sub(self.last.ran)
    }

    /// Notes a reading and returns the time.
    pub fn look(&mut self, at: Reading) -> Timestamp {
        self.time = self.at(at);
        self.last = Reading { wall: at.wall, ran: at.ran.max(self.last.ran) };
        self.time
    }

    /// What is to be kept now, if what was kept is older than `every` or of a wall clock that was set since. It counts
    /// as kept from then on, until [`Self::not_kept`] says otherwise.
    pub fn to_keep(&mut self, every: Duration) -> Option<SeenMark> {
        let mark = SeenMark { time: self.time, wall: self.last.wall };
        if self.kept.is_some_and(|kept| mark.time.since(kept.time) < every && !mark.was_set_since(&kept)) {
            return None;
        }
        self.kept = Some(mark);
        self.kept
    }

    /// What was to be kept may not have been.
    pub const fn not_kept(&mut self) {
        self.kept = None;
    }
}

impl SeenMark {
    /// Whether the wall clock was set since `earlier`: a process that began from that would count the step.
    fn was_set_since(&self, earlier: &Self) -> bool {
        let expected = earlier.wall + self.time.since(earlier.time);
        self.wall.since(expected).max(expected.since(self.wall)) >= SLACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = LONGEST_ABSENCE;
    const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn reading(wall: Timestamp, ran: Duration) -> Reading {
        Reading { wall, ran }
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing_while_the_process_runs() {
        let mut seen = SeenTime::begin(None, reading(BEGIN, DAY));
        assert_eq!(seen.look(reading(BEGIN + DAY * 40, DAY + SECOND)), BEGIN + SECOND);
        assert_eq!(seen.look(reading(Timestamp::ZERO, DAY + SECOND * 2)), BEGIN + SECOND * 2);
        assert_eq!(seen.look(reading(BEGIN, DAY * 50)), BEGIN + DAY * 49);
    }

    #[test]
    fn between_two_processes_at_most_a_day_passes_and_none_goes_back() {
        let kept = SeenMark { time: BEGIN, wall: BEGIN };
        for (off, counted) in [(SECOND, SECOND), (DAY, DAY), (DAY * 40, DAY)] {
            assert_eq!(SeenTime::begin(Some(kept), reading(BEGIN + off, SECOND)).time, BEGIN + counted);
        }
        assert_eq!(SeenTime::begin(Some(kept), reading(BEGIN - DAY * 4000, SECOND)).time, BEGIN);
    }

    #[test]
    fn a_mark_is_kept_now_and_then_and_whenever_the_wall_clock_was_set() {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        let mut seen = SeenTime::begin(None, reading(BEGIN, SECOND));
        assert_eq!(seen.to_keep(HOUR), Some(SeenMark { time: BEGIN, wall: BEGIN }));
        seen.look(reading(BEGIN + SECOND * 90, SECOND * 60));
        assert_eq!(seen.to_keep(HOUR), None);
        for wall in [BEGIN - DAY, BEGIN + DAY] {
            seen.look(reading(wall, SECOND * 60));
            let set = SeenMark { time: BEGIN + SECOND * 59, wall };
            assert_eq!(seen.to_keep(HOUR), Some(set));
            assert_eq!(seen.to_keep(HOUR), None);
            seen.not_kept();
            assert_eq!(seen.to_keep(HOUR), Some(set));
        }
        seen.look(reading(BEGIN + DAY + HOUR, SECOND * 60 + HOUR));
        assert!(seen.to_keep(HOUR).is_some());
    }
}
