//! Takes back what another device of the account sealed here before this one.

use crate::queue::{mailbox_full, outbox};
use crate::rows::outbox::Item;
use crate::rows::outbox::SubmitKind;
use crate::rows::{DEFERRED, IN_FLIGHT};
use crate::store::RowsError;
use crate::txn::Txn;

/// Takes back what another device sealed: messages are sealed again, posts need no sealing, and the rest is pending anew.
pub(crate) fn withdraw_foreign_submits(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    for submits in [&IN_FLIGHT, &DEFERRED] {
        for pending in submits.all(txn.rows)? {
            if matches!(pending.kind, SubmitKind::Post(_)) {
                continue;
            }
            submits.delete(txn.rows, &pending.submit_id)?;
            mailbox_full::completed(txn, &pending)?;
            if let SubmitKind::Message(item) = pending.kind {
                // the others have what goes again to a single device, under its number
                let number = item.number.filter(|_| item.only.is_some());
                outbox::put_back(txn, &Item { number, ..item })?;
            }
        }
    }
    Ok(())
}
