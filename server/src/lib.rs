//! Keeps accounts and mailboxes for end-to-end encrypted chat, and can read no private message.

pub mod config;
pub mod mailbox;
pub mod store;
