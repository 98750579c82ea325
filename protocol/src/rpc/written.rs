//! Events on their way from the log to its readers: written once, and chosen by what stands beside the text.

use std::sync::Arc;

use serde::Serialize;

use super::events::{Event, EventBody};
use super::target::ChatId;

/// An [`Event`] whose data is the JSON it was written as. No reader's copy of it is parsed or written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenEvent {
    /// As [`Event::seq`].
    pub seq: Option<u64>,
    /// As [`Event::time_ms`].
    pub time_ms: u64,
    /// As [`Event::kind`].
    pub kind: String,
    /// As [`Event::chat`].
    pub chat: Option<ChatId>,
    /// It carries a message that this account wrote.
    pub outgoing: bool,
    /// JSON of [`Event::data`].
    pub data: Arc<str>,
}

/// What stands before the data, in the order of an [`Event`]'s fields.
#[derive(Serialize)]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    time_ms: u64,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat: Option<&'a ChatId>,
    replayed: bool,
}

impl WrittenEvent {
    /// A durable event; the log numbers it when it is stored.
    #[must_use]
    pub fn durable(seq: u64, time_ms: u64, chat: Option<ChatId>, body: &EventBody) -> Self {
        Self { seq: Some(seq), ..Self::volatile(time_ms, chat, body) }
    }

    /// An event that is sent to whoever listens now, and forgotten.
    #[must_use]
    pub fn volatile(time_ms: u64, chat: Option<ChatId>, body: &EventBody) -> Self {
        #[cfg(feature = "fixtures")]
        crate::fixtures::counts::written::<Self>();
        let (kind, outgoing) = (body.type_name().to_owned(), body.is_outgoing());
        Self { seq: None, time_ms, kind, chat, outgoing, data: body.to_json().into() }
    }

    /// Reads an event that was written whole.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        #[cfg(feature = "fixtures")]
        crate::fixtures::counts::read::<Self>();
        serde_json::from_str::<Event>(json).map(Self::from)
    }

    /// What it carries; `None` for a type this version does not know.
    #[must_use]
    pub fn body(&self) -> Option<EventBody> {
        self.event(false).body()
    }

    /// All of it, for whoever looks into its data.
    #[must_use]
    pub fn event(&self, replayed: bool) -> Event {
        #[cfg(feature = "fixtures")]
        crate::fixtures::counts::read::<Self>();
        let data = serde_json::from_str(&self.data).unwrap_or_default();
        let (kind, chat) = (self.kind.clone(), self.chat.clone());
        Event { seq: self.seq, time_ms: self.time_ms, kind, chat, replayed, data }
    }

    /// Appends its JSON: as an [`Event`], or with `subscription` as [`super::Notified`].
    pub fn write_into(&self, json: &mut String, subscription: Option<&str>, replayed: bool) {
        let Self { seq, time_ms, .. } = *self;
        let head = Head { subscription, seq, time_ms, kind: &self.kind, chat: self.chat.as_ref(), replayed };
        let head = serde_json::to_string(&head).unwrap_or_default();
        json.reserve(head.len() + self.data.len() + 16);
        json.push_str(head.strip_suffix('}').unwrap_or("{"));
        json.push_str(",\"data\":");
        json.push_str(&self.data);
        json.push('}');
    }
}

/// One that was not written yet.
impl From<Event> for WrittenEvent {
    fn from(event: Event) -> Self {
        let outgoing = event.data.get("outgoing").and_then(serde_json::Value::as_bool) == Some(true);
        let data = event.data.to_string().into();
        Self { seq: event.seq, time_ms: event.time_ms, kind: event.kind, chat: event.chat, outgoing, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Notified;
    use crate::rpc::Target;
    use crate::rpc::events::{Beat, Deleted, Synced};
    use crate::rpc::types::{DeletedReason, Message};

    fn message(outgoing: bool) -> Message {
        let json = serde_json::json!({
            "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": outgoing,
            "text": "\"}}\u{1}é", "sent_ms": 1, "stored_ms": 2, "state": "delivered"
        });
        serde_json::from_value(json).unwrap()
    }

    fn bodies() -> Vec<EventBody> {
        let id = message(true).id;
        vec![
            EventBody::MessageNew(message(true)),
            EventBody::MessageEdited(message(false)),
            EventBody::MessageDeleted(Deleted { id, why: DeletedReason::Author }),
            EventBody::SyncDone(Synced { replayed: 3 }),
            EventBody::Heartbeat(Beat { seq: 9 }),
        ]
    }

    #[test]
    fn a_reader_gets_what_would_be_written_for_it_alone() {
        for body in bodies() {
            for chat in [None, Some(ChatId::from(&Target::Room))] {
                let whole = Event::durable(7, 1_000, chat.clone(), &body);
                for written in [WrittenEvent::durable(7, 1_000, chat.clone(), &body), whole.clone().into()] {
                    for replayed in [false, true] {
                        let event = Event { replayed, ..whole.clone() };
                        let (mut plain, mut notified) = (String::new(), String::new());
                        written.write_into(&mut plain, None, replayed);
                        written.write_into(&mut notified, Some("sub}\""), replayed);
                        assert_eq!(serde_json::from_str::<Event>(&plain).unwrap(), event);
                        let expected = Notified { subscription: "sub}\"".to_owned(), event };
                        assert_eq!(serde_json::from_str::<Notified>(&notified).unwrap(), expected);
                    }
                    assert_eq!(written.body().as_ref(), Some(&body));
                }
            }
        }
    }

    #[test]
    fn what_readers_choose_by_stands_beside_the_text() {
        let own: Vec<_> = bodies().iter().map(|body| WrittenEvent::volatile(1, None, body).outgoing).collect();
        assert_eq!(own, [true, false, false, false, false]);
        for body in bodies() {
            let whole = Event::durable(7, 1_000, None, &body);
            let read = WrittenEvent::read(&serde_json::to_string(&whole).unwrap()).unwrap();
            assert_eq!((read.outgoing, read.kind.as_str()), (body.is_outgoing(), body.type_name()));
            assert_eq!(read.event(false), whole);
        }
    }

    #[test]
    fn types_of_tomorrow_are_handed_on_as_they_are_and_what_is_no_event_is_refused() {
        let json = r#"{"seq":7,"time_ms":1,"type":"of.tomorrow","replayed":false,"data":[1,{"outgoing":true}]}"#;
        let read = WrittenEvent::read(json).unwrap();
        let mut again = String::new();
        read.write_into(&mut again, None, false);
        assert_eq!((again.as_str(), read.body(), read.outgoing), (json, None, false));
        for wrong in
            ["", "{}", "[]", r#"{"seq":7,"time_ms":1,"type":"x""#, r#"{"seq":-1,"time_ms":1,"type":"x","data":1}"#]
        {
            assert!(WrittenEvent::read(wrong).is_err(), "{wrong}");
        }
    }
}
