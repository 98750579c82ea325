//! The daemon of one account: keeps its keys, sessions and history, holds the connection to the
//! server, and offers everything on a local socket. The binary is a thin shell around this library.

pub mod account;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dirs;
pub mod keys;
pub mod link;
pub mod process;
pub mod report;
pub mod rpc;
pub mod store;
