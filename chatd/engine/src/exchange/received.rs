//! What a session opened, read: the one place where contents are decoded.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::Blob;
use chat_protocol::session::content::{Body, Content};
use zeroize::Zeroizing;

use crate::sessions::{self, Committed, Control, Opening};
use crate::store::RowsError;
use crate::txn::Txn;

/// What an envelope contained, and from whom it is.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) user: Username,
    pub(crate) device: DeviceId,
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    /// What the plaintext says, until somebody takes it; `None` if it makes no sense.
    pub(crate) content: Option<Content>,
}

/// Reads a message that was opened, and stores what opening it has changed.
pub(crate) fn receive(txn: &mut Txn<'_>, opening: Opening) -> Result<Received, RowsError> {
    let content = Content::decode(opening.plaintext()).ok();
    let control = match content.as_ref().map(|content| &content.body) {
        Some(Body::Heartbeat) => Control::Heartbeat,
        Some(Body::Reset) => Control::Reset,
        _ => Control::None,
    };
    let Committed { user, device, plaintext } = sessions::commit(txn, opening, control)?;
    Ok(Received { user, device, plaintext, content })
}

/// Reads what was opened before, and waited.
pub(crate) fn waited(user: Username, device: DeviceId, plaintext: Blob) -> Received {
    let content = Content::decode(&plaintext).ok();
    Received { user, device, plaintext: plaintext.0.into(), content }
}
