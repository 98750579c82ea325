//! What the daemon stands on, piece by piece: store, keys, link and account.
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

mod account;
mod keys;
mod link;
mod server;
mod store;
mod toy;
mod versions;
mod waiting;
