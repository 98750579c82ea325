//! The daemon of one account: keeps its keys, sessions and history, holds the connection to the
//! server, and offers everything on a local socket. The binary is a thin shell around this library.

#![allow(clippy::disallowed_methods, reason = "what chatd/clippy.toml lists is forbidden in the engine alone")]

pub mod account;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dirs;
mod documents;
mod doors;
pub mod engine;
pub mod keys;
pub mod link;
pub mod metrics;
pub mod process;
mod reload;
pub mod report;
pub mod rpc;
pub mod run;
mod service;
pub mod store;
