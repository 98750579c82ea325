//! One connection that is logged in, as the rest of the server sees it.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::limits::MAX_ROOM_TEXT_BYTES;
use chat_protocol::message::EncodedEnvelope;
use tokio::sync::Notify;

use super::outbox::Outbox;
use super::pushes::{POST_HEAD_BYTES, deliver_bytes, deliver_frame, drained_frame, room_grew_frame};
use crate::counters::Closed;
use crate::rules::window::Window;
use crate::store::Mail;

/// Room for any post: only then it is told how far the room has come, or each one left out would be told.
const POST_BYTES: usize = MAX_ROOM_TEXT_BYTES + POST_HEAD_BYTES;
/// Frames kept for a peer whose login is being answered; more means that it is not going to be.
const MAX_HELD_FRAMES: usize = 1_024;

/// A peer that is logged in, or about to be told so.
#[derive(Debug)]
pub struct Online {
    user: Username,
    device: DeviceId,
    outbox: Arc<Outbox>,
    flow: Mutex<Flow>,
    /// Rows of the mailbox wait to be read from the store.
    due: Notify,
    /// Newest post of those that were not pushed, for want of room in the queue; 0 if none.
    posts_left_out: AtomicU64,
    visible: AtomicBool,
    /// It said whether it wants to be seen.
    decided: AtomicBool,
    watching: AtomicBool,
}

/// Whether the login was answered: nothing may be pushed before it.
#[derive(Debug)]
enum Flow {
    Held { frames: Vec<Bytes>, last: u64 },
    Open { window: Window, draining: Option<u64> },
}

/// Where a peer's mailbox stands when its login is answered.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Most unacknowledged deliveries in flight.
    pub window: u64,
    /// Acknowledged so far.
    pub acked: u64,
    /// Assigned so far.
    pub last: u64,
}

impl Online {
    /// A peer whose login is about to be answered through `outbox`.
    #[must_use]
    pub fn new(user: Username, device: DeviceId, outbox: Arc<Outbox>) -> Self {
        Self {
            user,
            device,
            outbox,
            flow: Mutex::new(Flow::Held { frames: Vec::new(), last: 0 }),
            due: Notify::new(),
            posts_left_out: AtomicU64::new(0),
            visible: AtomicBool::new(false),
            decided: AtomicBool::new(false),
            watching: AtomicBool::new(false),
        }
    }

    /// Account.
    #[must_use]
    pub const fn user(&self) -> &Username {
        &self.user
    }

    /// Device.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.device
    }

    /// Its queue.
    #[must_use]
    pub const fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Answers the login with `answers`, then lets go what was held back. Returns how many rows of the
    /// mailbox are due.
    pub fn open(&self, opening: Opening, answers: impl IntoIterator<Item = Bytes>) -> u64 {
        let mut flow = self.lock();
        let mut window = Window::new(opening.window, opening.acked, opening.last);
        answers.into_iter().for_each(|answer| self.outbox.push(answer));
        if let Flow::Held { frames, last } = &mut *flow {
            window.waiting(*last);
            mem::take(frames).into_iter().for_each(|frame| self.outbox.push(frame));
        }
        let due = window.due();
        *flow = Flow::Open { window, draining: Some(opening.last) };
        drop(flow);
        self.due.notify_one();
        due
    }

    /// Queues a push; before the login is answered it is kept for then.
    pub fn push(&self, frame: Bytes) {
        let mut flow = self.lock();
        match &mut *flow {
            Flow::Open { .. } => self.outbox.push(frame),
            Flow::Held { frames, .. } if frames.len() < MAX_HELD_FRAMES => frames.push(frame),
            Flow::Held { .. } => self.outbox.sever(Closed::SlowReader),
        }
    }

    /// Pushes a post if the queue has room for it and none was left out before it; otherwise only its number is kept.
    pub(super) fn post(&self, seq: u64, frame: &Bytes) {
        let flow = self.lock();
        let follows = matches!(*flow, Flow::Open { .. }) && self.posts_left_out.load(Ordering::Relaxed) == 0;
        if follows && self.outbox.has_room_for(frame.len()) {
            self.outbox.push(frame.clone());
        } else {
            self.posts_left_out.fetch_max(seq, Ordering::Relaxed);
            drop(flow);
            self.due.notify_one();
        }
    }

    /// Says how far the room has come if posts were left out and the queue has room again.
    pub fn tell_room(&self) {
        let flow = self.lock();
        if matches!(*flow, Flow::Open { .. }) && self.outbox.has_room_for(POST_BYTES) {
            let newest = self.posts_left_out.swap(0, Ordering::Relaxed);
            if newest > 0 {
                self.outbox.push(room_grew_frame(newest));
            }
        }
    }

    /// Pushes a row that was just committed, if nothing older waits and both window and queue have room;
    /// otherwise it is read from the store when they have. Tells whether it did.
    pub(super) fn mail(&self, mail: &Mail) -> bool {
        let mut flow = self.lock();
        let fresh = match &mut *flow {
            Flow::Held { last, .. } => {
                *last = mail.seq.max(*last);
                return false;
            }
            Flow::Open { window, .. } if self.outbox.has_room_for(deliver_bytes(mail)) => window.fresh(mail.seq),
            Flow::Open { window, .. } => {
                window.waiting(mail.seq);
                false
            }
        };
        if fresh {
            self.outbox.push(deliver_frame(mail));
        }
        drop(flow);
        if !fresh {
            self.due.notify_one();
        }
        fresh
    }

    /// Notes that rows up to `seq` exist.
    pub(super) fn waiting(&self, seq: u64) {
        match &mut *self.lock() {
            Flow::Held { last, .. } => *last = seq.max(*last),
            Flow::Open { window, .. } => window.waiting(seq),
        }
        self.due.notify_one();
    }

    /// Pushes rows read from the store that are next, while there is room; tells how many.
    pub fn stored(&self, rows: &[Mail]) -> u64 {
        let (mut flow, mut pushed) = (self.lock(), 0);
        let Flow::Open { window, .. } = &mut *flow else { return 0 };
        for mail in rows {
            if !self.outbox.has_room_for(deliver_bytes(mail)) {
                break;
            }
            if window.stored(mail.seq) {
                self.push_stored(mail);
                pushed += 1;
            }
        }
        pushed
    }

    /// A row without an envelope was never written by this server; skipping it keeps the mailbox usable.
    fn push_stored(&self, mail: &Mail) {
        match EncodedEnvelope::check(&mail.envelope) {
            Ok(()) => self.outbox.push(deliver_frame(mail)),
            Err(_) => tracing::error!(device = %self.device, seq = mail.seq, "mailbox row holds no envelope"),
        }
    }

    /// Notes that the store has no rows between those pushed and `seq`.
    pub fn exhausted(&self, seq: u64) {
        if let Flow::Open { window, .. } = &mut *self.lock() {
            window.exhausted(seq);
        }
    }

    /// What is to be read from the store now: after which sequence, how many rows, and up to which one is known.
    #[must_use]
    pub fn due(&self) -> Option<Due> {
        match &*self.lock() {
            Flow::Open { window, .. } if window.due() > 0 && self.outbox.has_room_for(1) => {
                Some(Due { after: window.pushed(), rows: window.due(), last: window.last() })
            }
            _ => None,
        }
    }

    /// Says once that everything that waited at login was pushed.
    pub fn tell_drained(&self) {
        if let Flow::Open { window, draining } = &mut *self.lock()
            && draining.is_some_and(|last| window.pushed() >= last)
        {
            *draining = None;
            self.outbox.push(drained_frame(window.brought()));
        }
    }

    /// Takes an acknowledgement; how many messages it newly acknowledges, if it names something that exists.
    pub fn acknowledge(&self, seq: u64) -> Option<u64> {
        let known = match &mut *self.lock() {
            Flow::Open { window, .. } => window.ack(seq),
            Flow::Held { .. } => None,
        };
        self.due.notify_one();
        known
    }

    /// Resolves when rows may be due, or room in the queue may have come.
    pub async fn woken(&self) {
        tokio::select! {
            // both only wake: what is due is looked up afterwards, so a lost branch loses nothing
            () = self.due.notified() => {}
            () = self.outbox.drained() => {}
        }
    }

    /// Says goodbye and makes the connection end even if the peer does not read.
    pub(super) fn end(&self, why: Closed) {
        self.outbox.close(why);
    }

    pub(super) fn set_visible(&self, visible: bool) {
        self.visible.store(visible, Ordering::Relaxed);
    }

    pub(super) fn decide(&self, visible: bool) {
        self.decided.store(true, Ordering::Relaxed);
        self.set_visible(visible);
    }

    pub(super) fn has_decided(&self) -> bool {
        self.decided.load(Ordering::Relaxed)
    }

    pub(super) fn is_visible(&self) -> bool {
        self.visible.load(Ordering::Relaxed)
    }

    pub(super) fn watch_presence(&self) {
        self.watching.store(true, Ordering::Relaxed);
    }

    pub(super) fn watches_presence(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of a mailbox to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Rows above this sequence.
    pub after: u64,
    /// At most so many.
    pub rows: u64,
    /// Highest sequence known to exist.
    pub last: u64,
}
