//! The real server over real TCP, asked by a small client that can also misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

#[path = "live/accounts.rs"]
mod accounts;
#[path = "live/attacks.rs"]
mod attacks;
#[path = "live/client.rs"]
mod client;
#[path = "live/database.rs"]
mod database;
#[path = "live/devices.rs"]
mod devices;
#[path = "live/mailboxes.rs"]
mod mailboxes;
#[path = "support/mariadb.rs"]
mod mariadb;
#[path = "live/reload.rs"]
mod reload;
#[path = "live/restored.rs"]
mod restored;
#[path = "live/room.rs"]
mod room;
#[path = "live/status.rs"]
mod status;
#[path = "live/world.rs"]
mod world;
