//! Mailboxes that had no room: what is tried again for one goes as it was sealed, once for each envelope, and whatever
//! comes after it waits with what the device lacks, or in line where nobody of the recipient's has room.

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::message::client::Submit;

use crate::rows::FULL_MAILBOXES;
use crate::rows::outbox::{PendingSubmit, SubmitKind};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Whether something waits for room in the mailbox of a device.
pub(crate) fn is_full(txn: &Txn<'_>, device: &DeviceId) -> Result<bool, RowsError> {
    Ok(!FULL_MAILBOXES.of(device).is_empty(txn.rows)?)
}

/// A pending submit waits for room in the mailboxes of all it goes to.
pub(crate) fn waits(txn: &mut Txn<'_>, pending: &PendingSubmit) -> Result<(), RowsError> {
    each(pending, |device, id| FULL_MAILBOXES.of(device).put(txn.rows, id, 0, &()))
}

/// Whether this pending submit waits for room.
pub(crate) fn has_waiting(rows: &dyn Rows, pending: &PendingSubmit) -> Result<bool, RowsError> {
    let mut waits = false;
    each(pending, |device, id| {
        waits |= FULL_MAILBOXES.of(device).has(rows, id)?;
        Ok(())
    })?;
    Ok(waits)
}

/// A pending submit waits no longer, whatever became of it.
pub(crate) fn completed(txn: &mut Txn<'_>, pending: &PendingSubmit) -> Result<(), RowsError> {
    if pending.put_off == 0 {
        return Ok(());
    }
    each(pending, |device, id| FULL_MAILBOXES.of(device).delete(txn.rows, id).map(drop))
}

/// Only messages hold up what comes after them: everything else has no order.
fn each(
    pending: &PendingSubmit,
    mut row: impl FnMut(&DeviceId, &SubmitId) -> Result<(), RowsError>,
) -> Result<(), RowsError> {
    let SubmitKind::Message(_) = pending.kind else { return Ok(()) };
    let Ok(submit) = cbor::decode::<Submit>(&pending.payload) else { return Ok(()) };
    submit.to.iter().try_for_each(|to| row(&to.device, &pending.submit_id))
}
