//! End-to-end sessions with the devices of others: which there are, which one is sent on, what opens.
//!
//! Opening works on a copy and commits with the plaintext; sealing commits with the ciphertext. A
//! session that lost its peer is never repaired by guessing: a new INIT replaces it.

mod accept;
mod begin;
mod duties;
mod heartbeats;
mod kept;
mod open;
mod restarts;
mod rollback;
mod seal;
mod skipped;

pub(crate) use accept::{accept, fits, is_replay, read_init};
pub(crate) use begin::{Readiness, bundle, readiness, ready};
pub(crate) use duties::{Duties, reset_again};
pub use kept::{Stored, standings};
pub(crate) use kept::{find, wipe};
pub(crate) use open::{Received, did_not_open, lost, open};
pub(crate) use restarts::accepted;
pub use rollback::Marks;
pub(crate) use rollback::{check_device, check_rollback, witnessed};
pub(crate) use seal::{Sealed, seal_for_sibling, seal_letter, seal_log, seal_profile, seal_receipt};
pub(crate) use skipped::sweep;

use super::EngineError;
use super::turn::Turn;

/// Begins and repairs what is to be begun and repaired.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    begin::pump(turn)?;
    duties::pump(turn)
}
