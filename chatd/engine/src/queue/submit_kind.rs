//! What goes to the server as one request, and what for.

use chat_protocol::ids::{DeviceId, MessageId, SubmitId, Username};
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::queue::item::{Item, Number};
use crate::queue::own_receipts::PendingOwnReceipt;

/// What a pending submit carries, for when it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum SubmitKind {
    /// A private message.
    #[n(0)]
    Message(#[n(0)] Item),
    /// A post in the public room.
    #[n(1)]
    Post(#[n(0)] MessageId),
    /// A receipt or heartbeat for one device, and up to where it says that was read.
    #[n(2)]
    Receipt(#[n(0)] Username, #[n(1)] DeviceId, #[n(2)] Option<Number>),
    /// What this account says of itself, for one device.
    #[n(3)]
    Profile(#[n(0)] Username, #[n(1)] DeviceId),
    /// What one device lacks of an account log.
    #[n(4)]
    Log(#[n(0)] Username, #[n(1)] DeviceId),
    /// What is owed to another own device.
    #[n(5)]
    OwnDevice(#[n(0)] PendingOwnReceipt),
    /// The reset that begins a new session with one device.
    #[n(6)]
    Reset(#[n(0)] Username, #[n(1)] DeviceId),
}

impl SubmitKind {
    /// The one device it goes to, unless it is a message or a post.
    pub(crate) const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Message(_) | Self::Post(_) => None,
            Self::Receipt(_, device, _) | Self::Profile(_, device) | Self::Log(_, device) | Self::Reset(_, device) => {
                Some(device)
            }
            Self::OwnDevice(owed) => Some(&owed.device),
        }
    }

    /// The same for a single one of the devices it goes to.
    pub(crate) fn only_for(&self, device: &DeviceId) -> Self {
        match self {
            Self::Message(item) => Self::Message(Item { only: Some(*device), ..item.clone() }),
            // everything else goes to one anyway
            other => other.clone(),
        }
    }
}

/// Bytes under way.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct PendingSubmit {
    #[n(0)]
    pub(crate) submit_id: SubmitId,
    /// Request type.
    #[n(1)]
    pub(crate) number: u16,
    /// The request, exactly as it is sent every time.
    #[n(2)]
    pub(crate) payload: Blob,
    #[n(3)]
    pub(crate) kind: SubmitKind,
    /// Not before.
    #[n(4)]
    pub(crate) after: Timestamp,
    /// How often the server put it off.
    #[n(5)]
    pub(crate) put_off: u32,
}

impl PendingSubmit {
    pub(crate) fn new(submit_id: SubmitId, number: u16, payload: Vec<u8>, kind: SubmitKind) -> Self {
        Self { submit_id, number, payload: payload.into(), kind, after: Timestamp::ZERO, put_off: 0 }
    }
}
