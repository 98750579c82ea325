//! What happened.

use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

/// An event as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct KeptEvent {
    /// The whole event as JSON: so the first version wrote it.
    #[n(0)]
    pub(crate) json: Option<String>,
    /// When it happened, in time that was seen to pass.
    #[n(1)]
    pub(crate) at: Timestamp,
    #[n(2)]
    pub(crate) written: Option<Written>,
    /// Bytes of all events up to this one, also of those that went. Absent where older programs wrote it.
    #[n(3)]
    pub(crate) total: Option<u64>,
}

impl KeptEvent {
    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> u64 {
        /// Times, lengths, and what the store adds to a row.
        const BESIDE: usize = 128;
        let written = self.written.as_ref();
        let written = written.map_or(0, |it| it.data.len() + it.kind.len() + it.chat.as_ref().map_or(0, String::len));
        (written + self.json.as_ref().map_or(0, String::len) + BESIDE) as u64
    }
}

/// An event and, beside its text, what its readers choose it by.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Written {
    /// When it happened, by the clock.
    #[n(0)]
    pub(crate) time_ms: u64,
    #[n(1)]
    pub(crate) kind: String,
    #[n(2)]
    pub(crate) chat: Option<String>,
    #[n(3)]
    pub(crate) outgoing: bool,
    /// What it carries, as JSON.
    #[n(4)]
    pub(crate) data: String,
}
