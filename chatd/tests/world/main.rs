//! Stories about engines in a simulated world: the real one for a server, a bad network, a fake clock, crashes.
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
mod again;
mod ahead;
mod allocations;
mod attacks;
mod changes;
mod chaos;
mod clocks;
mod contacts;
mod cost;
mod crowds;
mod devices;
mod disk;
mod expiry;
mod first_numbers;
mod forgeries;
mod forks;
mod hardships;
mod held;
mod honest;
mod identities;
mod inits;
mod late;
mod lies;
mod log;
mod logs;
mod messages;
mod month;
mod motion;
mod names;
mod network;
mod node;
mod own_devices;
mod passes;
mod people;
mod prekeys;
mod profiles;
mod promises;
mod queues;
mod refused;
mod requests;
mod restored;
mod rollback;
mod room;
mod schedule;
mod schedules;
mod server;
mod shrink;
mod stage;
mod stolen;
mod tables;
mod timers;
mod tokens;
mod views;
mod weather;
mod withheld;
mod world;
