//! Two and two: one writes, the other reads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Context, Counter, Listen, Measure, SETTLE, Writer, connect_all, count, missing, split, with};
use crate::Fallible;
use crate::histogram::Histogram;
use crate::protocols::{Event, Peer, To, sent_at};
use crate::usage::now;

/// Most messages in one write.
const WRITTEN_AT_ONCE: u64 = 32;

/// What all pairs share.
struct Shared {
    arrived: Counter,
    sent: Counter,
    refused: Counter,
    stop: Cell<bool>,
    times: RefCell<Histogram>,
}

/// What a pair's writer knows of its reader.
#[derive(Default)]
struct Pair {
    arrived: Cell<u64>,
    wake: Notify,
}

/// `window` 0: `rate` messages a second in each pair, the pairs one after another; else so many under way in each.
pub(crate) async fn run(context: &Context, pairs: usize, window: u64, rate: f64) -> Fallible<Value> {
    let peer = &context.peer;
    let connections = connect_all(peer, 0..pairs * 2, 16, Listen::Own).await?;
    sleep(SETTLE).await;
    let shared = Rc::new(Shared {
        arrived: Counter::default(),
        sent: Counter::default(),
        refused: Counter::default(),
        stop: Cell::new(false),
        times: RefCell::new(Histogram::new()),
    });
    let known: Vec<Rc<Pair>> = (0..pairs).map(|_| Rc::default()).collect();
    let ended = Counter::default();
    let mut writing = Vec::with_capacity(pairs);
    for (user, connection) in connections.into_iter().enumerate() {
        let (reader, pair) = (split(connection), Rc::clone(&known[user / 2]));
        if user % 2 == 0 {
            let pace = Pace { window, rate, late: user as f64 / (pairs * 2) as f64 };
            let (peer, shared, pair) = (Rc::clone(peer), Rc::clone(&shared), Rc::clone(&pair));
            writing.push(spawn_local(write(peer, reader.writer.clone(), user + 1, pace, shared, pair)));
        }
        let shared = Rc::clone(&shared);
        let hear = move |event: Event<'_>| match event {
            Event::Message(text) => {
                count(&shared.arrived);
                if let Some(at) = sent_at(text) {
                    shared.times.borrow_mut().add(now().saturating_sub(at));
                }
                pair.arrived.set(pair.arrived.get() + 1);
                pair.wake.notify_one();
            }
            Event::Refused => {
                count(&shared.refused);
            }
            Event::Accepted => {}
        };
        reader.start(Rc::clone(peer), Rc::clone(&ended), hear, || {});
    }

    sleep(Duration::from_secs_f64(context.warm)).await;
    *shared.times.borrow_mut() = Histogram::new();
    let measure = Measure::begin(context, shared.arrived.get());
    sleep(Duration::from_secs_f64(context.seconds)).await;
    let measured = measure.end(context, shared.arrived.get());
    let (p50, p99) = (shared.times.borrow().microseconds(0.5), shared.times.borrow().microseconds(0.99));
    shared.stop.set(true);
    known.iter().for_each(|pair| pair.wake.notify_one());
    for task in writing {
        task.await?;
    }
    let lost = missing(context, &shared.arrived, || shared.sent.get()).await;
    let more = json!({"p50_us": p50, "p99_us": p99, "arrived": shared.arrived.get(), "lost": lost, "refused": shared.refused.get(), "ended": ended.get()});
    Ok(with(measured.figures(), more))
}

struct Pace {
    window: u64,
    rate: f64,
    /// Which part of the time between two messages passes before the first.
    late: f64,
}

async fn write(peer: Rc<Peer>, writer: Writer, to: usize, pace: Pace, shared: Rc<Shared>, pair: Rc<Pair>) {
    let (mut out, mut sent) = (Vec::new(), 0_u64);
    let began = Instant::now() + Duration::from_secs_f64(pace.late / pace.rate);
    while !shared.stop.get() {
        let mut free = 1;
        if pace.window == 0 {
            sleep_until(began + Duration::from_secs_f64(sent as f64 / pace.rate)).await;
        } else {
            free = (pace.window - (sent - pair.arrived.get())).min(WRITTEN_AT_ONCE);
            if free == 0 {
                pair.wake.notified().await;
                continue;
            }
        }
        out.clear();
        for _ in 0..free {
            peer.say(&mut out, To::User(to), sent, false);
            sent += 1;
            count(&shared.sent);
        }
        if writer.send(&out).await.is_err() {
            break;
        }
    }
}
