//! The event log: subscriptions, and named readers whose place in it is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::done::Done;
use crate::rpc::define::{method, methods, object, word};
use crate::rpc::events::Event;
use crate::rpc::name::Name;
use crate::rpc::target::ChatId;

methods! {
    EventMethods {}
    socket { EventsSubscribe EventsUnsubscribe EventsAck EventsPull EventsConsumers EventsForget }
}

method! {
    /// Asks for events as they happen, from a place in the durable log onwards.
    ///
    /// Notifications `event` follow, their `params` being [`crate::rpc::Notified`].
    EventsSubscribe("events.subscribe", Serial, [ReadEvents], maybe_own(consumer)) -> Subscribed {
        /// A name for the place in the log, which survives restarts of both sides. A second subscription under
        /// the name ends the first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub consumer: Option<Name>,
        /// Where to begin; when absent `acked` for a consumer, `now` otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub from: Option<Since>,
        /// Only these types; all when absent. `gap` is always sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub types: Option<Vec<String>>,
        /// Only these chats, and events of no chat; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chats: Option<Vec<ChatId>>,
        /// Whether the account's own messages come too; they do when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub include_self: Option<bool>,
        /// Who moves the consumer's place: `auto` when it was written to the socket, `manual` by
        /// `events.ack`, which is the default of a consumer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ack: Option<AckMode>,
        /// Manual acks: at most so many events that are sent and not acknowledged; 100 when absent, 10,000 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max_inflight: Option<u32>,
    }
    errors [CursorTrimmed, TooManySubscriptions]
    example {"consumer": "mailbot", "from": "start"} => {
        "subscription": "0198f3a25c417d3e9b624f8a1c7e2d90", "next_seq": 1, "oldest_seq": 1
    }
}
impl EventsSubscribe {
    /// Everything, from `from` onwards, for a reader without a name.
    #[must_use]
    pub const fn everything(from: Since) -> Self {
        Self {
            consumer: None,
            from: Some(from),
            types: None,
            chats: None,
            include_self: None,
            ack: None,
            max_inflight: None,
        }
    }
}
object! {
    /// Answers [`EventsSubscribe`].
    Subscribed {
        /// Its id, which every notification carries.
        pub subscription: String,
        /// The lowest sequence the first event can have.
        pub next_seq: u64,
        /// The oldest sequence the log still has.
        pub oldest_seq: u64,
    }
}

method! {
    /// Ends a subscription: after the answer nothing more comes of it.
    EventsUnsubscribe("events.unsubscribe", Serial, [ReadEvents]) -> Done {
        /// Which, as [`Subscribed`] named it.
        pub subscription: String,
    }
    errors [NotFound]
    example {"subscription": "0198f3a25c417d3e9b624f8a1c7e2d90"} => {}
}

/// A place in the event log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Since {
    /// A word.
    Word(SinceWord),
    /// Behind the event with this sequence: what a client that handled it says next.
    After(u64),
}
word! {
    /// A named place in the event log.
    SinceWord {
        /// Only what happens from now on.
        Now,
        /// The oldest event kept.
        Start,
        /// Behind the last one the consumer acknowledged; `now` for a new consumer.
        Acked,
    }
}
word! {
    /// Who moves a consumer's place.
    AckMode {
        /// The daemon, when the event was written to the socket.
        Auto,
        /// The consumer, by `events.ack`.
        Manual,
    }
}

method! {
    /// Moves a consumer's place: everything up to `seq` was handled. Never moves it back.
    ///
    /// Any event's `seq` will do, that of a `heartbeat` too, or `next_seq - 1` of `events.pull`.
    EventsAck("events.ack", Serial, [ReadEvents], own(consumer)) -> Acked {
        /// Which consumer.
        pub consumer: Name,
        /// The last event that was handled.
        pub seq: u64,
    }
    errors [UnknownConsumer]
    example {"consumer": "mailbot", "seq": 7} => {"acked_seq": 7}
}
object! {
    /// Answers [`EventsAck`].
    Acked {
        /// Where the consumer is now.
        pub acked_seq: u64,
    }
}
method! {
    /// The next events of a consumer, for callers that come and go: cron, PHP.
    ///
    /// A new consumer begins at `now`. Does not move its place: `events.ack` does.
    EventsPull("events.pull", Parallel, [ReadEvents], own(consumer)) -> EventBatch {
        /// Which consumer; made if there is none.
        pub consumer: Name,
        /// At most so many; 100 when absent, 1,000 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub max: Option<u32>,
        /// Wait so long for the first one; not at all when absent, 60,000 at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub wait_ms: Option<u64>,
        /// Only these types; all when absent. `gap` is always given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub types: Option<Vec<String>>,
        /// Only these chats, and events of no chat; all when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub chats: Option<Vec<ChatId>>,
        /// Whether the account's own messages come too; they do when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub include_self: Option<bool>,
    }
    errors []
    example {"consumer": "mailbot", "max": 1, "types": ["message.new"]} => {
        "events": [
            {
                "seq": 7, "time_ms": 1700000000000, "type": "message.new", "chat": "@bob", "replayed": true,
                "data": {
                    "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
                    "text": "hi", "sent_ms": 1700000000000, "stored_ms": 1700000000000, "state": "delivered"
                }
            }
        ],
        "next_seq": 8
    }
}
object! {
    /// Answers [`EventsPull`].
    EventBatch {
        /// Events, oldest first.
        pub events: Vec<Event>,
        /// Where the log goes on behind them: acknowledge `next_seq - 1` once they are handled.
        pub next_seq: u64,
    }
}
method! {
    /// The named readers of the log.
    EventsConsumers("events.consumers", Parallel, [ReadEvents]) -> Consumers {}
    errors []
    example {} => {
        "consumers": [{"name": "mailbot", "acked_seq": 7, "lag": 0, "connected": false, "seen_ms": 1700000000000}]
    }
}
object! {
    /// Answers [`EventsConsumers`].
    Consumers {
        /// In order of their names.
        pub consumers: Vec<Consumer>,
    }
}
object! {
    /// A named reader of the log.
    Consumer {
        /// Its name.
        pub name: Name,
        /// The last event it acknowledged.
        pub acked_seq: u64,
        /// Events behind that.
        pub lag: u64,
        /// Whether it has a subscription now.
        pub connected: bool,
        /// When it was last heard of.
        pub seen_ms: u64,
    }
}
method! {
    /// Forgets a consumer: nothing is kept for it any more.
    EventsForget("events.forget", Serial, [ReadEvents], own(consumer)) -> Done {
        /// Which.
        pub consumer: Name,
    }
    errors [UnknownConsumer]
    example {"consumer": "mailbot"} => {}
}
