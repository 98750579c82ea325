//! What goes to the server as one request, and what for.

use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::time::Timestamp;

use crate::rows::outbox::{Item, PendingSubmit, SubmitKind};

impl SubmitKind {
    /// The one device it goes to, unless it is a message or a post.
    pub(crate) const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Message(_) | Self::Post(_) => None,
            Self::Receipt(_, device, _) | Self::Profile(_, device) | Self::Log(_, device) | Self::Reset(_, device) => {
                Some(device)
            }
            Self::OwnDevice(pending) => Some(&pending.device),
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

impl PendingSubmit {
    pub(crate) fn new(submit_id: SubmitId, number: u16, payload: Vec<u8>, kind: SubmitKind) -> Self {
        Self { submit_id, number, payload: payload.into(), kind, after: Timestamp::ZERO, put_off: 0 }
    }
}
