//! The daemon's local JSON-RPC socket: one definition for chatd, chatctl, bots and the document.
//!
//! A call is a type: its parameters implement [`Method`], which says everything of it: its name and answer, whether
//! calls of one connection keep their order, who may make it, what can go wrong, and an example. Parameters refuse unknown keys; answers and
//! events only grow within API version 1, and readers ignore what they do not know.

pub mod access;
#[cfg(feature = "rpc-client")]
pub mod client;
#[cfg(feature = "contract")]
pub mod contract;
mod define;
pub mod errors;
pub mod events;
pub mod method;
pub mod methods;
pub mod name;
pub mod openrpc;
pub mod paths;
pub mod secret;
pub mod target;
pub mod types;
mod values;
pub mod written;

pub use crate::limits::{MAX_BATCH, MAX_LINE_BYTES};
pub use access::{Scope, Subject};
pub use errors::{Kind, RpcError};
pub use events::{Event, EventBody, Notified};
pub use method::{Concurrency, Example, Handle, Method};
pub use methods::Methods;
pub use name::Name;
pub use secret::Secret;
pub use target::{ChatId, Target};
pub use written::WrittenEvent;

/// Version of this API, as `hello` names it.
pub const API_VERSION: &str = "1";
/// Method of every notification the daemon sends.
pub const EVENT_NOTIFICATION: &str = "event";
