//! One peer, as a struct per state.
//!
//! ```text
//! Handshaking ──answer──▶ Guest ──login · enrol · reset──▶ Ready ──▶ Closing
//!      │                    │ register (stays)               │ everything else (stays)
//!      ╰─ closed, no byte   ╰─ too many refusals ──────────▶ Closing
//! ```
//!
//! A guest may only become somebody; a ready peer is one device of one account and is believed to be
//! nothing else: `from` and `from_device` of whatever it sends are its own. Requests of one
//! connection are begun in order; submits, posts and acknowledgements wait for their commit without
//! holding up the next request, up to a bound.

mod account;
mod account_log;
mod asked;
mod delivery;
mod guest;
mod handshaking;
mod messaging;
mod notary;
mod people;
mod proof;
mod ready;
mod room;
pub(crate) mod seen;
mod waiting;

use chat_protocol::frame::{Frame, FrameKind};
use chat_protocol::message::client::Request;

pub(crate) use asked::Asked;
use asked::unreadable;
pub(crate) use guest::Guest;
pub(crate) use handshaking::{Handshaking, Welcomed};
#[cfg(feature = "fixtures")]
pub(crate) use ready::PeerContext;
pub(crate) use ready::Ready;

use crate::counters::Closed;

/// A peer after its handshake.
pub(crate) enum Peer {
    /// Nobody yet.
    Guest(Guest),
    /// A device of an account.
    Ready(Ready),
    /// Gone, for this reason.
    Closing(Closed),
}

impl Peer {
    /// Takes the next frame. Only requests come from clients; the type decides which answer they get.
    pub(crate) async fn take(self, frame: Frame) -> Self {
        if frame.kind != FrameKind::Request {
            return Self::Closing(Closed::Malformed);
        }
        let asked = Asked { id: frame.id, number: frame.number };
        let request = Request::decode(frame.number, &frame.payload).map_err(unreadable);
        match self {
            Self::Guest(guest) => guest.take(asked, request).await,
            Self::Ready(ready) => ready.take(asked, request).await,
            closing @ Self::Closing(_) => closing,
        }
    }

    /// Waits until everything the peer asked is answered, as far as the answer is in the outbox.
    pub(crate) async fn settle(self) {
        if let Self::Ready(ready) = self {
            ready.settle().await;
        }
    }
}
