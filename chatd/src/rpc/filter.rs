//! What a reader of the log wants to hear, and may.

use chat_protocol::rpc::types::{EventsPull, EventsSubscribe};
use chat_protocol::rpc::{ChatId, EventBody, RpcError, WrittenEvent};

use super::access::Access;
use crate::api::Answer;

/// Types, chats, and whether own messages count.
pub(super) struct Filter {
    types: Option<Vec<String>>,
    chats: Option<Vec<ChatId>>,
    include_self: bool,
    /// The only chats it may hear of.
    confined: Option<Vec<ChatId>>,
}

/// What a reader confined to some chats hears besides: the state of the connection and of the log, and nothing of people.
const OF_NOBODY: &[&str] =
    &["connection", "sync.done", "daemon.stopping", "clock_skew", "gap", "heartbeat", "subscription.ended"];

impl Filter {
    /// What a subscription asks for.
    pub(super) fn of(asked: &EventsSubscribe, access: &Access) -> Answer<Self> {
        Self::new(asked.types.clone(), asked.chats.clone(), asked.include_self, access)
    }

    /// What a pull asks for.
    pub(super) fn of_pull(asked: &EventsPull, access: &Access) -> Answer<Self> {
        Self::new(asked.types.clone(), asked.chats.clone(), asked.include_self, access)
    }

    fn new(
        types: Option<Vec<String>>,
        chats: Option<Vec<ChatId>>,
        include_self: Option<bool>,
        access: &Access,
    ) -> Answer<Self> {
        let unknown = |name: &String| !EventBody::TYPES.contains(&name.as_str());
        if let Some(index) = types.iter().flatten().position(unknown) {
            return Err(RpcError::invalid(format!("types[{index}]"), "there is no such type of event")
                .with_hint(format!("there are {}", EventBody::TYPES.join(", "))));
        }
        let confined = access.chats().map(<[ChatId]>::to_vec);
        Ok(Self { types, chats, include_self: include_self.unwrap_or(true), confined })
    }

    /// Whether the reader wants to hear it.
    pub(super) fn wants(&self, event: &WrittenEvent) -> bool {
        self.types.as_ref().is_none_or(|types| types.contains(&event.kind))
            && match (&self.chats, &event.chat) {
                (Some(chats), Some(chat)) => chats.contains(chat),
                _ => true,
            }
            && (self.include_self || !event.outgoing)
            && self.may(event)
    }

    fn may(&self, event: &WrittenEvent) -> bool {
        match (&self.confined, &event.chat) {
            (None, _) => true,
            (Some(chats), Some(chat)) => chats.contains(chat),
            (Some(_), None) => OF_NOBODY.contains(&event.kind.as_str()),
        }
    }
}
