//! One subscription: reads the durable log, so a slow reader misses nothing and holds up nobody.
//!
//! The task waits for room in its connection's queue while the log grows; what it keeps is one page.
//! The newest sequence wakes it. It ends with its connection, with `events.unsubscribe`, or when
//! the connection finishes: then it first sends what the log still has. Volatile events are sent
//! when there is room for them, and dropped otherwise.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chat_protocol::rpc::events::{Beat, Range};
use chat_protocol::rpc::types::{EventsSubscribe, Since, SinceWord};
use chat_protocol::rpc::{Event, EventBody, Kind, RpcError};
use jsonrpsee::core::SubscriptionError;
use jsonrpsee::core::server::{Extensions, PendingSubscriptionSink, SubscriptionCloseResponse, SubscriptionSink};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::methods::to_wire;
use crate::api::{Answer, Api};

/// Silence after which a heartbeat is sent.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Most events read from the log at once.
const PAGE: usize = 32;

/// How a connection ends its subscriptions.
#[derive(Clone, Default)]
pub(super) struct Ending {
    /// Cancelled when the connection takes no more calls.
    pub(super) token: CancellationToken,
    /// Counts the subscriptions that still send.
    pub(super) running: TaskTracker,
}

/// Runs a subscription from its call to its end.
pub(super) async fn run(
    api: Arc<dyn Api>,
    asked: Result<EventsSubscribe, RpcError>,
    pending: PendingSubscriptionSink,
    extensions: Extensions,
) -> SubscriptionCloseResponse {
    let ending = extensions.get::<Ending>().cloned().unwrap_or_default();
    let _running = ending.running.token();
    let wakers = Wakers { newest: api.newest_event(), volatile: api.volatile(), ending: ending.token, idle: None };
    let place = match asked {
        Ok(asked) => begin(api.as_ref(), asked).await,
        Err(refused) => Err(refused),
    };
    match place {
        Err(refused) => pending.reject(to_wire(&refused)).await,
        Ok((cursor, filter)) => {
            if let Ok(sink) = pending.accept().await {
                let replay_until = *wakers.newest.borrow();
                return end(Reader { api, sink, cursor, filter, replay_until }.run(wakers).await);
            }
        }
    }
    SubscriptionCloseResponse::None
}

/// Why a subscription ended.
enum End {
    /// Its reader or its connection is gone.
    Gone,
    /// The log cannot be read.
    Broken(RpcError),
}

fn end(why: End) -> SubscriptionCloseResponse {
    match why {
        End::Gone => SubscriptionCloseResponse::None,
        End::Broken(error) => match to_raw_value(&to_wire(&error)) {
            Ok(json) => SubscriptionCloseResponse::NotifErr(SubscriptionError::from_json(json)),
            Err(_) => SubscriptionCloseResponse::None,
        },
    }
}

/// The cursor a subscription begins with, and what it wants to hear.
async fn begin(api: &dyn Api, asked: EventsSubscribe) -> Answer<(u64, Filter)> {
    let newest = *api.newest_event().borrow();
    let cursor = match asked.from.unwrap_or(Since::Word(SinceWord::Now)) {
        Since::Word(SinceWord::Now | SinceWord::Acked) => newest,
        Since::Word(SinceWord::Start) => api.events_after(0, 1).await?.oldest_seq.saturating_sub(1),
        Since::After(seq) if seq <= newest => seq,
        Since::After(_) => {
            let refusal = RpcError::new(Kind::CursorTrimmed, format!("the log ends at {newest}"));
            return Err(refusal.with_hint("begin again from `start`"));
        }
    };
    Filter::new(asked).map(|filter| (cursor, filter))
}

/// What a subscription wants to hear.
struct Filter(EventsSubscribe);

impl Filter {
    fn new(asked: EventsSubscribe) -> Answer<Self> {
        let unknown = |name: &String| !EventBody::TYPES.contains(&name.as_str());
        match asked.types.iter().flatten().position(unknown) {
            Some(index) => Err(RpcError::invalid(format!("types[{index}]"), "there is no such type of event")),
            None => Ok(Self(asked)),
        }
    }

    fn wants(&self, event: &Event) -> bool {
        let Self(asked) = self;
        let own = || event.data.get("outgoing").and_then(serde_json::Value::as_bool) == Some(true);
        asked.types.as_ref().is_none_or(|types| types.contains(&event.kind))
            && match (&asked.chats, &event.chat) {
                (Some(chats), Some(chat)) => chats.contains(chat),
                _ => true,
            }
            && (asked.include_self.unwrap_or(true) || !own())
    }
}

/// What can end a subscription's sleep.
struct Wakers {
    newest: watch::Receiver<u64>,
    volatile: broadcast::Receiver<Event>,
    ending: CancellationToken,
    /// Since when nothing was sent.
    idle: Option<Instant>,
}

/// What did.
enum Woken {
    Grown,
    Volatile(Event),
    Idle,
    Ending,
    Gone,
}

impl Wakers {
    /// Sleeps until something happens. All branches are cancel-safe: a watch, a broadcast and timers.
    async fn sleep(&mut self, sink: &SubscriptionSink) -> Woken {
        let since = *self.idle.get_or_insert_with(Instant::now);
        loop {
            tokio::select! {
                () = sink.closed() => return Woken::Gone,
                () = self.ending.cancelled() => return Woken::Ending,
                grown = self.newest.changed() => return if grown.is_ok() { Woken::Grown } else { Woken::Gone },
                event = self.volatile.recv() => match event {
                    Ok(event) => return Woken::Volatile(event),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Woken::Gone,
                },
                () = tokio::time::sleep_until(since + HEARTBEAT) => return Woken::Idle,
            }
        }
    }
}

/// A subscription at work.
struct Reader {
    api: Arc<dyn Api>,
    sink: SubscriptionSink,
    cursor: u64,
    filter: Filter,
    replay_until: u64,
}

impl Reader {
    async fn run(mut self, mut wakers: Wakers) -> End {
        let mut last_round = false;
        loop {
            match self.catch_up().await {
                Ok(true) => wakers.idle = None,
                Ok(false) => {}
                Err(end) => return end,
            }
            if last_round {
                return End::Gone;
            }
            match wakers.sleep(&self.sink).await {
                Woken::Gone => return End::Gone,
                Woken::Ending => last_round = true,
                Woken::Grown => {}
                Woken::Volatile(event) if self.filter.wants(&event) => self.offer(&event),
                Woken::Volatile(_) => {}
                Woken::Idle => {
                    self.offer(&Event::volatile(now_ms(), None, &EventBody::Heartbeat(Beat { seq: self.cursor })));
                    wakers.idle = None;
                }
            }
        }
    }

    /// Sends what the log has behind the cursor; says whether there was anything.
    async fn catch_up(&mut self) -> Result<bool, End> {
        let mut sent = false;
        loop {
            let page = self.api.events_after(self.cursor, PAGE).await.map_err(End::Broken)?;
            if page.oldest_seq > self.cursor + 1 {
                self.skip_to(page.oldest_seq - 1).await?;
            }
            if page.events.is_empty() {
                return Ok(sent);
            }
            for event in page.events {
                self.cursor = event.seq.unwrap_or(self.cursor);
                if self.filter.wants(&event) {
                    let replayed = self.cursor <= self.replay_until;
                    self.send(&Event { replayed, ..event }).await?;
                    sent = true;
                }
            }
        }
    }

    /// Says that everything up to `last` is gone from the log.
    async fn skip_to(&mut self, last: u64) -> Result<(), End> {
        let gap = EventBody::Gap(Range { from: self.cursor + 1, to: last });
        self.cursor = last;
        self.send(&Event::durable(last, now_ms(), None, &gap)).await
    }

    /// Waits for room, for as long as the reader takes.
    async fn send(&self, event: &Event) -> Result<(), End> {
        let json = json(event).ok_or(End::Gone)?;
        tokio::select! {
            () = self.sink.closed() => Err(End::Gone),
            sent = self.sink.send(json) => sent.map_err(|_| End::Gone),
        }
    }

    /// Sends only if there is room now.
    fn offer(&mut self, event: &Event) {
        if let Some(json) = json(event) {
            // Volatile events are the first to be dropped.
            let _ = self.sink.try_send(json);
        }
    }
}

fn json(event: &Event) -> Option<Box<RawValue>> {
    to_raw_value(event).ok()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
