//! End-to-end sessions with the devices of others: which there are, which one is sent on, what opens.
//!
//! Opening works on a copy and commits with the plaintext; sealing commits with the ciphertext. A
//! session that lost its peer is never repaired by guessing: a new INIT replaces it.

mod accept;
mod begin;
mod kept;
mod open;
mod rollback;
mod seal;

pub(crate) use accept::{accept, fits, is_replay, read_init};
pub(crate) use begin::{bundle, pump, ready};
pub use kept::{Stored, standings};
pub(crate) use kept::{find, wipe};
pub(crate) use open::{Received, did_not_open, open};
pub(crate) use rollback::check_rollback;
pub(crate) use seal::{Sealed, seal_letter, seal_profile, seal_receipt};
