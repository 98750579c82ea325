//! What leaves a connection: answers and events, through one bounded queue. How they are framed is the
//! transport's affair.

use std::borrow::Cow;

use chat_protocol::rpc::{EVENT_NOTIFICATION, Event, Notified};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::reply::Reply;

/// Answers and events that wait for the writer: a few times what it takes at once. The largest event is about 360 KiB
/// (a text of control characters), so a stalled reader costs at most some 12 MiB; usually a few KiB.
pub(super) const QUEUE: usize = 32;

/// The way out of one connection.
pub(super) type Outbound = mpsc::Sender<Outgoing>;

/// Something to be written.
pub(super) enum Outgoing {
    /// The answer of a call or a batch, whole.
    Answer(Reply),
    /// An event of a subscription.
    Event(Box<Note>),
}

/// An event on its way out.
pub(super) struct Note {
    /// What is said.
    pub(super) notified: Notified,
    /// Whom to tell when the system has taken it.
    pub(super) written: Option<Written>,
}

/// Tells a subscription how far its events were written.
#[derive(Clone, Debug)]
pub(super) struct Written(watch::Sender<u64>);

impl Written {
    /// Nothing was written yet.
    pub(super) fn new() -> (Self, watch::Receiver<u64>) {
        let (sender, receiver) = watch::channel(0);
        (Self(sender), receiver)
    }

    fn up_to(&self, seq: u64) {
        self.0.send_if_modified(|known| {
            let grown = seq > *known;
            *known = seq.max(*known);
            grown
        });
    }
}

impl Outgoing {
    /// An event of `subscription`.
    pub(super) fn event(subscription: &str, event: Event, written: Option<Written>) -> Self {
        let notified = Notified { subscription: subscription.to_owned(), event };
        Self::Event(Box::new(Note { notified, written }))
    }

    /// As a JSON-RPC message.
    pub(super) fn to_json(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Answer(reply) => Some(Cow::Borrowed(reply.as_json())),
            Self::Event(note) => note.notification().map(Cow::Owned),
        }
    }

    /// Says that the system has taken it.
    pub(super) fn was_written(&self) {
        if let Self::Event(note) = self
            && let (Some(written), Some(seq)) = (&note.written, note.notified.event.seq)
        {
            written.up_to(seq);
        }
    }
}

impl Note {
    fn notification(&self) -> Option<String> {
        #[derive(Serialize)]
        struct Notification<'a> {
            jsonrpc: &'static str,
            method: &'static str,
            params: &'a Notified,
        }
        serde_json::to_string(&Notification { jsonrpc: "2.0", method: EVENT_NOTIFICATION, params: &self.notified }).ok()
    }
}
