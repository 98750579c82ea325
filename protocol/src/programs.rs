//! What the programs have in common besides the protocol: how they log, and whose files they use.

pub mod log;
pub mod patient;
pub mod private;
