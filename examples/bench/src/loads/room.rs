//! One room: everybody gets what its author says.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::{spawn_local, yield_now};
use tokio::time::sleep;

use super::{Context, Counter, Listen, Measure, SETTLE, Writer, connect_all, count, missing, split, with};
use crate::Fallible;
use crate::histogram::Histogram;
use crate::protocols::{Event, To, sent_at};
use crate::usage::now;

/// A time is taken of one delivery in so many at each member.
const SAMPLED: u64 = 16;
/// Most messages in one write.
const WRITTEN_AT_ONCE: u64 = 64;
/// Who writes where only members are written to.
const OUTSIDER: usize = 1_000_000;

/// What author and readers share.
struct Shared {
    arrived: Counter,
    sent: Counter,
    stop: Cell<bool>,
    wake: Notify,
    deliveries: u64,
    window: u64,
}

impl Shared {
    /// Messages that may be sent: of those under way, whole ones are known by the sum of deliveries.
    fn free(&self) -> u64 {
        (self.arrived.get() / self.deliveries + self.window).saturating_sub(self.sent.get())
    }
}

pub(crate) async fn run(context: &Context, members: usize, window: u64) -> Fallible<Value> {
    let peer = &context.peer;
    let room: Rc<str> = format!("bench{}", std::process::id()).into();
    let readers = if peer.members_write() { members } else { members - 1 };
    let mut connections: Vec<_> =
        connect_all(peer, 0..readers, 16, Listen::Room(Rc::clone(&room))).await?.into_iter().map(split).collect();
    if !peer.members_write() {
        connections.insert(0, split(peer.connect(OUTSIDER, true).await?));
    }
    sleep(SETTLE).await;
    let shared = Rc::new(Shared {
        arrived: Counter::default(),
        sent: Counter::default(),
        stop: Cell::new(false),
        wake: Notify::new(),
        deliveries: peer.deliveries(members) as u64,
        window,
    });
    let (times, ended) = (Rc::new(RefCell::new(Histogram::new())), Counter::default());
    let author = connections.first().map(|reader| reader.writer.clone()).ok_or("a room has members")?;
    for reader in connections {
        let (of, times, mut heard) = (Rc::clone(&shared), Rc::clone(&times), 0);
        let hear = move |event: Event<'_>| {
            if let Event::Message(text) = event {
                count(&of.arrived);
                heard += 1;
                if heard % SAMPLED == 0
                    && let Some(at) = sent_at(text)
                {
                    times.borrow_mut().add(now().saturating_sub(at));
                }
            }
        };
        let of = Rc::clone(&shared);
        reader.start(Rc::clone(peer), Rc::clone(&ended), hear, move || {
            if of.free() > 0 {
                of.wake.notify_waiters();
            }
        });
    }
    let writing = spawn_local(write(Rc::clone(&context.peer), author, Rc::clone(&shared), room));

    sleep(Duration::from_secs_f64(context.warm)).await;
    *times.borrow_mut() = Histogram::new();
    let measure = Measure::begin(context, shared.arrived.get());
    sleep(Duration::from_secs_f64(context.seconds)).await;
    let measured = measure.end(context, shared.arrived.get());
    let (p50, p99) = (times.borrow().microseconds(0.5), times.borrow().microseconds(0.99));
    shared.stop.set(true);
    shared.wake.notify_waiters();
    writing.await?;
    let lost = missing(context, &shared.arrived, || shared.sent.get() * shared.deliveries).await;
    let more = json!({"p50_us": p50, "p99_us": p99, "resident_kib": context.server.resident(), "arrived": shared.arrived.get(), "lost": lost, "ended": ended.get()});
    Ok(with(measured.figures(), more))
}

async fn write(peer: Rc<crate::protocols::Peer>, author: Writer, shared: Rc<Shared>, room: Rc<str>) {
    let mut out = Vec::new();
    while !shared.stop.get() {
        let free = shared.free().min(WRITTEN_AT_ONCE);
        if free == 0 {
            shared.wake.notified().await;
            continue;
        }
        out.clear();
        for _ in 0..free {
            peer.say(&mut out, To::Room(&room), count(&shared.sent), false);
        }
        if author.send(&out).await.is_err() {
            break;
        }
        yield_now().await;
    }
}
