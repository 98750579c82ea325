//! When a session needs something: a heartbeat, a renewal, another INIT, a reset.

use std::time::Duration;

use minicbor::{CborLen, Decode, Encode};

use super::{Stage, Standing};
use crate::limits::{SESSION_RENEWAL, SESSION_RENEWAL_MESSAGES};
use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Messages opened without sending anything, after which a heartbeat turns the ratchet.
const HEARTBEAT_AFTER_MESSAGES: u64 = 50;
/// Age of the oldest unanswered message after which it does, too.
const HEARTBEAT_AFTER: Duration = DAY;
/// Ages of an accepted, unconfirmed INIT at which the initiator begins again; then it waits for the peer.
pub const RESTARTS: [Duration; 3] =
    [DAY, Duration::from_secs(7 * 24 * 60 * 60), Duration::from_secs(25 * 24 * 60 * 60)];
/// Messages that did not open within [`FAILURE_WINDOW`] before a reset.
const FAILURES_BEFORE_RESET: usize = 3;
/// How long a message that did not open counts.
const FAILURE_WINDOW: Duration = Duration::from_secs(10 * 60);
/// Least time between two resets of one device pair: two daemons must not answer each other's.
const RESET_PAUSE: Duration = Duration::from_secs(60 * 60);

impl Standing {
    /// When a heartbeat is due, if nothing is sent before: at the 50th message opened since the last one that was
    /// sealed, or a day after the first of them.
    #[must_use]
    pub fn heartbeat_at(&self) -> Option<Timestamp> {
        let since = self.unanswered_since.filter(|_| self.stage == Stage::Confirmed)?;
        Some(if self.unanswered >= HEARTBEAT_AFTER_MESSAGES { since } else { since + HEARTBEAT_AFTER })
    }

    /// The session is used up: begin a new one before sending more.
    #[must_use]
    pub fn renewal_due(&self, now: Timestamp) -> bool {
        let old = now.since(self.begun) >= SESSION_RENEWAL || self.messages >= SESSION_RENEWAL_MESSAGES;
        self.stage == Stage::Confirmed && old
    }
}

/// Whether an initiator should begin again: its first INIT was accepted by the server at
/// `first_accepted`, no session was confirmed since, and it has begun again `done` times.
#[must_use]
pub fn restart_due(first_accepted: Timestamp, done: usize, now: Timestamp) -> bool {
    RESTARTS.get(done).is_some_and(|age| now.since(first_accepted) >= *age)
}

/// Counts messages of one device that did not open, and says when to reset.
///
/// Only messages on a session count: an INIT that fails is silent and never leads to a reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Failures {
    #[n(0)]
    recent: Vec<Timestamp>,
    #[n(1)]
    last_reset: Option<Timestamp>,
}

impl Failures {
    /// A message did not open: whether to begin a new session with the reset marker now.
    #[must_use]
    pub fn record(&mut self, now: Timestamp) -> bool {
        // a clock that went back must not keep old failures alive
        self.recent.retain(|at| *at <= now && now.since(*at) < FAILURE_WINDOW);
        self.recent.push(now);
        if self.recent.len() >= FAILURES_BEFORE_RESET && self.reset(now) {
            return true;
        }
        self.recent.drain(..self.recent.len().saturating_sub(FAILURES_BEFORE_RESET));
        false
    }

    /// Messages were lost: whether to begin a new session with the reset marker now. Not within an hour of the last.
    #[must_use]
    pub fn reset(&mut self, now: Timestamp) -> bool {
        if self.last_reset.is_some_and(|at| at <= now && now.since(at) < RESET_PAUSE) {
            return false;
        }
        self.recent.clear();
        self.last_reset = Some(now);
        true
    }
}
