//! Takes back what another device of the account sealed here before this one.

use crate::model::rows::decode;
use crate::queue::item::Item;
use crate::queue::pending_submits::{DEFERRED, SCOPE};
use crate::queue::submit_kind::{PendingSubmit, SubmitKind};
use crate::queue::{mailbox_full, outbox};
use crate::store::{Direction, Place, RowsError, Table};
use crate::txn::Txn;

/// Takes back what another device sealed: messages are sealed again, posts need no sealing, and the rest is owed anew.
pub(crate) fn recall(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    for scope in [SCOPE, DEFERRED] {
        for (_, bytes) in txn.rows.scan(Table::Submits, scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
            let pending: PendingSubmit = decode(Table::Submits, &bytes)?;
            if matches!(pending.kind, SubmitKind::Post(_)) {
                continue;
            }
            txn.rows.delete(Place::new(Table::Submits, scope, pending.submit_id.as_bytes()))?;
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
