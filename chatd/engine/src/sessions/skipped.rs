//! Keys of messages that were overtaken go after 30 days, whether their messages came or not.

use std::time::Duration;

use chat_protocol::ids::SessionId;
use chat_protocol::limits::SKIPPED_KEY_LIFETIME;
use chat_protocol::session::ratchet::Opened;

use crate::model::error::EngineError;
use crate::rows::{SKIPPED_AT, SKIPPED_KEYS};
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// How often old keys are looked for.
const SWEEP_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps the keys that a message skipped, and when that was; the one that opened it is `used` up.
pub(crate) fn store_skipped_keys(
    txn: &mut Txn<'_>,
    sid: &SessionId,
    opened: &Opened,
    used: Option<&[u8]>,
) -> Result<(), RowsError> {
    let keys = SKIPPED_KEYS.of(sid);
    if let Some(used) = used {
        keys.delete(txn.rows, used)?;
    }
    for skipped in &opened.new_skipped {
        keys.put(txn.rows, &skipped.id, skipped.order, &skipped.key)?;
    }
    if let Some(last) = opened.forget_below.checked_sub(1) {
        keys.delete_range(txn.rows, 0..=last)?;
    }
    let Some(last) = opened.new_skipped.last().map(|skipped| skipped.order) else { return Ok(()) };
    let (at, dated) = (txn.now, (*sid, last));
    SKIPPED_AT.put(txn.rows, &dated, at.as_millis(), &dated)
}

/// Deletes the keys that are too old, and no others.
pub(crate) fn expire_skipped_keys(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let now = txn.now;
    if txn.live.skipped_swept.is_some_and(|at| now.since(at) < SWEEP_PAUSE) {
        return Ok(());
    }
    txn.live.skipped_swept = Some(now);
    let old = 0..=(now - SKIPPED_KEY_LIFETIME).as_millis();
    for (_, (sid, last)) in SKIPPED_AT.scan(txn.rows, old.clone(), Direction::Ascending, usize::MAX)? {
        SKIPPED_KEYS.of(&sid).delete_range(txn.rows, 0..=last)?;
    }
    SKIPPED_AT.delete_range(txn.rows, old)?;
    Ok(())
}
