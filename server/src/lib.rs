//! Keeps accounts and mailboxes for end-to-end encrypted chat, and can read no private message.

pub mod config;
pub mod counters;
pub mod limits;
pub mod mailbox;
pub mod router;
pub mod store;
pub mod work;
