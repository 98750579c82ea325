//! Own messages that wait, and those that ended without arriving: found without reading the history.
//!
//! Two lists of ids beside the messages. Whoever writes a message, or removes it, brings them up to it, so that they
//! cannot say anything else than the messages do.

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::MessageState;

use crate::records::history;
use crate::rows::codec::Cbor;
use crate::rows::family::Family;
use crate::rows::messages::Message;
use crate::rows::{FAILED, WAITING};
use crate::store::{Direction, Rows, RowsError};

/// One of the lists.
type List = Family<MessageId, Cbor<MessageId>>;

static LISTS: [&List; 2] = [&WAITING, &FAILED];

/// The list a message belongs to. What was sent again, or is deleted, needs nothing any more.
fn list_of(message: &Message) -> Option<&'static List> {
    match message.state {
        Some(MessageState::Queued) => Some(&WAITING),
        Some(MessageState::Failed | MessageState::NotReceived) if !message.resent && !message.deleted => Some(&FAILED),
        _ => None,
    }
}

/// Brings the lists up to a message that is being written.
pub(crate) fn index_unsent(rows: &mut dyn Rows, position: u64, message: &Message) -> Result<(), RowsError> {
    if !message.mine {
        return Ok(());
    }
    let belongs = list_of(message);
    for list in LISTS {
        if belongs.is_some_and(|belongs| std::ptr::eq(belongs, list)) {
            list.put(rows, &message.id, position, &message.id)?;
        } else {
            list.delete(rows, &message.id)?;
        }
    }
    Ok(())
}

/// A message is gone for good.
pub(crate) fn forget(rows: &mut dyn Rows, id: &MessageId) -> Result<(), RowsError> {
    LISTS.into_iter().try_for_each(|list| list.delete(rows, id).map(drop))
}

/// How many wait, and how many did not arrive.
///
/// # Errors
/// [`RowsError`].
pub fn counts(rows: &dyn Rows) -> Result<(u64, u64), RowsError> {
    Ok((WAITING.count(rows)?, FAILED.count(rows)?))
}

/// At most `limit` of both kinds behind a position, oldest first, each with its position.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows, behind: u64, limit: usize) -> Result<Vec<(u64, Message)>, RowsError> {
    let Some(from) = behind.checked_add(1) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for list in LISTS {
        found.extend(list.scan(rows, from..=u64::MAX, Direction::Ascending, limit)?);
    }
    found.sort_unstable_by_key(|(position, _)| *position);
    found.truncate(limit);
    let mut messages = Vec::with_capacity(found.len());
    for (_, id) in found {
        messages.extend(history::get(rows, &id)?);
    }
    Ok(messages)
}
