//! Pending receipts for the own other devices: word of what arrived from them, and of what was read here.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::limits::MAX_ACKS;
use chat_protocol::time::Timestamp;

use crate::queue::receipts::COALESCE;
use crate::rows::OWN_RECEIPTS;
use crate::rows::outbox::{PendingOwnReceipt, Read};
use crate::store::RowsError;
use crate::txn::Txn;

impl PendingOwnReceipt {
    /// What one receipt can say, and what another one has to.
    pub(crate) fn parts(&self) -> (Self, Option<Self>) {
        let (now, later) = self.reads.split_at(self.reads.len().min(MAX_ACKS));
        let with = |reads: &[Read]| Self { reads: reads.to_vec(), ..self.clone() };
        (with(now), (!later.is_empty()).then(|| with(later)))
    }
}

/// Notes that another own device is to hear what arrived from it, and perhaps what was read.
pub(crate) fn schedule(
    txn: &mut Txn<'_>,
    device: &DeviceId,
    peer: &Username,
    read: Option<&Read>,
) -> Result<(), RowsError> {
    let reads = read.into_iter().cloned().collect();
    schedule_again(txn, &PendingOwnReceipt { device: *device, peer: peer.clone(), reads, after: Timestamp::ZERO })
}

/// What was to be told is still to be told, along with whatever else is by now.
pub(crate) fn schedule_again(txn: &mut Txn<'_>, pending: &PendingOwnReceipt) -> Result<(), RowsError> {
    let key = (pending.device, pending.peer.clone());
    let known = OWN_RECEIPTS.get(txn.rows, &key)?;
    let mut all = known.unwrap_or_else(|| PendingOwnReceipt { reads: Vec::new(), ..pending.clone() });
    pending.reads.iter().for_each(|read| further(&mut all.reads, read));
    all.after = all.after.max(pending.after);
    let due = all.after.max(txn.now + COALESCE);
    txn.wake(due);
    OWN_RECEIPTS.put(txn.rows, &key, due.as_millis(), &all)
}

/// Of what was read the highest number of each device counts.
fn further(reads: &mut Vec<Read>, read: &Read) {
    match reads.iter_mut().find(|known| known.device == read.device) {
        Some(known) => known.number = known.number.max(read.number),
        None => reads.push(read.clone()),
    }
}

/// A content to another own device tells what arrived from it; what was read has to wait for a receipt.
pub(crate) fn told_with_content(txn: &mut Txn<'_>, device: &DeviceId, peer: &Username) -> Result<(), RowsError> {
    let key = (*device, peer.clone());
    match OWN_RECEIPTS.get(txn.rows, &key)? {
        Some(pending) if pending.reads.is_empty() => OWN_RECEIPTS.delete(txn.rows, &key).map(drop),
        _ => Ok(()),
    }
}
