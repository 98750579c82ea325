//! What the daemon is asked to do once the rows are committed.

use std::sync::Arc;

use chat_protocol::ids::Username;
use chat_protocol::session::init::Init;

/// Something to be done once the rows are committed, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a request on the present connection; dropped if that is gone.
    Request {
        /// Id the answer will carry.
        id: u64,
        /// Request type.
        number: u16,
        /// CBOR.
        payload: Vec<u8>,
    },
    /// Open an RSA share and hand in the result, canonical or replaced, as `Input::ShareOpened`.
    OpenShare {
        /// Which.
        job: u64,
        /// What carries it.
        init: Arc<Init>,
    },
    /// Count something that was stored.
    Count(Counted),
    /// Tell whoever listens now who came and who went.
    Presence {
        /// Now online.
        online: Vec<Username>,
        /// Now offline.
        offline: Vec<Username>,
    },
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// An event of this type was appended to the log.
    Event(&'static str),
    /// An own message entered the history.
    Sent,
    /// A message of somebody else did.
    Received,
    /// A message could not be opened.
    Undecryptable,
}
