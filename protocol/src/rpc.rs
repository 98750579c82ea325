//! The daemon's local JSON-RPC socket: one definition for chatd, chatctl, bots and the document.
//!
//! A call is a type: its parameters implement [`Method`], which says everything of it: its name and answer, whether
//! calls of one connection keep their order, who may make it, what can go wrong, and an example. Parameters refuse unknown keys; answers and
//! events only grow within API version 1, and readers ignore what they do not know.

pub mod access;
#[cfg(feature = "rpc-client")]
pub mod client;
pub mod errors;
pub mod events;
pub mod methods;
pub mod name;
pub mod openrpc;
pub mod paths;
pub mod secret;
pub mod target;
pub mod types;
mod values;

pub use access::{Scope, Subject};
pub use errors::{Kind, RpcError};
pub use events::{Event, EventBody, Notified};
pub use methods::{Handle, Methods};
pub use name::Name;
pub use secret::Secret;
pub use target::{ChatId, Target};

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of this API, as `hello` names it.
pub const API_VERSION: &str = "1";
/// Longest line either side sends, newline not counted: 1 MiB. One message text is at most 60 KiB.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Most calls in one batch.
pub const MAX_BATCH: usize = 100;
/// Method of every notification the daemon sends.
pub const EVENT_NOTIFICATION: &str = "event";
/// When a call runs with respect to the other calls of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// At once, beside the others.
    Parallel,
    /// After every earlier call of the connection that changes something.
    Serial,
}

impl Concurrency {
    /// Its name in the document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Serial => "serial",
        }
    }
}

/// A call and its answer, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The parameters.
    pub params: &'static str,
    /// What a success carries.
    pub result: &'static str,
}

/// The parameters of a call.
pub trait Method: methods::Listed + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Name on the wire.
    const NAME: &'static str;
    /// See [`Concurrency`].
    const CONCURRENCY: Concurrency;
    /// Any of these opens it to a token; every token may make it if there is none.
    const SCOPES: &'static [Scope];
    /// What can go wrong, beyond what can with every call, and with every one that needs the network.
    const ERRORS: &'static [Kind];
    /// Whether it fails when the server cannot be reached.
    const NEEDS_NETWORK: bool;
    /// How it is used.
    const EXAMPLE: Example;
    /// What a success carries.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;

    /// What the call touches.
    fn subject(&self) -> Subject<'_> {
        Subject::Nothing
    }

    /// Every kind of error a call can have, in the order of their codes.
    #[must_use]
    fn kinds() -> Vec<Kind> {
        let network: &[Kind] = if Self::NEEDS_NETWORK { errors::NETWORK } else { &[] };
        let own = |kind: &Kind| [errors::ALWAYS, network, Self::ERRORS].iter().any(|kinds| kinds.contains(kind));
        Kind::ALL.iter().copied().filter(own).collect()
    }
}
