//! The server from outside: over its socket, by its command line, and each store by one contract for all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

mod admin;
mod adoption;
mod contract;
mod live;
mod rows;
mod statements;
mod stores;
mod support;
