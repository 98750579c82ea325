//! `msg.search`: the index, built on first use, and kept up by what the event log tells.

use std::collections::BTreeMap;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::rpc::types::{MsgSearch, SearchPage};
use chat_protocol::rpc::{EventBody, RpcError, WrittenEvent};

use super::errors;
use super::reads;
use crate::api::Answer;
use crate::engine::history::{self, Message, MessageKind};
use crate::engine::{events, view};
use crate::store::search::{Entry, MESSAGE_BYTES, SearchIndex, Wanted, has_words};
use crate::store::{Direction, Rows, RowsError};

/// Messages read at once while the index is built.
const PAGE: usize = 512;
/// What the messages that are searched, the newest, are counted for: the index takes up to three times as much memory.
const MAX_INDEX_BYTES: usize = 64 << 20;
/// Longest query: every word of it costs a walk through the index, during which others wait.
const MAX_QUERY_BYTES: usize = 4 * 1024;
/// Found when nothing else is asked for.
const USUAL: u32 = 50;

/// The index, and the event it has been told of.
#[derive(Debug)]
pub(super) struct Search {
    index: SearchIndex,
    told: u64,
}

fn failed(error: RowsError) -> RpcError {
    errors::rows(&error)
}

/// Searches, after bringing the index up to the rows.
pub(super) fn run(search: &mut Option<Search>, rows: &dyn Rows, asked: &MsgSearch) -> Answer<SearchPage> {
    if asked.query.len() > MAX_QUERY_BYTES {
        return Err(RpcError::invalid("query", format!("must be at most {MAX_QUERY_BYTES} bytes")));
    }
    if !has_words(&asked.query) {
        return Err(RpcError::invalid("query", "has nothing that can be searched for: letters, digits or symbols"));
    }
    let search = match search.take() {
        Some(known) => search.insert(known.caught_up(rows).map_err(failed)?),
        None => search.insert(Search::built(rows).map_err(failed)?),
    };
    let limit = reads::limit(asked.limit, USUAL)?;
    let below = asked.cursor.as_deref().map(str::parse).transpose();
    let chat = asked.to.as_ref().map(|to| reads::chat_of(rows, to)).transpose()?;
    let wanted = Wanted {
        words: &asked.query,
        below: below.map_err(|_| RpcError::invalid("cursor", "not a cursor of this daemon"))?,
        chat: chat.as_deref(),
        author: asked.from.as_ref().map(chat_protocol::ids::Username::as_str),
        since_ms: asked.since_ms,
        until_ms: asked.until_ms,
        limit: limit.saturating_add(1),
    };
    let mut page = Vec::new();
    for (number, id) in search.index.find(&wanted).map_err(failed)? {
        let message = history::get(rows, &id).map_err(failed)?;
        page.extend(message.and_then(|(_, message)| Some((number.to_string(), view::message(&message)?))));
    }
    let (messages, cursor) = reads::cut(page, limit);
    Ok(SearchPage { messages, cursor, partial: search.index.is_partial() })
}

impl Search {
    /// The newest of what the history has, as much as the index holds, oldest first.
    fn built(rows: &dyn Rows) -> Result<Self, RowsError> {
        let told = events::newest(rows)?;
        let mut newest = Newest::default();
        for chat in history::chats(rows, usize::MAX)? {
            let mut from = 0;
            loop {
                let page = history::page(rows, &chat.id, from..=u64::MAX, Direction::Ascending, PAGE)?;
                let Some((last, _)) = page.last() else { break };
                from = last.saturating_add(1);
                page.into_iter().for_each(|(position, message)| newest.add(position, message));
            }
        }
        let mut index = SearchIndex::new(MAX_INDEX_BYTES)?;
        index.put_all(newest.messages.values().map(Searched::entry))?;
        if newest.is_partial {
            index.set_partial();
        }
        Ok(Self { index, told })
    }

    /// What happened since; everything anew if the log no longer tells.
    fn caught_up(mut self, rows: &dyn Rows) -> Result<Self, RowsError> {
        if events::oldest(rows)? > self.told.saturating_add(1) {
            return Self::built(rows);
        }
        loop {
            let page = events::after(rows, self.told, PAGE)?;
            if page.is_empty() {
                return Ok(self);
            }
            for event in page {
                self.told = event.seq.unwrap_or(self.told);
                let Some(id) = changed(&event) else { continue };
                // one that went for want of room is not the newest because it is edited
                if event.kind != "message.edited" || !self.index.is_partial() || self.index.has(&id) {
                    self.look_at(rows, &id)?;
                }
            }
        }
    }

    /// Indexes a message as it is now.
    fn look_at(&mut self, rows: &dyn Rows, id: &MessageId) -> Result<(), RowsError> {
        match history::get(rows, id)? {
            Some((_, message)) if is_searched(&message) => self.index.put(&entry(&message)),
            _ => self.index.remove(id),
        }
    }
}

/// Whether a search can find it.
fn is_searched(message: &Message) -> bool {
    !message.deleted && matches!(message.kind, MessageKind::Text)
}

fn entry(message: &Message) -> Entry<'_> {
    let Message { id, text, chat, from, stored, .. } = message;
    Entry { id: *id, text, chat: chat.as_str(), author: from.as_str(), stored_ms: stored.as_millis() }
}

/// The newest messages of all chats, by their position: as many as an index holds.
#[derive(Default)]
struct Newest {
    messages: BTreeMap<u64, Searched>,
    bytes: usize,
    is_partial: bool,
}

/// What is searched of a message.
struct Searched {
    id: MessageId,
    text: String,
    chat: String,
    author: Username,
    stored_ms: u64,
}

impl Searched {
    const fn bytes(&self) -> usize {
        self.text.len() + MESSAGE_BYTES
    }

    fn entry(&self) -> Entry<'_> {
        let Self { id, text, chat, author, stored_ms } = self;
        Entry { id: *id, text, chat, author: author.as_str(), stored_ms: *stored_ms }
    }
}

impl Newest {
    fn add(&mut self, position: u64, message: Message) {
        if !is_searched(&message) {
            return;
        }
        let Message { id, text, chat, from: author, stored, .. } = message;
        let searched = Searched { id, text, chat: chat.as_str().to_owned(), author, stored_ms: stored.as_millis() };
        self.bytes += searched.bytes();
        self.messages.insert(position, searched);
        while self.bytes > MAX_INDEX_BYTES
            && let Some((_, oldest)) = self.messages.pop_first()
        {
            self.bytes -= oldest.bytes();
            self.is_partial = true;
        }
    }
}

/// The message an event is about, if its text may be another now.
fn changed(event: &WrittenEvent) -> Option<MessageId> {
    if !["message.new", "message.edited", "message.deleted"].contains(&event.kind.as_str()) {
        return None;
    }
    match event.body()? {
        EventBody::MessageNew(message) | EventBody::MessageEdited(message) => Some(message.id),
        EventBody::MessageDeleted(deleted) => Some(deleted.id),
        _ => None,
    }
}
