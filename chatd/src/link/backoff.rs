//! How long to wait before trying again. Pure: told how it went and handed its randomness.

use std::time::Duration;

/// Every span of time the link goes by; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Longest wait for the TCP connection.
    pub connect: Duration,
    /// Longest wait for the answer to a call of its own: the server may be busy hashing.
    pub answer: Duration,
    /// Longest wait for the answer to a login, for which nothing is hashed.
    pub login: Duration,
    /// After a kick: longest wait for a sign of life, or for an attempt under way to come to something.
    pub kick: Duration,
    /// Silence after which the server is asked whether it is there.
    pub ping_after: Duration,
    /// Silence after which it is not.
    pub dead_after: Duration,
    /// Wait after the first failure …
    pub first_wait: Duration,
    /// … doubled with each one up to this.
    pub longest_wait: Duration,
    /// Wait after the server refused the login: only somebody's decision changes that.
    pub refused_wait: Duration,
    /// A connection that lasted this long was a good one, and waits begin anew.
    pub steady_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            login: Duration::from_secs(10),
            kick: Duration::from_secs(1),
            ping_after: chat_protocol::limits::PING_AFTER,
            dead_after: chat_protocol::limits::DEAD_AFTER,
            first_wait: Duration::from_secs(1),
            // with an attempt that began a moment too early, still online within 15 s of the server's return
            longest_wait: Duration::from_secs(8),
            refused_wait: Duration::from_secs(5 * 60),
            steady_after: Duration::from_secs(30),
        }
    }
}

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Begins anew: somebody asked for it, or a connection was good.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait: half of what is due for sure, the other half by `chance` in 0..=1, so that the
    /// daemons of a restarted server do not all come back at once.
    pub(super) fn next(&mut self, timing: &Timing, chance: f64) -> Duration {
        let doubled = timing.first_wait.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        jittered(doubled.min(timing.longest_wait), chance)
    }
}

/// Between half of `span` and all of it.
pub(super) fn jittered(span: Duration, chance: f64) -> Duration {
    span.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let (timing, mut backoff) = (Timing::default(), Backoff::default());
        let seconds: Vec<_> = (0..8).map(|_| backoff.next(&timing, 1.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 8, 8, 8, 8]);
        backoff.reset();
        assert_eq!(backoff.next(&timing, 1.0).as_secs(), 1);
    }

    #[test]
    fn a_wait_is_never_under_half_nor_over_what_is_due() {
        for chance in [-1.0, 0.0, 0.3, 1.0, 7.0] {
            let wait = jittered(Duration::from_secs(8), chance);
            assert!((4..=8).contains(&wait.as_secs()), "{wait:?}");
        }
    }

    #[test]
    fn countless_failures_do_not_overflow() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.next(&Timing::default(), 1.0), Timing::default().longest_wait);
    }

    #[test]
    fn nobody_who_is_back_is_missed_for_15_seconds() {
        let timing = Timing::default();
        // an attempt may have been lost the moment before, in its connection or in its handshake
        let lost = timing.connect.max(chat_protocol::limits::HANDSHAKE_DEADLINE);
        assert!(lost + timing.longest_wait < Duration::from_secs(15));
    }
}
