//! What the programs have in common besides the protocol: how they write what nobody may be stopped by.

pub mod log;
pub mod patient;
