//! The daemon of one account: keeps its keys, sessions and history, holds the connection to the
//! server, and offers everything on a local socket. The binary is a thin shell around this library.
//!
//! Where to look, in the order in which a process lives:
//!
//! ```text
//! cli, config        what the process was told, and what that comes to; reload reads it again
//! run                beginning and end: which things start after which, and how they stop
//! dirs, store        the data directory and its lock; rows, each value sealed; search in memory
//! keys, account      the device's .pem files; register, log in, reset, leave
//! link               the one connection to the server, dialled again whenever it ends
//! daemon             the loop that owns every write (daemon/run, daemon/batch), and a method's work (daemon/methods)
//! engine             what is decided, without I/O: the crate chat-engine below this folder
//! api                what the socket side may ask of the daemon
//! rpc, listeners         JSON-RPC over socket, pipes and loopback port: who calls, may they, in which order
//! metrics, service   what is counted; what the service manager hears
//! ```
//!
//! Arrows point from the socket to the loop and from the loop to engine, store and link: `rpc ─▶ api ◀─ daemon ─▶
//! engine`. Nothing below `rpc` knows JSON-RPC, nothing in `engine` knows tokio or `SQLite`.

pub mod account;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dirs;
mod documents;
#[cfg(feature = "fixtures")]
pub mod fixtures;
pub mod keys;
pub mod link;
mod listeners;
pub mod metrics;
mod reload;
pub mod report;
pub mod rpc;
pub mod run;
mod service;
pub mod store;

pub use chat_engine as engine;
