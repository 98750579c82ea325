//! Keeps accounts and mailboxes for end-to-end encrypted chat, and can read no private message.
//!
//! ```text
//! transport ──▶ session ──▶ store
//!     ▲            │          ▲
//!     └── router ◀─┴▶ mailbox ┘
//! ```
//!
//! [`serve`] starts and ends it. Bytes meet sockets in `transport` alone; `session` holds one peer and
//! decides what it may; [`router`] knows who is online; [`mailbox`] commits what is submitted, together
//! with whatever else waits, before anybody hears of it; [`store`] keeps every row, and no SQL leaves
//! it. The server verifies who speaks, and nothing of what is said. `README.md` beside this crate says
//! what it guarantees and how it fails.

pub mod admin;
pub mod archive;
pub mod cli;
pub mod clock;
pub mod config;
pub mod counters;
mod descriptors;
pub mod failure;
#[cfg(feature = "fixtures")]
pub mod fixtures;
pub mod limits;
pub mod mailbox;
mod metrics;
pub mod password;
pub mod private;
pub mod router;
pub mod rules;
pub mod serve;
mod service;
mod session;
mod shared;
pub mod shutdown;
pub mod status;
pub mod store;
mod transport;
pub mod work;
