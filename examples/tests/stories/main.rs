//! Stories over real processes: what people see, from the command line to the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a story that cannot go on says why by panicking"
)]

mod backlog;
mod backups;
mod benchmarks;
mod bots;
mod callers;
mod chaos;
mod chat;
mod connections;
mod consumers;
mod crashes;
mod databases;
mod devices;
mod disks;
mod documents;
mod examples;
mod floods;
mod keys;
mod logs;
mod places;
mod protocol;
mod refusals;
mod rollback;
mod secrets;
mod sending;
mod services;
mod syncs;
mod talks;
mod upgrades;
mod window;
