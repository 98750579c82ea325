//! The transport as client and server see it: handshake, records, frames, and those who attack them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod allocations;
mod attacks;
mod connection;
mod corpus;
mod handshakes;
mod messages;
mod numbers;
mod oracle;
mod records;
mod vectors;
