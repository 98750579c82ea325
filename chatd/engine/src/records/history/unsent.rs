//! Own messages that wait, and those that ended without arriving: found without reading the history.
//!
//! Two lists of ids beside the messages. Whoever writes a message, or removes it, brings them up to it, so that they
//! cannot say anything else than the messages do.

use chat_protocol::ids::MessageId;

use crate::model::rows::decode;
use crate::records::history;
use crate::records::history::message::{Message, State};
use crate::store::{Direction, Place, Rows, RowsError, Table};

const WAITING: &[u8] = b"waiting";
const FAILED: &[u8] = b"failed";

fn place<'a>(list: &'a [u8], id: &'a MessageId) -> Place<'a> {
    Place::new(Table::Messages, list, id.as_bytes())
}

/// The list a message belongs to. What was sent again, or is deleted, needs nothing any more.
fn list_of(message: &Message) -> Option<&'static [u8]> {
    match message.state {
        State::Queued => Some(WAITING),
        State::Failed | State::NotReceived if !message.resent && !message.deleted => Some(FAILED),
        _ => None,
    }
}

/// Brings the lists up to a message that is being written.
pub(crate) fn note(rows: &mut dyn Rows, position: u64, message: &Message) -> Result<(), RowsError> {
    if !message.mine {
        return Ok(());
    }
    let belongs = list_of(message);
    for list in [WAITING, FAILED] {
        if belongs == Some(list) {
            rows.put(place(list, &message.id), position, &chat_protocol::cbor::encode(&message.id))?;
        } else {
            rows.delete(place(list, &message.id))?;
        }
    }
    Ok(())
}

/// A message is gone for good.
pub(crate) fn forget(rows: &mut dyn Rows, id: &MessageId) -> Result<(), RowsError> {
    [WAITING, FAILED].into_iter().try_for_each(|list| rows.delete(place(list, id)).map(drop))
}

/// How many wait, and how many did not arrive.
///
/// # Errors
/// [`RowsError`].
pub fn counts(rows: &dyn Rows) -> Result<(u64, u64), RowsError> {
    Ok((rows.count(Table::Messages, WAITING)?, rows.count(Table::Messages, FAILED)?))
}

/// At most `limit` of both kinds behind a position, oldest first, each with its position.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows, behind: u64, limit: usize) -> Result<Vec<(u64, Message)>, RowsError> {
    let Some(from) = behind.checked_add(1) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for list in [WAITING, FAILED] {
        found.extend(rows.scan(Table::Messages, list, from..=u64::MAX, Direction::Ascending, limit)?);
    }
    found.sort_unstable_by_key(|(position, _)| *position);
    found.truncate(limit);
    let mut messages = Vec::with_capacity(found.len());
    for (_, id) in found {
        messages.extend(history::get(rows, &decode(Table::Messages, &id)?)?);
    }
    Ok(messages)
}
