//! What a change of a pinned account log brings about, in one place; and everything that may bring one.
//!
//! Whoever learns of a log only compares and stores (`peers::pin`, `peers::trust`) and returns what follows. Another
//! identity that is undecided is not in it: nothing leaves for its user, since `peers::recipients` says so.

use std::collections::BTreeSet;

use chat_protocol::ids::Username;
use chat_protocol::message::Blob;
use chat_protocol::message::server::{LogPage, LookedUp, Refusal};
use chat_protocol::session::content::LogEntries;

use crate::exchange::inbox::losing;
use crate::exchange::{ahead, own_log};
use crate::model::error::EngineError;
use crate::peers::pin::{self, Effect};
use crate::peers::{self, PinChange, PinChanges, policy};
use crate::queue::{failing, retransmit};
use crate::records::events;
use crate::sessions;
use crate::txn::Txn;

/// Does what follows from a change.
pub(crate) fn apply(txn: &mut Txn<'_>, change: PinChange) -> Result<(), EngineError> {
    let PinChange { user, wipe, fail, fail_scheduled, drop_held, own_from, tell, release } = change;
    for device in &wipe {
        sessions::wipe(txn, device)?;
        retransmit::forget_device(txn, device)?;
    }
    if let Some(error) = fail {
        failing::fail_all(txn, &user, error)?;
    }
    if let Some(error) = fail_scheduled {
        failing::fail_scheduled(txn, &user, error)?;
    }
    if drop_held {
        losing::drop_held(txn, &user)?;
    }
    if let Some(before) = own_from {
        own_log::grew(txn, before)?;
    }
    if let Some(told) = tell {
        policy::notice(txn, &user, told.added.len())?;
        events::devices(txn, &user, told.added, told.revoked, told.left_out)?;
    }
    if release { ahead::release(txn, &user) } else { Ok(()) }
}

fn apply_all(txn: &mut Txn<'_>, changes: PinChanges) -> Result<(), EngineError> {
    changes.0.into_iter().try_for_each(|change| apply(txn, change))
}

/// A whole log that somebody shows.
pub(crate) fn apply_shown_log(txn: &mut Txn<'_>, user: &Username, entries: &[Blob]) -> Result<(), EngineError> {
    let changes = peers::apply_shown_log(txn, user, entries)?;
    apply_all(txn, changes)
}

/// The server's answer to a look-up of names.
pub(crate) fn looked_up(
    txn: &mut Txn<'_>,
    users: BTreeSet<Username>,
    answer: &Result<LookedUp, Refusal>,
) -> Result<(), EngineError> {
    let changes = peers::looked_up(txn, users, answer)?;
    apply_all(txn, changes)
}

/// Entries of a log, as the server was asked for them from `from` on.
pub(crate) fn fetched(
    txn: &mut Txn<'_>,
    user: &Username,
    from: u64,
    answer: Result<LogPage, Refusal>,
) -> Result<(), EngineError> {
    let changes = peers::fetched(txn, user, from, answer)?;
    apply_all(txn, changes)
}

/// The server took an entry of the own log, or did not.
pub(crate) fn appended(txn: &mut Txn<'_>, on: u64, answer: Result<(), Refusal>) -> Result<(), EngineError> {
    let changes = own_log::appended(txn, on, answer)?;
    apply_all(txn, changes)
}

/// Entries a peer sent of its own log, or of this account's; they are as good as fetched ones.
pub(crate) fn apply_told_log(txn: &mut Txn<'_>, from: &Username, log: &LogEntries) -> Result<(), EngineError> {
    if log.user != *from && log.user != txn.me.user {
        tracing::warn!(%from, of = %log.user, "entries of somebody else's account log");
        return Ok(());
    }
    match pin::continued(txn, &log.user, &log.entries)? {
        Effect::Moved(change) => apply(txn, change),
        Effect::None => Ok(()),
        Effect::Foreign => {
            tracing::warn!(%from, of = %log.user, "entries that do not follow from the log that is known");
            Ok(())
        }
    }
}
