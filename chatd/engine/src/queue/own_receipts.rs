//! What is owed to the own other devices: word of what arrived from them, and of what was read here.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::limits::MAX_ACKS;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::model::rows::{load, save};
use crate::queue::item::Number;
use crate::store::{Place, RowsError, Table};
use crate::txn::Txn;

/// Receipts to one device are gathered this long.
const COALESCE: Duration = Duration::from_millis(100);
pub(crate) const OWED: &[u8] = b"owed-own";

/// What is owed to another own device about one chat.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingOwnReceipt {
    #[n(0)]
    pub(crate) device: DeviceId,
    /// The peer of the chat, or the own account for notes to oneself.
    #[n(1)]
    pub(crate) peer: Username,
    /// Up to where each of the peer's devices was read.
    #[n(2)]
    pub(crate) reads: Vec<Read>,
    /// Not before.
    #[cbor(n(3), default)]
    pub(crate) after: Timestamp,
}

impl PendingOwnReceipt {
    /// What one receipt can say, and what another one has to.
    pub(crate) fn parts(&self) -> (Self, Option<Self>) {
        let (now, later) = self.reads.split_at(self.reads.len().min(MAX_ACKS));
        let with = |reads: &[Read]| Self { reads: reads.to_vec(), ..self.clone() };
        (with(now), (!later.is_empty()).then(|| with(later)))
    }
}

/// Up to where the messages of one device were read.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Read {
    #[n(0)]
    pub(crate) device: DeviceId,
    #[n(1)]
    pub(crate) number: Number,
}

pub(crate) fn key_of(device: &DeviceId, peer: &Username) -> Vec<u8> {
    [device.as_bytes().as_slice(), peer.as_str().as_bytes()].concat()
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
pub(crate) fn schedule_again(txn: &mut Txn<'_>, owed: &PendingOwnReceipt) -> Result<(), RowsError> {
    let key = key_of(&owed.device, &owed.peer);
    let known: Option<PendingOwnReceipt> = load(txn.rows, Place::new(Table::Outbox, OWED, &key))?;
    let mut all = known.unwrap_or_else(|| PendingOwnReceipt { reads: Vec::new(), ..owed.clone() });
    owed.reads.iter().for_each(|read| further(&mut all.reads, read));
    all.after = all.after.max(owed.after);
    let due = all.after.max(txn.now + COALESCE);
    txn.wake(due);
    save(txn.rows, Place::new(Table::Outbox, OWED, &key), due.as_millis(), &all)
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
    let key = key_of(device, peer);
    let place = Place::new(Table::Outbox, OWED, &key);
    match load::<PendingOwnReceipt>(txn.rows, place)? {
        Some(owed) if owed.reads.is_empty() => txn.rows.delete(place).map(drop),
        _ => Ok(()),
    }
}
