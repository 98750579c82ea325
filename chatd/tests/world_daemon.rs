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

#[path = "rpc/contract.rs"]
mod contract;
#[path = "daemon/examples.rs"]
mod examples;
#[path = "daemon/house.rs"]
mod house;
#[path = "daemon/messages.rs"]
mod messages;
#[path = "daemon/outbox.rs"]
mod outbox;
#[path = "daemon/pages.rs"]
mod pages;
#[path = "daemon/standing.rs"]
mod standing;
