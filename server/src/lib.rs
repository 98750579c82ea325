//! Keeps accounts and mailboxes for end-to-end encrypted chat, and can read no private message.

pub mod clock;
pub mod config;
pub mod counters;
pub mod limits;
pub mod mailbox;
pub mod password;
pub mod router;
pub mod serve;
mod session;
pub mod shutdown;
pub mod store;
mod transport;
pub mod work;
