//! What can be read of a world: what a person sees on each device.

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::MessageState;
use chat_protocol::rpc::{Event, EventBody};
use chatd::engine::events;
use chatd::engine::history::{self, Message};
use chatd::store::Direction;

use crate::world::World;

impl World {
    /// The messages of others in a chat, oldest first.
    pub fn chat(&self, who: usize, chat: &str) -> Vec<Message> {
        let page = history::page(&self.nodes[who].rows, chat, 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap();
        page.into_iter().map(|(_, message)| message).collect()
    }

    /// Every private message of others, as `name: text`, in the order it was shown.
    pub fn inbox(&self, who: usize) -> Vec<String> {
        let rows = &self.nodes[who].rows;
        let chats = history::chats(rows, usize::MAX).unwrap();
        let mut found: Vec<_> = chats
            .iter()
            .filter(|chat| chat.id.starts_with('@'))
            .flat_map(|chat| history::page(rows, &chat.id, 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap())
            .filter(|(_, message)| !message.mine)
            .collect();
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, message)| format!("{}: {}", message.from, message.text)).collect()
    }

    pub fn room(&self, who: usize) -> Vec<String> {
        self.chat(who, history::ROOM).into_iter().map(|message| format!("{}: {}", message.from, message.text)).collect()
    }

    pub fn state(&self, who: usize, id: MessageId) -> MessageState {
        let (_, message) = history::get(&self.nodes[who].rows, &id).unwrap().unwrap();
        message.state.unwrap()
    }

    pub fn events(&self, who: usize) -> Vec<Event> {
        let kept = events::after(&self.nodes[who].rows, 0, usize::MAX).unwrap();
        kept.iter().map(|event| event.event(false)).collect()
    }

    pub fn count_events(&self, who: usize, is: impl Fn(&EventBody) -> bool) -> usize {
        self.events(who).iter().filter_map(Event::body).filter(|body| is(body)).count()
    }
}
