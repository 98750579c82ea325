//! End-to-end sessions with the devices of others: which there are, which one is sent on, what opens.
//!
//! Opening works on a copy and commits with the plaintext; sealing commits with the ciphertext. A
//! session that lost its peer is never repaired by guessing: a new INIT replaces it.

mod accept;
pub(crate) mod begin;
pub(crate) mod maintenance;
mod open;
pub(crate) mod prekeys;
pub(crate) mod restarts;
mod rollback_guard;
pub(crate) mod seal;
mod server_clock;
pub(crate) mod session_store;
mod skipped;

pub(crate) use accept::{accept, fits, is_replay, read_init};
pub(crate) use begin::{Readiness, all_ready, readiness, ready};
pub(crate) use maintenance::{reset_again, schedule_reset};
pub(crate) use open::{Committed, Control, Opening, commit, did_not_open, lost, open};
pub(crate) use prekeys::keeps_keys_of;
pub(crate) use restarts::accepted;
pub use rollback_guard::HighWater;
pub(crate) use rollback_guard::{check_device, check_high_water, check_rollback};
pub(crate) use server_clock::note_agreement;
pub use session_store::{Stored, standings};
pub(crate) use session_store::{find, wipe};
pub(crate) use skipped::expire_skipped_keys;
