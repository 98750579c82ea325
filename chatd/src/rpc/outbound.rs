//! What leaves a connection: answers and events, through one bounded queue. How they are framed is the
//! transport's affair.

use std::borrow::Cow;

use chat_protocol::rpc::WrittenEvent;
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
    /// The subscription it belongs to.
    subscription: String,
    event: WrittenEvent,
    /// Whether it was in the log before the subscription began.
    replayed: bool,
    /// Whom to tell when the system has taken it.
    written: Option<Written>,
}

/// What stands before and behind the `params` of a notification.
const NOTIFICATION: [&str; 2] = [r#"{"jsonrpc":"2.0","method":"event","params":"#, "}"];

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
    pub(super) fn event(subscription: &str, event: WrittenEvent, replayed: bool, written: Option<Written>) -> Self {
        Self::Event(Box::new(Note { subscription: subscription.to_owned(), event, replayed, written }))
    }

    /// As a JSON-RPC message.
    pub(super) fn to_json(&self) -> Cow<'_, str> {
        match self {
            Self::Answer(reply) => Cow::Borrowed(reply.as_json()),
            Self::Event(note) => Cow::Owned(note.notification()),
        }
    }

    /// Says that the system has taken it.
    pub(super) fn was_written(&self) {
        if let Self::Event(note) = self
            && let (Some(written), Some(seq)) = (&note.written, note.event.seq)
        {
            written.up_to(seq);
        }
    }
}

impl Note {
    /// Its number in the log, if it has one.
    pub(super) const fn seq(&self) -> Option<u64> {
        self.event.seq
    }

    /// The `params` alone.
    pub(super) fn params(&self) -> String {
        let mut json = String::new();
        self.write_into(&mut json);
        json
    }

    fn notification(&self) -> String {
        let [before, behind] = NOTIFICATION;
        let mut json = before.to_owned();
        self.write_into(&mut json);
        json.push_str(behind);
        json
    }

    fn write_into(&self, json: &mut String) {
        self.event.write_into(json, Some(&self.subscription), self.replayed);
    }
}

#[cfg(test)]
mod tests {
    use chat_protocol::fixtures::counts;
    use chat_protocol::rpc::events::Synced;
    use chat_protocol::rpc::{EVENT_NOTIFICATION, Event, EventBody};

    use super::*;

    #[test]
    fn a_notification_is_what_the_document_says_and_costs_no_reading() {
        let body = EventBody::SyncDone(Synced { replayed: 3 });
        let event = WrittenEvent::durable(7, 1_000, None, &body);
        let (json, passes) = counts::during(|| {
            let notes = ["one", "two"].map(|id| Outgoing::event(id, event.clone(), true, None).to_json().into_owned());
            notes.join("\n")
        });
        assert_eq!(passes, counts::Passes::default());
        for (line, id) in json.lines().zip(["one", "two"]) {
            let said: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((&said["jsonrpc"], &said["method"]), (&"2.0".into(), &EVENT_NOTIFICATION.into()));
            assert_eq!(said["params"]["subscription"], id);
            let read: Event = serde_json::from_value(said["params"].clone()).unwrap();
            assert_eq!(read, Event { replayed: true, ..Event::durable(7, 1_000, None, &body) });
        }
    }
}
