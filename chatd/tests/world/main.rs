//! Stories about engines in a simulated world: a toy server, a bad network, a fake clock, crashes.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod accounts;
mod attacks;
mod changes;
mod chaos;
mod contacts;
mod devices;
mod forgeries;
mod identities;
mod log;
mod logs;
mod messages;
mod motion;
mod profiles;
mod rollback;
mod room;
mod server;
mod timers;
mod tokens;
mod world;
