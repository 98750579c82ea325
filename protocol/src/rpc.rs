//! The daemon's local JSON-RPC socket: one definition for chatd, chatctl, bots and the document.
//!
//! A call is a type: its parameters implement [`Method`], which names the method, its answer and
//! whether calls of one connection keep their order. Parameters refuse unknown keys; answers and
//! events only grow within API version 1, and readers ignore what they do not know.

pub mod access;
#[cfg(feature = "rpc-client")]
pub mod client;
pub mod errors;
pub mod events;
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
pub enum Order {
    /// At once, beside the others.
    Free,
    /// After every earlier call of the connection that changes something.
    InTurn,
}

/// The parameters of a call.
pub trait Method: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// Name on the wire.
    const NAME: &'static str;
    /// See [`Order`].
    const ORDER: Order;
    /// Any of these opens it to a token; every token may make it if there is none.
    const SCOPES: &'static [Scope];
    /// What a success carries.
    type Answer: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync + 'static;

    /// What the call touches.
    fn subject(&self) -> Subject<'_> {
        Subject::Nothing
    }
}
