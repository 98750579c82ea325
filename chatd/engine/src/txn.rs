//! One transaction of the engine: what it may read, change and draw on, and what it asks the daemon to do.

pub(crate) mod action;
mod inits_read;
pub(crate) mod live;
pub(crate) mod local;
pub(crate) mod open_requests;
pub(crate) mod retention_clock;

use std::time::Duration;

use chat_protocol::message::Call;
use chat_protocol::time::{SeenTime, Timestamp};
use rand::CryptoRng;

use crate::store::Rows;
use crate::txn::action::{Action, Counted};
use crate::txn::live::{Asked, Link, Live, Subject};
use crate::txn::local::Local;

/// Longest that anything is put off by itself: what was refused again and again is tried that often.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What one input is handled with.
pub struct Txn<'a> {
    /// The rows of the transaction.
    pub rows: &'a mut dyn Rows,
    /// The time that was seen to pass: what spans are measured by, in the rows too. The clock may be far from it.
    pub now: Timestamp,
    /// The clock, as it happens to be set: for what people read, and for what they set by it.
    pub clock: Timestamp,
    /// Randomness.
    pub rng: &'a mut dyn CryptoRng,
    pub(crate) me: &'a Local,
    pub(crate) live: &'a mut Live,
    pub(crate) seen: &'a mut SeenTime,
    pub(crate) actions: Vec<Action>,
}

/// `span` doubled `times` times, at most [`LONGEST_PAUSE`].
pub(crate) fn doubled(span: Duration, times: u32) -> Duration {
    span.saturating_mul(1 << times.min(16)).min(LONGEST_PAUSE)
}

impl Txn<'_> {
    /// Sends a request if there is a connection and the same thing is not already asked.
    pub(crate) fn ask<T: Call>(&mut self, asked: Asked, request: &T) -> bool {
        self.ask_raw(asked, T::TYPE, || chat_protocol::cbor::encode(request))
    }

    /// As [`Self::ask`], for a payload that was encoded before.
    pub(crate) fn ask_raw(&mut self, asked: Asked, number: u16, payload: impl FnOnce() -> Vec<u8>) -> bool {
        let Some(link) = &mut self.live.link else { return false };
        if link.requests.is_asked(&asked) {
            return false;
        }
        self.live.last_id += 1;
        let id = self.live.last_id;
        self.actions.extend(link.requests.add(id, asked, Action::Request { id, number, payload: payload() }));
        true
    }

    /// What the daemon is asked to do, once the transaction did all it had to: the fetches there is room for by then are
    /// sent too, so that every answer makes room for the next, whatever it says.
    pub(crate) fn into_actions(mut self) -> Vec<Action> {
        let requests = self.live.link.as_mut().map(|link| &mut link.requests);
        self.actions.extend(requests.into_iter().flat_map(|requests| std::iter::from_fn(|| requests.next_fetch())));
        self.actions
    }

    /// Has something counted, if this transaction is committed.
    pub(crate) fn count(&mut self, counted: Counted) {
        self.actions.push(Action::Count(counted));
    }

    /// Asks for a tick at `at` or before.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        let at = self.live.wake.map_or(at, |known| known.min(at));
        self.live.wake = Some(at);
    }

    /// Keeps `subject` from being asked again for a while, at most [`LONGEST_PAUSE`].
    pub(crate) fn pause(&mut self, subject: Subject, span: Duration) {
        let until = self.now + span.min(LONGEST_PAUSE);
        self.live.pause.insert(subject, until);
        self.wake(until);
    }

    /// Keeps `subject` from being asked again for `first`, doubled with every time in a row, until it [`Self::succeeded`].
    ///
    /// Whatever a server could answer for ever is paused for like this.
    pub(crate) fn back_off(&mut self, subject: Subject, first: Duration) {
        let times = self.once_more(subject.clone());
        self.pause(subject, doubled(first, times - 1));
    }

    /// Counts that `subject` was in vain; how often in a row that was, at least 1.
    pub(crate) fn once_more(&mut self, subject: Subject) -> u32 {
        let times = self.live.in_vain.entry(subject).or_default();
        *times = times.saturating_add(1);
        *times
    }

    /// `subject` was answered as it should be.
    pub(crate) fn succeeded(&mut self, subject: &Subject) {
        self.live.in_vain.remove(subject);
        self.live.pause.remove(subject);
    }

    /// Whether it is time for what was put off until `at`, which is never longer than [`LONGEST_PAUSE`].
    pub(crate) fn is_time(&self, at: Timestamp) -> bool {
        at <= self.now
    }

    /// Whether `subject` may not be asked yet.
    pub(crate) fn paused(&mut self, subject: &Subject) -> bool {
        match self.live.pause.get(subject) {
            Some(until) if !self.is_time(*until) => {
                let until = *until;
                self.wake(until);
                true
            }
            _ => {
                self.live.pause.remove(subject);
                false
            }
        }
    }

    /// The server's time, as the handshake told; without a connection the clock's.
    pub(crate) fn server_now(&self) -> Timestamp {
        let ahead =
            |link: &Link| Timestamp::from_millis(self.now.as_millis().saturating_add_signed(link.server_ahead_ms));
        self.live.link.as_ref().map_or(self.clock, ahead)
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}
