//! What one connection still has to be told: a bounded queue of encoded frames.
//!
//! What others cause uses only half of it ([`Outbox::has_room_for`]): beyond that messages wait in the mailbox, and posts in
//! the room's history, so that neither a long backlog nor a flood disconnects a healthy reader. The rest is for
//! answers, and no further request is read while it is in use. Its full case: whoever does not read what is said to it
//! alone loses the connection, and nothing else.
//!
//! What waits for all connections, is being written, or is owed to a request that was taken, is counted in one [`Budget`]
//! before it is there, and each connection has a share of that. Beyond its share it has one frame at a time: a delivery
//! or post of [`LEAST_BYTES`], or the answer to one request. So slow readers cost the server that budget and so much for
//! each connection, and nobody any delay.

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
/// What is queued for a connection for which nothing waits, whatever others have in use: any post, any entry of a log, most
/// messages.
const LEAST_BYTES: usize = 16 * 1024;

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
    waiting: usize,
    /// Bytes of those that were taken and are being written.
    writing: usize,
    /// All that is counted: what waits, is being written, and is owed.
    held: Held,
    ping: bool,
    pong: bool,
    closed: Option<Closed>,
    /// When it began to be.
    closed_at: Option<Instant>,
    /// Not even what is queued is to be written.
    severed: bool,
    /// Somebody found no room since it was last said that there is some.
    lacked_room: bool,
    /// When the peer was last seen to read what had waited for it.
    read_at: Option<Instant>,
}

/// What is written at once.
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
    pub fn new(limits: OutboxLimits, budget: &Arc<Budget>) -> Self {
        let (frames, held, waiting, writing) = (VecDeque::new(), budget.hold(0), 0, 0);
        let (ping, pong, closed, closed_at, read_at) = (false, false, None, None, None);
        Self {
            queue: Mutex::new(Queue {
                frames,
                waiting,
                writing,
                held,
                ping,
                pong,
                closed,
                closed_at,
                severed: false,
                lacked_room: false,
                read_at,
            }),
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

    /// Whether so many bytes that others cause may be queued now: with them half the queue is in use at most, and the
    /// share of what waits for all; or nothing waits, and they are few.
    #[must_use]
    pub fn has_room_for(&self, bytes: usize) -> bool {
        let mut queue = self.lock();
        let fits = queue.frames.is_empty() || queue.waiting.saturating_add(bytes) <= self.limits.bytes / 2;
        let frames = queue.frames.len() < (self.limits.frames / 2).max(1);
        let has_room = queue.closed.is_none() && fits && frames && queue.may_have(bytes);
        queue.lacked_room |= !has_room;
        has_room
    }

    /// Whether an answer that cannot be cut may be so long: it may use the whole queue, and no more than the share.
    #[must_use]
    pub fn may_answer(&self, bytes: usize) -> bool {
        bytes <= LEAST_BYTES || self.lock().may_have(bytes)
    }

    /// Whether nothing waits and nothing is being written: nobody would say that there is room again.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lock().held.bytes() == 0
    }

    /// Resolves when a request may be answered: there is room, or nothing waits, or the connection ends. One that asks
    /// faster than it reads is not read from meanwhile.
    pub async fn answerable(&self) {
        while !self.has_room_for(1) && !self.is_idle() && !self.ending.is_cancelled() {
            // both only wait
            tokio::select! {
                () = self.unblocked.notified() => {}
                () = self.ending.cancelled() => {}
            }
        }
    }

    /// Counts the answer to a request that was taken, until what is returned is dropped: so many bytes.
    #[must_use]
    pub fn owe(self: &Arc<Self>, bytes: usize) -> Owed {
        self.lock().held.add(bytes);
        Owed { outbox: Arc::clone(self), bytes }
    }

    /// Counts a page that is about to be read for an answer: of so many bytes at most, of fewer if the share is smaller.
    #[must_use]
    pub fn owe_page(self: &Arc<Self>, most: usize) -> Owed {
        let left = {
            let queue = self.lock();
            queue.held.budget().share(queue.held.bytes()).saturating_sub(queue.held.bytes())
        };
        self.owe(left.clamp(LEAST_BYTES.min(most), most))
    }

    /// Bytes of frames that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// Resolves when there may be room for what had found none.
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
        {
            let mut queue = self.lock();
            queue.close(why);
            queue.severed = true;
        }
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

    /// Waits until something is to be written and takes a piece of it; what was taken before has been written. Cancel-safe:
    /// nothing is taken before it returns.
    pub async fn next(&self) -> Batch {
        loop {
            if let Some(batch) = self.take() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Option<Batch> {
        let mut queue = self.lock();
        let written = queue.is_written();
        let batch = queue.take();
        // who found room needs no word of more: most connections have it at all times
        let has_come = (written || batch.is_some()) && mem::take(&mut queue.lacked_room);
        drop(queue);
        if has_come {
            self.room_came();
        }
        batch
    }

    fn room_came(&self) {
        self.drained.notify_one();
        self.unblocked.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn exceeds(&self, more: usize, limits: OutboxLimits) -> bool {
        self.waiting.saturating_add(more) > limits.bytes || self.frames.len() >= limits.frames.max(1)
    }

    /// Whether so many more bytes may be counted.
    fn may_have(&self, bytes: usize) -> bool {
        let mine = self.held.bytes();
        self.held.budget().admits(mine, bytes) || (mine == 0 && bytes <= LEAST_BYTES)
    }

    /// What was taken is written; whether something was.
    fn is_written(&mut self) -> bool {
        let written = mem::take(&mut self.writing);
        self.held.give_back(written);
        written > 0
    }

    fn close(&mut self, why: Closed) {
        self.closed.get_or_insert(why);
        self.closed_at.get_or_insert_with(Instant::now);
    }

    fn put(&mut self, frame: Bytes) {
        self.held.add(frame.len());
        self.waiting += frame.len();
        self.frames.push_back(frame);
    }

    fn take(&mut self) -> Option<Batch> {
        if self.severed {
            return Some(Batch { close: self.closed, ..Batch::default() });
        }
        if self.frames.is_empty() && !self.ping && !self.pong && self.closed.is_none() {
            return None;
        }
        let frames = self.take_piece();
        self.writing = frames.iter().map(Bytes::len).sum();
        self.waiting = self.waiting.saturating_sub(self.writing);
        let close = self.closed.filter(|_| self.frames.is_empty());
        Some(Batch {
            frames,
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

/// Bytes of an answer that is being made, counted until this is dropped.
#[derive(Debug)]
pub struct Owed {
    outbox: Arc<Outbox>,
    bytes: usize,
}

impl Owed {
    /// How many.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let mut queue = self.outbox.lock();
        queue.held.give_back(self.bytes);
        // deliveries, too, may have found no room only for what was owed
        let has_come = mem::take(&mut queue.lacked_room);
        drop(queue);
        if has_come {
            self.outbox.room_came();
        }
    }
}

#[cfg(test)]
mod tests;
