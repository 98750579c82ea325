//! A stage for whole-system stories: real servers, daemons, command lines and databases.
//!
//! Everything a story starts lives in one temporary directory and in processes that end with the
//! story, also when it panics. Nothing here sleeps for a fixed time: waiting is always for a line,
//! an event or an end, with a [`DEADLINE`] that only a broken program reaches.
//!
//! This library depends on none of the programs: it knows what a user knows, their names, their
//! options and the socket. They must be built already (`make test` does that). Only the tests in `tests/malice`,
//! where the server is one that lies, and in `tests/siege`, where members speak the protocol themselves, know more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "only tests use this package, and a story that cannot go on says why by panicking"
)]

pub mod backlog;
pub mod binaries;
pub mod chaos;
pub mod database;
pub mod disk;
pub mod documents;
pub mod footprint;
pub mod person;
pub mod process;
pub mod server;
pub mod socket;
pub mod stage;
pub mod terminal;
pub mod window;
pub mod wire;

use std::time::Duration;

/// Longest wait for anything. Far above what a slow machine under load needs.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub use database::Database;
pub use footprint::Footprint;
pub use person::Person;
pub use process::{Outcome, Process};
pub use server::Server;
pub use socket::{Refused, Socket};
pub use stage::Stage;
pub use terminal::Terminal;
pub use window::{Screen, Window};
