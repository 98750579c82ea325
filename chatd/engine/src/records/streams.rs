//! Where the conversation with one device of its author stands: the numbers awaited, and those given up.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::session::content::SenderSeq;
use minicbor::{Decode, Encode};

use crate::model::rows::{decode, load};
use crate::store::{Direction, Place, RowsError, Table};
use crate::txn::Txn;

/// Where the conversation with one device of its author stands.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Stream {
    /// Changes when the author's state was lost.
    #[n(0)]
    pub(crate) epoch: u64,
    /// The number awaited.
    #[n(1)]
    pub(crate) next: u64,
    /// The highest numbers given up, ascending.
    #[n(2)]
    pub(crate) given_up: Vec<u64>,
}

impl Stream {
    /// Nothing of its epoch has come yet.
    pub(crate) fn begun(seq: &SenderSeq) -> Self {
        Self { epoch: seq.epoch, next: seq.first(), given_up: Vec::new() }
    }
}

/// Names a stream: the chat and the author's device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct StreamId {
    #[n(0)]
    pub(crate) chat: String,
    #[n(1)]
    pub(crate) user: Username,
    #[n(2)]
    pub(crate) device: DeviceId,
}

impl StreamId {
    pub(crate) fn stream_scope(&self) -> Vec<u8> {
        stream_scope(&self.chat)
    }

    pub(crate) fn buffered_scope(&self) -> Vec<u8> {
        [b"early:".as_slice(), self.device.as_bytes(), self.chat.as_bytes()].concat()
    }
}

/// Streams in which something waits for what its author said before.
pub(crate) fn waiting(txn: &Txn<'_>) -> Result<Vec<StreamId>, RowsError> {
    let found = txn.rows.scan(Table::Held, b"waiting", 0..=u64::MAX, Direction::Ascending, usize::MAX)?;
    found.iter().map(|(_, bytes)| decode(Table::Held, bytes)).collect()
}

fn stream_scope(chat: &str) -> Vec<u8> {
    [b"line:", chat.as_bytes()].concat()
}

/// How the conversation with each device of a chat's author stands, for acknowledgements.
pub(crate) fn stream(txn: &Txn<'_>, chat: &str, device: &DeviceId) -> Result<Option<Stream>, RowsError> {
    load(txn.rows, Place::new(Table::Held, &stream_scope(chat), device.as_bytes()))
}
