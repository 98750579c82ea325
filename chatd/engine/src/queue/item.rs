//! A message or a change in line, and its number.

use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// The author's number of a message within one conversation: (epoch, n).
pub(crate) type Number = (u64, u64);

/// A private message that waits to be sealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Item {
    /// Position in the queue.
    #[n(0)]
    pub(crate) position: u64,
    /// Message it carries.
    #[n(1)]
    pub(crate) id: MessageId,
    /// Recipient.
    #[n(2)]
    pub(crate) to: Username,
    /// Given when it is sealed first; kept when it is sealed again.
    #[n(3)]
    pub(crate) number: Option<Number>,
    /// How often the server refused it as stale.
    #[n(4)]
    pub(crate) refused: u32,
    /// Not before.
    #[n(5)]
    pub(crate) after: Timestamp,
    /// The one device it goes to; absent for all of the recipient's and the own other ones.
    #[n(6)]
    pub(crate) only: Option<DeviceId>,
}
