//! What the programs have in common besides the protocol: how they log, and whose files they use.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one part of this crate that is about the machine and not about bytes"
)]

pub mod log;
pub mod patient;
pub mod private;
