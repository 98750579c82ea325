//! Keys of messages that were overtaken go after 30 days, whether their messages came or not.

use std::time::Duration;

use chat_protocol::ids::SessionId;
use chat_protocol::limits::SKIPPED_KEY_LIFETIME;
use chat_protocol::session::ratchet::Opened;

use crate::model::error::EngineError;
use crate::model::rows::{decode, save};
use crate::store::{Direction, Place, RowsError, Table};
use crate::txn::Txn;

/// When which keys were skipped; beside the keys themselves, which are ordered by their number.
const SCOPE: &[u8] = b"aged";
/// How often old keys are looked for.
const SWEEP_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Remembers when keys were skipped.
pub(crate) fn note(txn: &mut Txn<'_>, sid: &SessionId, opened: &Opened) -> Result<(), RowsError> {
    let Some(last) = opened.new_skipped.last().map(|skipped| skipped.order) else { return Ok(()) };
    let (at, key) = (txn.now, [sid.as_bytes().as_slice(), &last.to_be_bytes()].concat());
    save(txn.rows, Place::new(Table::Skipped, SCOPE, &key), at.as_millis(), &(*sid, last))
}

/// Deletes the keys that are too old, and no others.
pub(crate) fn sweep(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let now = txn.now;
    if txn.live.skipped_swept.is_some_and(|at| now.since(at) < SWEEP_PAUSE) {
        return Ok(());
    }
    txn.live.skipped_swept = Some(now);
    let old = 0..=(now - SKIPPED_KEY_LIFETIME).as_millis();
    for (_, bytes) in txn.rows.scan(Table::Skipped, SCOPE, old.clone(), Direction::Ascending, usize::MAX)? {
        let (sid, last): (SessionId, u64) = decode(Table::Skipped, &bytes)?;
        txn.rows.delete_range(Table::Skipped, sid.as_bytes(), 0..=last)?;
    }
    txn.rows.delete_range(Table::Skipped, SCOPE, old)?;
    Ok(())
}
