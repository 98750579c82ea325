//! Posts of the public room: in a line, of which only the first is under way.
//!
//! The room has the order in which the server took the posts, and nothing in a post would let a reader mend it. So
//! none may overtake one that was put off, or whose answer was lost with its connection.

use chat_protocol::cbor;
use chat_protocol::ids::{MessageId, SubmitId};
use chat_protocol::message::Call;
use chat_protocol::message::client::RoomPost;

use crate::queue::pending_submits;
use crate::queue::queue_len;
use crate::rows::POSTS;
use crate::rows::outbox::{PendingSubmit, SubmitKind};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Puts a post in line, and under way if none is before it.
pub(crate) fn post(txn: &mut Txn<'_>, id: MessageId, text: &str) -> Result<SubmitId, RowsError> {
    let submit_id = pending_submits::next_submit_id(txn)?;
    let payload = cbor::encode(&RoomPost { submit_id, text: text.to_owned() });
    let pending = PendingSubmit::new(submit_id, RoomPost::TYPE, payload, SubmitKind::Post(id));
    let first = !any(txn.rows)?;
    queue_len::join(txn, &POSTS, (&submit_id, submit_id.counter()), &pending)?;
    if first {
        pending_submits::submit(txn, pending)?;
    }
    Ok(submit_id)
}

/// The first post was answered for good: the next one leaves.
pub(crate) fn completed(txn: &mut Txn<'_>, id: &SubmitId) -> Result<(), RowsError> {
    if !queue_len::leave(txn, &POSTS, id)? {
        return Ok(());
    }
    match POSTS.first(txn.rows)? {
        Some((_, pending)) => pending_submits::submit(txn, pending),
        None => Ok(()),
    }
}

/// Whether any post is in line, the first of which is under way.
pub(crate) fn any(rows: &dyn Rows) -> Result<bool, RowsError> {
    Ok(!POSTS.is_empty(rows)?)
}
