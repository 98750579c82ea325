//! What one connection still has to be told: a bounded queue of encoded frames.
//!
//! Its full case: whoever reads slower than it is written to loses the connection, and nothing
//! else. Messages are safe, because they are in the mailbox until acknowledged; a room post is in the
//! room's history. So one slow reader costs the server at most this queue and nobody any delay.
//! Deliveries from the mailbox use only half the queue ([`Outbox::has_room`]) and wait for room
//! instead, so that a long backlog never disconnects a healthy reader.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::counters::Closed;

/// The queue of one connection. Any task may push; one writer drains.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    drained: Notify,
    /// Cancelled with the first reason to end; the reader stops asking.
    ending: CancellationToken,
    /// Cancelled when not even the queue is to be written.
    severed: CancellationToken,
    limits: OutboxLimits,
}

/// When a queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Most bytes of frames.
    pub bytes: usize,
    /// Most frames.
    pub frames: usize,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    ping: bool,
    pong: bool,
    closed: Option<Closed>,
}

/// Everything that waited when the writer came.
#[derive(Debug, Default)]
pub struct Batch {
    /// Encoded frames, oldest first.
    pub frames: VecDeque<Bytes>,
    /// A ping is due.
    pub ping: bool,
    /// A pong is due.
    pub pong: bool,
    /// A goodbye is due after the frames.
    pub goodbye: bool,
    /// After this batch the connection ends, for this reason.
    pub close: Option<Closed>,
}

impl Outbox {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: OutboxLimits) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            ending: CancellationToken::new(),
            severed: CancellationToken::new(),
            limits,
        }
    }

    /// Queues a frame. A queue that would overflow severs the connection instead.
    pub fn push(&self, frame: Bytes) {
        let mut queue = self.lock();
        if queue.closed.is_some() {
            return;
        }
        if !queue.frames.is_empty() && queue.exceeds(frame.len(), self.limits) {
            drop(queue);
            self.sever(Closed::SlowReader);
            return;
        }
        queue.put(frame);
        drop(queue);
        self.filled.notify_one();
    }

    /// Whether a frame from the mailbox may be queued now: less than half the queue is in use.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let queue = self.lock();
        let half = OutboxLimits { bytes: self.limits.bytes / 2, frames: self.limits.frames / 2 };
        queue.closed.is_none() && !queue.exceeds(0, half)
    }

    /// Resolves when the writer has drained the queue since the last call.
    pub async fn drained(&self) {
        self.drained.notified().await;
    }

    /// Asks for a ping to be sent.
    pub fn ping(&self) {
        self.lock().ping = true;
        self.filled.notify_one();
    }

    /// Asks for a pong to be sent; several at once become one.
    pub fn pong(&self) {
        self.lock().pong = true;
        self.filled.notify_one();
    }

    /// Lets the writer finish what is queued and say goodbye. The first reason stays.
    pub fn close(&self, why: Closed) {
        self.lock().closed.get_or_insert(why);
        self.ending.cancel();
        self.filled.notify_one();
    }

    /// Ends the connection at once, without a goodbye.
    pub fn sever(&self, why: Closed) {
        self.lock().closed.get_or_insert(why);
        self.ending.cancel();
        self.severed.cancel();
        self.filled.notify_one();
    }

    /// Resolves when the connection ends, one way or the other.
    pub async fn ending(&self) {
        self.ending.cancelled().await;
    }

    /// Resolves when the connection is to be dropped as it is.
    pub async fn severed(&self) {
        self.severed.cancelled().await;
    }

    /// Why the connection ends, if it does.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.lock().closed
    }

    /// Waits until something is to be written and takes all of it. Cancel-safe: nothing is taken before it returns.
    pub async fn next(&self) -> Batch {
        loop {
            if self.severed.is_cancelled() {
                return Batch { close: self.closed(), ..Batch::default() };
            }
            if let Some(batch) = self.lock().take() {
                self.drained.notify_one();
                return batch;
            }
            self.filled.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn exceeds(&self, more: usize, limits: OutboxLimits) -> bool {
        self.bytes.saturating_add(more) > limits.bytes || self.frames.len() >= limits.frames.max(1)
    }

    fn put(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    fn take(&mut self) -> Option<Batch> {
        if self.frames.is_empty() && !self.ping && !self.pong && self.closed.is_none() {
            return None;
        }
        self.bytes = 0;
        Some(Batch {
            frames: mem::take(&mut self.frames),
            ping: mem::take(&mut self.ping),
            pong: mem::take(&mut self.pong),
            goodbye: self.closed.is_some(),
            close: self.closed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: OutboxLimits = OutboxLimits { bytes: 100, frames: 10 };

    fn frame(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    #[tokio::test]
    async fn writer_takes_all_that_waits_at_once() {
        let outbox = Outbox::new(LIMITS);
        outbox.push(frame(10));
        outbox.push(frame(20));
        outbox.pong();
        let batch = outbox.next().await;
        assert_eq!((batch.frames.len(), batch.pong, batch.close), (2, true, None));
        assert!(outbox.has_room());
    }

    #[tokio::test]
    async fn queue_at_its_limit_severs_the_slow_reader() {
        let outbox = Outbox::new(LIMITS);
        outbox.push(frame(60));
        assert!(!outbox.has_room(), "deliveries wait");
        outbox.push(frame(60));
        outbox.severed().await;
        assert_eq!(outbox.closed(), Some(Closed::SlowReader));
    }

    #[tokio::test]
    async fn severed_connection_hears_nothing_more() {
        let outbox = Outbox::new(LIMITS);
        outbox.push(frame(10));
        outbox.sever(Closed::Record);
        let batch = outbox.next().await;
        assert_eq!((batch.frames.len(), batch.goodbye, batch.close), (0, false, Some(Closed::Record)));
    }

    #[tokio::test]
    async fn a_single_frame_above_the_limit_still_passes() {
        let outbox = Outbox::new(OutboxLimits { bytes: 10, frames: 1 });
        outbox.push(frame(60));
        assert_eq!(outbox.next().await.frames.len(), 1);
    }

    #[tokio::test]
    async fn closing_lets_what_is_queued_out_first() {
        let outbox = Outbox::new(LIMITS);
        outbox.push(frame(10));
        outbox.close(Closed::Shutdown);
        outbox.push(frame(10));
        let batch = outbox.next().await;
        assert_eq!((batch.frames.len(), batch.close), (1, Some(Closed::Shutdown)));
    }
}
