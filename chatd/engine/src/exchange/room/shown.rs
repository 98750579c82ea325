//! Which posts were taken, under whatever number; and as what the own ones were sent.
//!
//! That is known for good: how long a server keeps posts is its own affair, and what it shows again must not come as new.

use chat_protocol::ids::{MessageId, SubmitId};
use chat_protocol::time::Timestamp;

use crate::rows::{POSTS_SENT, POSTS_SHOWN};
use crate::store::{Rows, RowsError};

/// A post is taken.
pub(super) fn mark_shown(rows: &mut dyn Rows, id: &MessageId, now: Timestamp) -> Result<(), RowsError> {
    POSTS_SHOWN.put(rows, id, now.as_millis(), &())
}

/// Whether it was taken before.
pub(super) fn is_known(rows: &dyn Rows, id: &MessageId) -> Result<bool, RowsError> {
    POSTS_SHOWN.has(rows, id)
}

/// An own message goes to the room under a submit.
pub(super) fn sent(rows: &mut dyn Rows, submit: &SubmitId, id: &MessageId, now: Timestamp) -> Result<(), RowsError> {
    POSTS_SENT.put(rows, submit, now.as_millis(), id)
}

/// The message that a submit of this device carried.
pub(super) fn sent_as(rows: &dyn Rows, submit: &SubmitId) -> Result<Option<MessageId>, RowsError> {
    POSTS_SENT.get(rows, submit)
}
