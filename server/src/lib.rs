//! Keeps accounts and mailboxes for end-to-end encrypted chat, and can read no private message.
//!
//! ```text
//! transport ──▶ session ──▶ store
//!     ▲            │          ▲
//!     └── router ◀─┴▶ mailbox ┘
//! ```
//!
//! [`serve`] starts and ends it. Bytes meet sockets in `transport` alone; `session` holds one peer, a struct
//! per state, and decides what it may; [`rules`] says what a submit deserves, [`limits`] how often; [`router`]
//! knows who is online; [`mailbox`] commits what is submitted, together with whatever else waits, before
//! anybody hears of it; [`store`] keeps every row, and no SQL leaves it. The server verifies who speaks, and
//! nothing of what is said. `README.md` beside this crate says what it guarantees and how it fails.
//!
//! Around that: [`config`] holds every setting with its reason, `shared` what the tasks have in common, [`work`]
//! the permits for CPU work such as [`password`] hashes, [`status`] what monitoring reads of [`counters`].
//! [`cli`] is what an operator can say, [`admin`] what it does, [`archive`] a backup, [`failure`] how it fails.

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
