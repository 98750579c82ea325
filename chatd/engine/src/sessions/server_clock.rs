//! What the server says of the time, and how far it is believed.
//!
//! Bundles are judged by the server's time, so that a device with any clock can begin sessions. But a server that says it is
//! long ago could hand out bundles whose keys were stolen since they expired, and one that says it is in a year could have
//! one signed that outlives its keys. So it is remembered when both clocks agreed last: the time cannot be before that and
//! what was seen to pass since, and nothing is signed for a later time than the own clock shows, unless that went back.

use std::time::Duration;

use chat_protocol::limits::{CLOCK_TOLERANCE, PREKEY_RENEWAL};
use chat_protocol::time::Timestamp;

use crate::rows::CLOCKS_AGREED;
use crate::rows::state::Agreed;
use crate::store::RowsError;
use crate::txn::Txn;
use crate::txn::live;

/// Both clocks were wrong once if they have agreed for so long that it is earlier than they said: otherwise no bundle would
/// be used until that time has come. A clock that merely starts in the past is set well before.
const BELIEVED_EARLIER_AFTER: Duration = PREKEY_RENEWAL;

/// Notes at a login that the clocks agree, if they do.
pub(crate) fn note_agreement(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let Some(server) = confirmed(txn) else { return Ok(()) };
    let seen = txn.now;
    let agreed = Agreed { server, seen, earlier_since: None };
    let noted = match CLOCKS_AGREED.get(txn.rows)? {
        Some(before) if server < least(&before, seen) => {
            let since = before.earlier_since.unwrap_or(seen);
            let believed = seen.since(since) >= BELIEVED_EARLIER_AFTER;
            if believed { agreed } else { Agreed { earlier_since: Some(since), ..before } }
        }
        _ => agreed,
    };
    CLOCKS_AGREED.put(txn.rows, &noted)
}

/// The server's time, if the own clock confirms it and it is not before what both said earlier.
pub(crate) fn agreed(txn: &Txn<'_>) -> Result<Option<Timestamp>, RowsError> {
    let Some(server) = confirmed(txn) else { return Ok(None) };
    Ok(floor(txn)?.is_none_or(|floor| floor <= server).then_some(server))
}

/// The time that bundles of others are judged by.
pub(crate) fn judging_time(txn: &Txn<'_>) -> Result<Timestamp, RowsError> {
    let server = txn.server_now();
    Ok(floor(txn)?.map_or(server, |floor| floor.max(server)))
}

/// The time that own bundles are of.
pub(crate) fn signing_time(txn: &Txn<'_>) -> Result<Timestamp, RowsError> {
    let server = txn.server_now();
    let Some(floor) = floor(txn)? else { return Ok(server) };
    // a clock that went back says nothing of a server that is ahead of it
    let later = confirmed(txn).is_none() && txn.clock >= floor;
    Ok(floor.max(if later { server.min(txn.clock) } else { server }))
}

fn confirmed(txn: &Txn<'_>) -> Option<Timestamp> {
    let link = txn.live.link.as_ref()?;
    (!live::is_skewed(link.offset_ms)).then(|| txn.server_now())
}

fn floor(txn: &Txn<'_>) -> Result<Option<Timestamp>, RowsError> {
    Ok(CLOCKS_AGREED.get(txn.rows)?.map(|agreed| least(&agreed, txn.now)))
}

/// Below this the time cannot be at the moment `seen`, since both clocks agreed once.
fn least(agreed: &Agreed, seen: Timestamp) -> Timestamp {
    agreed.server + seen.since(agreed.seen) - CLOCK_TOLERANCE
}
