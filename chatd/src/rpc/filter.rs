//! What a reader of the log wants to hear.

use chat_protocol::rpc::types::{EventsPull, EventsSubscribe};
use chat_protocol::rpc::{ChatId, Event, EventBody, RpcError};

use crate::api::Answer;

/// Types, chats, and whether own messages count.
pub(super) struct Filter {
    types: Option<Vec<String>>,
    chats: Option<Vec<ChatId>>,
    include_self: bool,
}

impl Filter {
    /// What a subscription asks for.
    pub(super) fn of(asked: &EventsSubscribe) -> Answer<Self> {
        Self::new(asked.types.clone(), asked.chats.clone(), asked.include_self)
    }

    /// What a pull asks for.
    pub(super) fn of_pull(asked: &EventsPull) -> Answer<Self> {
        Self::new(asked.types.clone(), asked.chats.clone(), asked.include_self)
    }

    fn new(types: Option<Vec<String>>, chats: Option<Vec<ChatId>>, include_self: Option<bool>) -> Answer<Self> {
        let unknown = |name: &String| !EventBody::TYPES.contains(&name.as_str());
        if let Some(index) = types.iter().flatten().position(unknown) {
            return Err(RpcError::invalid(format!("types[{index}]"), "there is no such type of event"));
        }
        Ok(Self { types, chats, include_self: include_self.unwrap_or(true) })
    }

    /// Whether the reader wants to hear it.
    pub(super) fn wants(&self, event: &Event) -> bool {
        let own = || event.data.get("outgoing").and_then(serde_json::Value::as_bool) == Some(true);
        self.types.as_ref().is_none_or(|types| types.contains(&event.kind))
            && match (&self.chats, &event.chat) {
                (Some(chats), Some(chat)) => chats.contains(chat),
                _ => true,
            }
            && (self.include_self || !own())
    }
}
