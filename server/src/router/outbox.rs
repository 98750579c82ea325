//! What one connection still has to be told: a bounded queue of encoded frames.
//!
//! What others cause uses only half of it ([`Outbox::has_room`]): beyond that messages wait in the mailbox, and posts in
//! the room's history, so that neither a long backlog nor a flood disconnects a healthy reader. The rest is for
//! answers, and no further request is read while it is in use. Its full case: whoever does not read what is said to it
//! alone loses the connection, and nothing else. What waits for all connections is counted in one [`Budget`], of which
//! each has a share. So slow readers cost the server that budget and nobody any delay.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::counters::Closed;
use crate::work::{Budget, Held};

/// Frames are taken out in pieces of about so many bytes: each is sealed in memory, and between two of them a ping can be
/// said.
const PIECE_BYTES: usize = 16 * 1024;

/// The queue of one connection. Any task may push; one writer drains.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    drained: Notify,
    /// The same, for who reads requests.
    unblocked: Notify,
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

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Bytes>,
    /// Bytes of the frames.
    held: Held,
    ping: bool,
    pong: bool,
    closed: Option<Closed>,
    /// When it began to be.
    closed_at: Option<Instant>,
    /// When the peer was last seen to read what had waited for it.
    read_at: Option<Instant>,
}

/// What is written at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Encoded frames, oldest first.
    pub frames: VecDeque<Bytes>,
    /// Their bytes, counted until they are written.
    pub held: Option<Held>,
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
    pub fn new(limits: OutboxLimits, budget: &Arc<Budget>) -> Self {
        let (frames, held) = (VecDeque::new(), budget.hold(0));
        let (ping, pong, closed, closed_at, read_at) = (false, false, None, None, None);
        Self {
            queue: Mutex::new(Queue { frames, held, ping, pong, closed, closed_at, read_at }),
            filled: Notify::new(),
            drained: Notify::new(),
            unblocked: Notify::new(),
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

    /// Whether a frame that others cause may be queued now: less than half the queue is in use, and less than the share
    /// of what waits for all.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let queue = self.lock();
        let half = OutboxLimits { bytes: self.limits.bytes / 2, frames: self.limits.frames / 2 };
        queue.closed.is_none() && !queue.exceeds(0, half) && queue.held.budget().admits(queue.held.bytes(), 1)
    }

    /// Whether nothing waits and yet there is no room: others have it all.
    #[must_use]
    pub fn is_short_of_memory(&self) -> bool {
        let queue = self.lock();
        queue.closed.is_none() && queue.frames.is_empty() && !queue.held.budget().admits(0, 1)
    }

    /// Resolves when a request may be answered: there is room, or nothing waits, or the connection ends. One that asks
    /// faster than it reads is not read from meanwhile.
    pub async fn answerable(&self) {
        while !self.has_room() && !self.lock().frames.is_empty() && !self.ending.is_cancelled() {
            // both only wait
            tokio::select! {
                () = self.unblocked.notified() => {}
                () = self.ending.cancelled() => {}
            }
        }
    }

    /// Bytes of frames that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().held.bytes()
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
        self.lock().close(why);
        self.ending.cancel();
        self.filled.notify_one();
    }

    /// Ends the connection at once, without a goodbye.
    pub fn sever(&self, why: Closed) {
        self.lock().close(why);
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

    /// When it began to end.
    #[must_use]
    pub fn closed_at(&self) -> Option<Instant> {
        self.lock().closed_at
    }

    /// Notes that the peer has read: the socket took more after it had been full.
    pub fn was_read(&self) {
        self.lock().read_at = Some(Instant::now());
    }

    /// When the peer was last seen to read what had waited for it.
    #[must_use]
    pub fn read_at(&self) -> Option<Instant> {
        self.lock().read_at
    }

    /// Waits until something is to be written and takes a piece of it. Cancel-safe: nothing is taken before it returns.
    pub async fn next(&self) -> Batch {
        loop {
            if self.severed.is_cancelled() {
                return Batch { close: self.closed(), ..Batch::default() };
            }
            if let Some(batch) = self.lock().take() {
                self.drained.notify_one();
                self.unblocked.notify_one();
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
        self.held.bytes().saturating_add(more) > limits.bytes || self.frames.len() >= limits.frames.max(1)
    }

    fn close(&mut self, why: Closed) {
        self.closed.get_or_insert(why);
        self.closed_at.get_or_insert_with(Instant::now);
    }

    fn put(&mut self, frame: Bytes) {
        self.held.add(frame.len());
        self.frames.push_back(frame);
    }

    fn take(&mut self) -> Option<Batch> {
        if self.frames.is_empty() && !self.ping && !self.pong && self.closed.is_none() {
            return None;
        }
        let frames = self.take_piece();
        let held = Some(self.held.split(frames.iter().map(Bytes::len).sum()));
        let close = self.closed.filter(|_| self.frames.is_empty());
        Some(Batch {
            frames,
            held,
            ping: mem::take(&mut self.ping),
            pong: mem::take(&mut self.pong),
            goodbye: close.is_some(),
            close,
        })
    }

    /// The oldest frames: at least one, if there is one.
    fn take_piece(&mut self) -> VecDeque<Bytes> {
        let mut taken = 0;
        let fitting = self.frames.iter().take_while(|frame| {
            taken += frame.len();
            taken <= PIECE_BYTES
        });
        let rest = self.frames.split_off(fitting.count().max(1).min(self.frames.len()));
        mem::replace(&mut self.frames, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: OutboxLimits = OutboxLimits { bytes: 100, frames: 10 };

    fn outbox(limits: OutboxLimits) -> Outbox {
        Outbox::new(limits, &Arc::new(Budget::new(1 << 30)))
    }

    fn frame(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    #[tokio::test]
    async fn writer_takes_what_fits_a_piece_at_once() {
        let outbox = outbox(LIMITS);
        outbox.push(frame(10));
        outbox.push(frame(20));
        outbox.pong();
        let batch = outbox.next().await;
        assert_eq!((batch.frames.len(), batch.pong, batch.close), (2, true, None));
        assert!(outbox.has_room());
    }

    #[tokio::test]
    async fn what_was_not_taken_yet_is_still_counted_and_a_goodbye_waits_for_it() {
        let outbox = outbox(OutboxLimits { bytes: 4 * PIECE_BYTES, frames: 10 });
        (0..3).for_each(|_| outbox.push(frame(PIECE_BYTES - 1)));
        outbox.close(Closed::Shutdown);
        let mut left = Vec::new();
        for _ in 0..3 {
            let batch = outbox.next().await;
            left.push((batch.frames.len(), batch.close, outbox.waiting()));
        }
        let (piece, goodbye) = (PIECE_BYTES - 1, Some(Closed::Shutdown));
        assert_eq!(left, [(1, None, 2 * piece), (1, None, piece), (1, goodbye, 0)]);
    }

    #[tokio::test]
    async fn queue_at_its_limit_severs_the_slow_reader() {
        let outbox = outbox(LIMITS);
        outbox.push(frame(60));
        assert!(!outbox.has_room(), "deliveries wait");
        outbox.push(frame(60));
        outbox.severed().await;
        assert_eq!(outbox.closed(), Some(Closed::SlowReader));
    }

    #[tokio::test]
    async fn atk_90_what_waits_for_all_is_bounded_and_counted_until_it_is_written() {
        let budget = Arc::new(Budget::new(16 * 1_000));
        let limits = OutboxLimits { bytes: 100_000, frames: 1_000 };
        let readers: Vec<_> = (0..50).map(|_| Outbox::new(limits, &budget)).collect();
        for reader in &readers {
            while reader.has_room() {
                reader.push(frame(10));
            }
        }
        assert!(budget.used() <= 16 * 1_000, "{}", budget.used());
        assert!(readers.iter().all(|reader| reader.closed().is_none()));
        let slow = &readers[0];
        let batch = slow.next().await;
        let (left, waiting) = (budget.used(), readers.iter().map(Outbox::waiting).sum::<usize>());
        assert!(waiting < left, "what is being written is counted too");
        drop(batch);
        assert_eq!(budget.used(), waiting);
        drop(readers);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn atk_90_a_peer_that_does_not_read_is_asked_nothing_more() {
        let outbox = outbox(LIMITS);
        outbox.push(frame(60));
        let mut blocked = Box::pin(outbox.answerable());
        assert!(futures_util::poll!(&mut blocked).is_pending());
        outbox.next().await;
        blocked.await;
        outbox.push(frame(60));
        outbox.close(Closed::Shutdown);
        outbox.answerable().await;
    }

    #[tokio::test]
    async fn severed_connection_hears_nothing_more() {
        let outbox = outbox(LIMITS);
        outbox.push(frame(10));
        outbox.sever(Closed::Record);
        let batch = outbox.next().await;
        assert_eq!((batch.frames.len(), batch.goodbye, batch.close), (0, false, Some(Closed::Record)));
    }

    #[tokio::test]
    async fn a_single_frame_above_the_limit_still_passes() {
        let outbox = outbox(OutboxLimits { bytes: 10, frames: 1 });
        outbox.push(frame(60));
        assert_eq!(outbox.next().await.frames.len(), 1);
    }

    #[tokio::test]
    async fn closing_lets_what_is_queued_out_first() {
        let outbox = outbox(LIMITS);
        outbox.push(frame(10));
        outbox.close(Closed::Shutdown);
        outbox.push(frame(10));
        let batch = outbox.next().await;
        assert_eq!((batch.frames.len(), batch.close), (1, Some(Closed::Shutdown)));
    }
}
