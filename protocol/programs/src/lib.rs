//! What the programs have in common besides the protocol: their settings, how they log, whose files they use, how they tell
//! the time, what a service manager hears of them, how they use SQLite, what steps back behind other work, and the
//! completions and manual pages that are made from their command lines. A file each.
//!
//! Other than the protocol this touches the machine, which is why it is a crate of its own.

pub mod clock;
pub mod documents;
pub mod log;
pub mod named;
pub mod patient;
pub mod priority;
pub mod private;
pub mod process;
#[cfg(feature = "service")]
pub mod service;
pub mod settings;
#[cfg(feature = "sqlite")]
pub mod sqlite;
