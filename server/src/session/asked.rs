//! A request as it came, and the frames that answer it.

use bytes::Bytes;
use chat_protocol::frame::Frame;
use chat_protocol::message::Done;
use chat_protocol::message::client::RequestError;
use chat_protocol::message::server::{Code, Refusal};
use minicbor::Encode;

use crate::limits::TooOften;
use crate::router;

/// What is answered to a request that cannot be read.
pub(super) fn unreadable(error: RequestError) -> Refusal {
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
        // whoever waits by a clock of whole milliseconds is not to come too early
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(2);
        Self { retry_after_ms: Some(millis), ..Self::new(Code::RateLimited) }
    }
}

/// A request that breaks a rule.
pub(super) fn bad_request() -> Refusal {
    Code::BadRequest.into()
}
