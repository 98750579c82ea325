//! How a chat is kept: quiet, put away, or short-lived.

use chat_protocol::limits::{MAX_TTL_S, MIN_TTL_S};
use chat_protocol::rpc::types::{ChatSet, Unread};
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::records::events;
use crate::records::history::{self, Chat, ROOM};
use crate::rows::counter::Counter;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Changes what is named; what is absent stays.
///
/// # Errors
/// `invalid_params`.
pub fn set(txn: &mut Txn<'_>, id: &str, wanted: &ChatSet) -> Result<(), EngineError> {
    if let Some(ttl_s) = wanted.ttl_s {
        if id == ROOM {
            return Err(EngineError::invalid("ttl_s", "posts of the public room stay: the server keeps them"));
        }
        if ttl_s != 0 && !(MIN_TTL_S..=MAX_TTL_S).contains(&ttl_s) {
            return Err(EngineError::invalid("ttl_s", format!("must be {MIN_TTL_S} to {MAX_TTL_S}, or 0")));
        }
    }
    let known = history::chat(txn.rows, id)?;
    let before = match known.clone() {
        Some(chat) => chat,
        // pages of chats go by their places, so each has one of its own
        None => Chat { activity: Counter::Activity.next(txn.rows)?, ..Chat::new(id.to_owned()) },
    };
    let chat = Chat {
        muted_until: wanted.muted_until_ms.map_or(before.muted_until, Timestamp::from_millis),
        ttl_s: wanted.ttl_s.map_or(before.ttl_s, |ttl_s| Some(ttl_s).filter(|ttl_s| *ttl_s != 0)),
        archived: wanted.archived.unwrap_or(before.archived),
        ..before.clone()
    };
    if known.is_none() || chat != before {
        history::write_chat(txn.rows, &chat)?;
        events::chat_updated(txn, &chat)?;
    }
    Ok(())
}

/// What is unread in the chats that are not muted.
///
/// # Errors
/// [`RowsError`].
pub fn unread(rows: &dyn Rows, now: Timestamp) -> Result<Unread, RowsError> {
    let mut total = Unread { messages: 0, chats: 0, mentions: 0 };
    for chat in history::chats(rows, usize::MAX)? {
        if chat.unread > 0 && chat.muted_until <= now {
            total.messages += chat.unread;
            total.chats += 1;
            total.mentions += chat.mentions;
        }
    }
    Ok(total)
}
