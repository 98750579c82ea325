//! Accounts, devices and end-to-end sessions: promises, attacks and frozen vectors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod allocations;
mod checks;
mod common;
mod content;
mod explore;
mod group_content;
mod groups;
mod hostile_keys;
mod identity;
mod logs;
mod manager;
mod oracle;
mod ratchet;
mod start;
mod vectors;
mod wycheproof;
