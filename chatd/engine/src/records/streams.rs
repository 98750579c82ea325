//! Where the conversation with one device of its author stands: the numbers awaited, and those given up.

use chat_protocol::ids::DeviceId;
use chat_protocol::session::content::SenderSeq;

use crate::rows::codec::Cbor;
use crate::rows::family::Family;
use crate::rows::held::{Buffered, BufferedOf, Stream, StreamId};
use crate::rows::{BUFFERED, STREAMS, WAITING_STREAMS};
use crate::store::RowsError;
use crate::txn::Txn;

impl Stream {
    /// Nothing of its epoch has come yet.
    pub(crate) fn begun(seq: &SenderSeq) -> Self {
        Self { epoch: seq.epoch, next: seq.first(), given_up: Vec::new() }
    }
}

impl StreamId {
    /// What waits of it, by its numbers.
    pub(crate) fn buffered(&self) -> Family<u64, Cbor<Buffered>> {
        BUFFERED.of(&(self.device, self.chat.clone()))
    }

    /// Its key among those in which something waits.
    pub(crate) fn key(&self) -> BufferedOf {
        BufferedOf(self.device, self.chat.clone())
    }
}

/// Streams in which something waits for what its author said before.
pub(crate) fn waiting(txn: &Txn<'_>) -> Result<Vec<StreamId>, RowsError> {
    WAITING_STREAMS.all(txn.rows)
}

/// How the conversation with each device of a chat's author stands, for acknowledgements.
pub(crate) fn stream(txn: &Txn<'_>, chat: &str, device: &DeviceId) -> Result<Option<Stream>, RowsError> {
    STREAMS.of(chat).get(txn.rows, device)
}
