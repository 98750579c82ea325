//! Whole daemons over sealed stores, against the real server: what the socket offers, end to end.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod examples;
mod house;
mod messages;
mod outbox;
mod pages;
mod standing;
