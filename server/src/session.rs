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
mod delivery;
mod guest;
mod handshaking;
mod messaging;
mod people;
mod proof;
mod ready;
mod room;
pub(crate) mod seen;
mod waiting;

use bytes::Bytes;
use chat_protocol::frame::{Frame, FrameKind};
use chat_protocol::message::Done;
use chat_protocol::message::client::{Request, RequestError};
use chat_protocol::message::server::{Code, Refusal};
use minicbor::Encode;

pub(crate) use guest::Guest;
pub(crate) use handshaking::{Handshaking, Welcomed};
pub(crate) use ready::{Door, Ready};
pub(crate) use waiting::Acceptances;

use crate::counters::Closed;
use crate::limits::TooOften;
use crate::router;

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

    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    /// Waits until everything the peer asked is answered, as far as the answer is in the outbox.
    pub(crate) async fn settle(self) {
        if let Self::Ready(ready) = self {
            ready.settle().await;
        }
    }
}

fn unreadable(error: RequestError) -> Refusal {
    match error {
        RequestError::Unknown(_) => Code::Unsupported.into(),
        RequestError::Malformed(_) => Code::BadRequest.into(),
    }
}

/// A request that is to be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) id: u64,
    pub(crate) number: u16,
}

impl Asked {
    /// The frame that answers it.
    pub(crate) fn answer<A: Encode<()>>(self, result: &Result<A, Refusal>) -> Bytes {
        router::encode(&match result {
            Ok(answer) => Frame::ok(self.id, self.number, answer),
            Err(refusal) => Frame::error(self.id, self.number, refusal),
        })
    }

    /// The frame that refuses it.
    pub(crate) fn refuse(self, refusal: Refusal) -> Bytes {
        self.answer::<Done>(&Err(refusal))
    }
}

impl From<TooOften> for Refusal {
    fn from(TooOften(wait): TooOften) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self { retry_after_ms: Some(millis.max(1)), ..Self::new(Code::RateLimited) }
    }
}

/// A request that breaks a rule.
fn bad_request() -> Refusal {
    Code::BadRequest.into()
}
