//! Which posts were taken, under whatever number; and as what the own ones were sent.
//!
//! That is known for good: how long a server keeps posts is its own affair, and what it shows again must not come as new.

use chat_protocol::ids::{MessageId, SubmitId};
use chat_protocol::time::Timestamp;

use crate::store::{Place, Rows, RowsError, Table};

/// Posts that were taken.
const TAKEN: &[u8] = b"shown";
/// Own ones, by the submit that carries them.
const SENT: &[u8] = b"posts";

fn place(id: &MessageId) -> Place<'_> {
    Place::new(Table::Room, TAKEN, id.as_bytes())
}

/// A post is taken.
pub(super) fn note(rows: &mut dyn Rows, id: &MessageId, now: Timestamp) -> Result<(), RowsError> {
    rows.put(place(id), now.as_millis(), &[])
}

/// Whether it was taken before.
pub(super) fn is_known(rows: &dyn Rows, id: &MessageId) -> Result<bool, RowsError> {
    Ok(rows.get(place(id))?.is_some())
}

/// An own message goes to the room under a submit.
pub(super) fn sent(rows: &mut dyn Rows, submit: &SubmitId, id: &MessageId, now: Timestamp) -> Result<(), RowsError> {
    let place = Place::new(Table::Room, SENT, submit.as_bytes());
    rows.put(place, now.as_millis(), id.as_bytes())
}

/// The message that a submit of this device carried.
pub(super) fn sent_as(rows: &dyn Rows, submit: &SubmitId) -> Result<Option<MessageId>, RowsError> {
    let found = rows.get(Place::new(Table::Room, SENT, submit.as_bytes()))?;
    Ok(found.and_then(|id| MessageId::try_from(id.as_slice()).ok()))
}
