//! What both ends share: the wire between daemon and server, the end-to-end sessions between
//! daemons, and (feature `rpc`) the types of the daemon's local socket.
//!
//! With default features nothing here touches a socket, a file or a clock, and nothing panics on
//! bytes a stranger chose: callers hand in bytes, the time and randomness, and get values back.
//! `PROTOCOL.md` beside this crate describes every byte; a client in another language can be
//! written from it alone.
//!
//! From the wire inwards:
//!
//! ```text
//! limits ids time text      numbers, checked names, time as a value, characters that fool
//! cbor crypto               the doors to the encoding and to the cryptographic crates
//! handshake record frame    a connection: keys agreed on, records encrypted, requests and pushes
//! message                   what client and server say to each other
//! identity                  a device's keys, the signed log of an account, safety numbers
//! group                     the signed log of a group: members, roles, links, wishes
//! session                   what two devices say, end-to-end: INIT, ratchet, content
//! invite                    a server's address and keys in one line
//! rpc                       the local socket: each method with its parameters, answer, scopes, errors, example
//! ```

pub mod cbor;
pub mod crypto;
#[cfg(feature = "fixtures")]
pub mod fixtures;
pub mod frame;
pub mod group;
pub mod handshake;
pub mod identity;
pub mod ids;
pub mod invite;
pub mod limits;
pub mod message;
pub mod offline_key;
pub mod record;
#[cfg(feature = "rpc")]
pub mod rpc;
pub mod session;
pub mod text;
pub mod time;
