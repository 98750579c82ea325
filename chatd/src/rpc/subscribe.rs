//! One subscription: reads the durable log, so a slow reader misses nothing and holds up nobody.
//!
//! The task waits for room in its connection's queue while the log grows; what it keeps is one page, and
//! for a consumer with manual acks the numbers of what is not acknowledged. The newest sequence wakes it.
//! It ends with its connection, with `events.unsubscribe`, when its consumer reads elsewhere, or when the
//! connection finishes: then it first sends what the log still has. Volatile events are sent when there is
//! room for them, and dropped otherwise.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::rpc::events::{Beat, Ended, Range};
use chat_protocol::rpc::types::{AckMode, EndReason, EventsSubscribe, Since, SinceWord, Subscribed};
use chat_protocol::rpc::{EventBody, Kind, RpcError, WrittenEvent};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::access::Access;
use super::acks::Acks;
use super::active_consumers::ActiveConsumers;
use super::filter::Filter;
use super::outbound::{Outbound, Outgoing};
use crate::api::{Answer, Backend};
use crate::metrics::Open;

/// Silence after which a heartbeat is sent.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Most events read from the log at once.
const PAGE: usize = 32;

/// What a subscription needs of its connection.
pub(super) struct Place {
    /// Its id.
    pub(super) id: String,
    /// Who asked for it.
    pub(super) access: Access,
    /// Where its events go.
    pub(super) outbound: Outbound,
    /// Cancelled when nothing more is to come of it.
    pub(super) unsubscribed: CancellationToken,
    /// Cancelled when the connection takes no more calls.
    pub(super) ending: CancellationToken,
    /// Held while it still sends.
    pub(super) running: TaskTrackerToken,
}

/// A subscription that has begun and sends nothing before it [runs](Self::run).
pub(super) struct Subscription {
    reader: Reader,
    wakers: Wakers,
    unsubscribed: CancellationToken,
    _running: TaskTrackerToken,
    _open: Open,
}

/// Begins what was asked for: durable, if it is for a consumer.
///
/// # Errors
/// [`RpcError`] for types there are not, a place behind the log's end, and what the log says.
pub(super) async fn begin(
    backend: Arc<dyn Backend>,
    consumers: &Arc<ActiveConsumers>,
    asked: EventsSubscribe,
    place: Place,
) -> Answer<(Subscription, Subscribed)> {
    let filter = Filter::of(&asked, &place.access)?;
    let wakers =
        Wakers { newest: backend.newest_event(), volatile: backend.volatile(), ending: place.ending, idle: None };
    let (cursor, acks) = position(backend.as_ref(), consumers, &asked).await?;
    let replay_until = *wakers.newest.borrow();
    let oldest_seq = backend.events_after(u64::MAX, 1).await?.oldest_seq;
    let answer = Subscribed { subscription: place.id.clone(), next_seq: cursor.saturating_add(1), oldest_seq };
    let open = backend.metrics().subscription();
    let reader = Reader { backend, outbound: place.outbound, id: place.id, cursor, filter, replay_until, acks };
    let subscription =
        Subscription { reader, wakers, unsubscribed: place.unsubscribed, _running: place.running, _open: open };
    Ok((subscription, answer))
}

/// Where it begins, and who acknowledges.
async fn position(
    backend: &dyn Backend,
    consumers: &Arc<ActiveConsumers>,
    asked: &EventsSubscribe,
) -> Answer<(u64, Acks)> {
    let usual = if asked.consumer.is_some() { SinceWord::Acked } else { SinceWord::Now };
    let since = asked.from.unwrap_or(Since::Word(usual));
    let newest = *backend.newest_event().borrow();
    let named = match since {
        Since::Word(SinceWord::Now | SinceWord::Acked) => None,
        Since::Word(SinceWord::Start) => Some(backend.events_after(0, 1).await?.oldest_seq.saturating_sub(1)),
        Since::After(seq) if seq <= newest => Some(seq),
        Since::After(_) => {
            let refusal = RpcError::new(Kind::CursorTrimmed, format!("the log ends at {newest}"));
            return Err(refusal.with_hint("begin again from `start`"));
        }
    };
    let Some(consumer) = &asked.consumer else {
        return match since {
            Since::Word(SinceWord::Acked) => Err(RpcError::invalid("from", "`acked` is for a `consumer`")),
            _ => Ok((named.unwrap_or(newest), Acks::Nobody)),
        };
    };
    let acked = backend.consumer_open(consumer.clone(), named).await?;
    let cursor = match since {
        Since::Word(SinceWord::Acked) => acked,
        _ => named.unwrap_or(newest),
    };
    let attached = consumers.attach(consumer.clone(), acked);
    let acks = match asked.ack.unwrap_or(AckMode::Manual) {
        AckMode::Auto => Acks::when_written(attached),
        AckMode::Manual => Acks::when_told(attached, asked.max_inflight)?,
    };
    Ok((cursor, acks))
}

impl Subscription {
    /// Sends until something ends it.
    pub(super) async fn run(self) {
        let Self { reader, wakers, unsubscribed, _running, _open } = self;
        let (outbound, id, dismissed) = (reader.outbound.clone(), reader.id.clone(), reader.acks.dismissed());
        // What is dropped half-way was not sent, and is not acknowledged.
        let ended = tokio::select! {
            () = unsubscribed.cancelled() => return,
            () = outbound.closed() => return,
            reason = dismissed => Ended { reason, error: None },
            end = reader.run(wakers) => match end {
                End::Gone => return,
                End::Broken(error) => Ended { reason: EndReason::Failed, error: Some(error.kind) },
            },
        };
        let ended = WrittenEvent::volatile(now_ms(), None, &EventBody::SubscriptionEnded(ended));
        tokio::select! {
            () = unsubscribed.cancelled() => {}
            // The connection is gone if this fails.
            _ = outbound.send(Outgoing::event(&id, ended, false, None)) => {}
        }
    }
}

/// Why a subscription ended.
enum End {
    /// Its reader or its connection is gone.
    Gone,
    /// The log cannot be read.
    Broken(RpcError),
}

/// What can end a subscription's sleep.
struct Wakers {
    newest: watch::Receiver<u64>,
    volatile: broadcast::Receiver<WrittenEvent>,
    ending: CancellationToken,
    /// Since when nothing was sent.
    idle: Option<Instant>,
}

/// What did.
enum Woken {
    Grown,
    Volatile(WrittenEvent),
    Missed(u64),
    Acks,
    Idle,
    Ending,
    Gone,
}

impl Wakers {
    /// Sleeps until something happens. All branches are cancel-safe: watches, a broadcast and timers.
    async fn sleep(&mut self, acks: &mut Acks) -> Woken {
        let since = *self.idle.get_or_insert_with(Instant::now);
        tokio::select! {
            () = self.ending.cancelled() => Woken::Ending,
            grown = self.newest.changed() => if grown.is_ok() { Woken::Grown } else { Woken::Gone },
            () = acks.changed() => Woken::Acks,
            event = self.volatile.recv() => match event {
                Ok(event) => Woken::Volatile(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => Woken::Missed(missed),
                Err(broadcast::error::RecvError::Closed) => Woken::Gone,
            },
            () = tokio::time::sleep_until(since + HEARTBEAT) => Woken::Idle,
        }
    }
}

/// A subscription at work.
struct Reader {
    backend: Arc<dyn Backend>,
    outbound: Outbound,
    id: String,
    cursor: u64,
    filter: Filter,
    replay_until: u64,
    acks: Acks,
}

impl Reader {
    async fn run(mut self, mut wakers: Wakers) -> End {
        loop {
            match self.catch_up(&wakers.ending).await {
                Ok(true) => wakers.idle = None,
                Ok(false) => {}
                Err(end) => return end,
            }
            if wakers.ending.is_cancelled() {
                self.acks.last(self.backend.as_ref(), self.cursor, &self.outbound).await;
                return End::Gone;
            }
            match wakers.sleep(&mut self.acks).await {
                Woken::Gone => return End::Gone,
                Woken::Ending | Woken::Grown => {}
                Woken::Acks => self.acks.settle(self.backend.as_ref(), self.cursor).await,
                Woken::Volatile(event) if self.filter.wants(&event) => self.offer(event),
                Woken::Volatile(_) => {}
                Woken::Missed(events) => self.backend.metrics().dropped(events),
                Woken::Idle => {
                    self.acks.settle(self.backend.as_ref(), self.cursor).await;
                    self.offer(WrittenEvent::volatile(
                        now_ms(),
                        None,
                        &EventBody::Heartbeat(Beat { seq: self.cursor }),
                    ));
                    wakers.idle = None;
                }
            }
        }
    }

    /// Sends what the log has behind the cursor; says whether there was anything.
    async fn catch_up(&mut self, ending: &CancellationToken) -> Result<bool, End> {
        let mut sent = false;
        loop {
            let page = self.backend.events_after(self.cursor, PAGE).await.map_err(End::Broken)?;
            if page.oldest_seq > self.cursor.saturating_add(1) {
                self.skip_to(page.oldest_seq - 1, ending).await?;
            }
            if page.events.is_empty() {
                return Ok(sent);
            }
            for event in page.events {
                let seq = event.seq.unwrap_or(self.cursor);
                if self.filter.wants(&event) {
                    let replayed = seq <= self.replay_until;
                    self.send(event, replayed, ending).await?;
                    sent = true;
                }
                self.cursor = seq;
            }
            self.acks.keep_up(self.backend.as_ref(), self.cursor).await;
        }
    }

    /// Says that everything up to `last` is gone from the log.
    async fn skip_to(&mut self, last: u64, ending: &CancellationToken) -> Result<(), End> {
        let gap = EventBody::Gap(Range { from: self.cursor + 1, to: last });
        self.send(WrittenEvent::durable(last, now_ms(), None, &gap), false, ending).await?;
        self.cursor = last;
        Ok(())
    }

    /// Waits for room, for as long as the reader takes.
    async fn send(&mut self, event: WrittenEvent, replayed: bool, ending: &CancellationToken) -> Result<(), End> {
        tokio::select! {
            biased;
            () = self.acks.room() => {}
            // Nobody acknowledges any more: the next subscription sends it.
            () = ending.cancelled() => return Err(End::Gone),
        }
        let written = self.acks.sending(event.seq);
        let note = Outgoing::event(&self.id, event, replayed, written);
        self.outbound.send(note).await.map_err(|_| End::Gone)
    }

    /// Sends only if there is room now.
    fn offer(&self, event: WrittenEvent) {
        // Volatile events are the first to be dropped.
        if self.outbound.try_send(Outgoing::event(&self.id, event, false, None)).is_err() {
            self.backend.metrics().dropped(1);
        }
    }
}

/// This machine's time.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
