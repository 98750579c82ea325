//! Who somebody is: a device's three long-term keys, the signed log of an account's devices, and
//! the digits people compare.
//!
//! Enrolled is not trusted: only what an account's log says counts, and only an extension of the
//! log a peer has pinned is accepted. The server stores all of it and can extend none of it.

pub mod account_log;
pub mod code;
pub mod device;
pub mod login;
pub mod party;
pub mod safety_number;
