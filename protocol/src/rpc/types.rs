//! Parameters and answers of every method.
//!
//! Times are milliseconds since the Unix epoch (`_ms`). Keys an answer does not need are left out.

pub(super) mod account;
pub(super) mod amends;
pub(super) mod chats;
pub(super) mod contacts;
pub(super) mod daemon;
pub(super) mod devices;
pub(super) mod done;
pub(super) mod events;
pub(super) mod exports;
pub(super) mod identity;
pub(super) mod kv;
pub(super) mod messages;
pub(super) mod people;
pub(super) mod profiles;
pub(super) mod reasons;
pub(super) mod requests;
pub(super) mod search;
pub(super) mod settings;
pub(super) mod tokens;

pub use account::*;
pub use amends::*;
pub use chats::*;
pub use contacts::*;
pub use daemon::*;
pub use devices::*;
pub use done::*;
pub use events::*;
pub use exports::*;
pub use identity::*;
pub use kv::*;
pub use messages::*;
pub use people::*;
pub use profiles::*;
pub use reasons::*;
pub use requests::*;
pub use search::*;
pub use settings::*;
pub use tokens::*;
