//! What the user has: messages, events, contacts, settings, timers; each kept by one file, told as it changes.

pub(crate) mod changes;
pub mod chats;
pub mod consumers;
pub(crate) mod contacts;
pub(crate) mod counted;
pub(crate) mod device_tables;
pub(crate) mod early_changes;
pub(crate) mod early_deletions;
pub mod events;
pub mod history;
pub mod kv;
pub(crate) mod mailbox;
pub(crate) mod pins;
pub(crate) mod profile;
pub(crate) mod requests;
pub(crate) mod retention;
pub(crate) mod seen;
pub mod settings;
pub(crate) mod streams;
pub(crate) mod timers;
pub mod tokens;
pub mod view;
pub(crate) mod waiting_inits;
