//! Heartbeats: whoever only listens turns the ratchet now and then.
//!
//! A heartbeat asks for none in return, so two daemons that have nothing to say fall silent after one.

use std::collections::BTreeMap;

use chat_protocol::ids::DeviceId;
use chat_protocol::session::manager::{Standing, Standings};
use chat_protocol::time::Timestamp;

use crate::rows::STANDINGS;
use crate::sessions::{maintenance, session_store};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

pub(crate) fn load(rows: &dyn Rows) -> Result<BTreeMap<DeviceId, Timestamp>, RowsError> {
    let mut due = BTreeMap::new();
    for known in STANDINGS.all(rows)? {
        let Some((at, id)) = known.sending().and_then(|sending| sending.heartbeat_at().zip(Some(sending.id))) else {
            continue;
        };
        due.extend(session_store::find(rows, &id)?.map(|stored| (stored.device, at)));
    }
    Ok(due)
}

/// What is sent on with a device has changed, or moved on.
pub(crate) fn track_heartbeat(txn: &mut Txn<'_>, device: &DeviceId, known: &Standings) -> Result<(), RowsError> {
    let due = known.sending().and_then(Standing::heartbeat_at);
    let heartbeats = &mut maintenance::known(txn)?.heartbeats;
    match due {
        Some(at) => drop(heartbeats.insert(*device, at)),
        None => drop(heartbeats.remove(device)),
    }
    Ok(())
}
