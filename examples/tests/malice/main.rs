//! A server whose operator is the enemy, and real daemons that have to live with it.
//!
//! The server is the real one, in this process, over a store that lies: it speaks every byte of the protocol
//! as it should, and says what its operator wants. [`operator`] runs it, [`liar`] is the store, [`lies`] are
//! the values it tells. [`puppet`] is a device whose keys the test has: a peer, a thief, an account nobody
//! registered. The daemons are the programs as they are installed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "a story that cannot go on says why by panicking"
)]

mod cast;
mod liar;
mod lies;
mod operator;
mod puppet;

mod bundles;
mod devices;
mod dumps;
mod identities;
mod messages;
mod recordings;
mod siege;
mod starts;
mod states;
