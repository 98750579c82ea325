//! The daemon of one account: keeps its keys, sessions and history, holds the connection to the
//! server, and offers everything on a local socket. The binary is a thin shell around this library.

pub mod account;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dirs;
mod documents;
mod doors;
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

pub use chat_engine as engine;
