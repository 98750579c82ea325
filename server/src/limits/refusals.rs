//! What is refused on one connection: a rate does not change the order of what it lets pass, and refusals are not for nothing.

use std::time::{Duration, Instant};

use super::TooOften;

/// How long it takes to read a byte that is refused, as far as the connection waits for it …
const REFUSED_BYTE: Duration = Duration::from_micros(1);
/// … which is beyond so many of them: sixty-four large submits that were under way when the first of them was refused.
const ALLOWED: Duration = Duration::from_secs(16);

/// What was refused on one connection for a rate, and is to come again.
///
/// What a device has under way is refused one by one while the rate recovers. Were something let pass behind what was
/// refused, it would overtake that.
#[derive(Debug, Default)]
pub struct InOrder {
    /// What comes before is refused as well.
    until: Option<Instant>,
}

impl InOrder {
    /// Asks the rate, unless something in front was told to come later.
    ///
    /// # Errors
    /// [`TooOften`]: it is not to happen.
    pub fn check(&mut self, now: Instant, rate: impl FnOnce() -> Result<(), TooOften>) -> Result<(), TooOften> {
        let early = self.until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero());
        let outcome = early.map_or_else(rate, |wait| Err(TooOften(wait)));
        self.until = outcome.err().map(|TooOften(wait)| now + wait);
        outcome
    }
}

/// Bytes that were refused on one connection.
#[derive(Debug, Default)]
pub struct Refused {
    /// When they would have been read, one after the other.
    read: Option<Instant>,
}

impl Refused {
    /// Counts what was refused, so many bytes, and says how long not to read from the connection. It was opened and decoded
    /// all the same, and would be without end. Who waits as told is allowed what was under way.
    #[must_use]
    pub fn pause(&mut self, now: Instant, bytes: usize) -> Duration {
        let taken = REFUSED_BYTE * u32::try_from(bytes).unwrap_or(u32::MAX);
        let read = self.read.unwrap_or(now).max(now) + taken;
        self.read = Some(read);
        read.saturating_duration_since(now).saturating_sub(ALLOWED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MEGABYTE: usize = 1_000_000;

    #[test]
    fn nothing_passes_before_what_was_refused_in_front_of_it_may_come_again() {
        let (begin, mut held) = (Instant::now(), InOrder::default());
        assert_eq!(held.check(begin, || Err(TooOften(SECOND))), Err(TooOften(SECOND)));
        // the rate would let it pass, being shorter
        assert_eq!(held.check(begin + SECOND / 2, || Ok(())), Err(TooOften(SECOND / 2)));
        assert_eq!(held.check(begin + SECOND, || Ok(())), Ok(()));
        assert_eq!(held.check(begin + SECOND, || Ok(())), Ok(()));
    }

    #[test]
    fn who_goes_on_regardless_is_read_a_megabyte_a_second() {
        let (begin, mut now, mut refused) = (Instant::now(), Instant::now(), Refused::default());
        for _ in 0..2_000 {
            // the line is fast, and what passes is not counted
            now += refused.pause(now, MEGABYTE / 10) + SECOND / 1_000;
        }
        assert!(now - begin >= 200 * SECOND - ALLOWED, "{:?}", now - begin);
    }

    #[test]
    fn what_was_under_way_is_refused_without_a_pause_time_and_again() {
        let (mut now, mut refused) = (Instant::now(), Refused::default());
        for _ in 0..10 {
            for _ in 0..64 {
                assert_eq!(refused.pause(now, 2_000), Duration::ZERO);
            }
            now += SECOND;
        }
    }
}
