//! What the server says of the time, and how far it is believed.
//!
//! Bundles are judged by the server's time, so that a device with any clock can begin sessions. But a server that says it is
//! long ago could hand out bundles whose keys were stolen since they expired. So it is remembered when both clocks agreed
//! last: the time cannot be before that and what was seen to pass since.

use chat_protocol::limits::CLOCK_TOLERANCE;
use chat_protocol::time::Timestamp;

use crate::rows::CLOCKS_AGREED;
use crate::rows::state::Agreed;
use crate::store::RowsError;
use crate::txn::Txn;
use crate::txn::live;

/// Notes at a login that the clocks agree, if they do.
pub(crate) fn note_agreement(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    match agreed(txn) {
        Some(server) => CLOCKS_AGREED.put(txn.rows, &Agreed { server, seen: txn.now }),
        None => Ok(()),
    }
}

/// The server's time, if the own clock confirms it.
pub(crate) fn agreed(txn: &Txn<'_>) -> Option<Timestamp> {
    let link = txn.live.link.as_ref()?;
    (!live::is_skewed(link.offset_ms)).then(|| txn.server_now())
}

/// The time that bundles are judged by.
pub(crate) fn judging_time(txn: &Txn<'_>) -> Result<Timestamp, RowsError> {
    let server = txn.server_now();
    if agreed(txn).is_some() {
        return Ok(server);
    }
    let since = CLOCKS_AGREED.get(txn.rows)?;
    let least = since.map(|then| then.server + txn.now.since(then.seen) - CLOCK_TOLERANCE);
    Ok(least.map_or(server, |least| least.max(server)))
}
