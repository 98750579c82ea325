//! Which envelopes that begin sessions are to be looked at, so that those kept back are not read each time.
//!
//! ```text
//! came ──▶ due ──the user decides, or a device ended──▶ held
//!           ▲──── the author's log or trust changed, or an hour passed ────┘
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::time::Timestamp;

use crate::exchange::inbox::envelope_store;
use crate::rows::ENVELOPES;
use crate::rows::inbox::Raw;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;
use crate::txn::live::Waiting;

/// How often all that is held is looked at, for what is too old.
const AGAIN: Duration = Duration::from_secs(60 * 60);

/// After a start everything is looked at once.
fn read(rows: &dyn Rows, now: Timestamp) -> Result<Waiting, RowsError> {
    let (mut due, mut begun) = (BTreeSet::new(), BTreeSet::new());
    for raw in ENVELOPES.all(rows)? {
        if raw.envelope.init.is_some() && begun.insert(envelope_store::init_of(&raw)) {
            due.insert(raw.position);
        }
    }
    Ok(Waiting::new(due, now))
}

fn loaded<'t>(txn: &'t mut Txn<'_>) -> Result<&'t mut Waiting, RowsError> {
    let waiting = match txn.live.inbox.take() {
        Some(waiting) => waiting,
        None => read(txn.rows, txn.now)?,
    };
    Ok(txn.live.inbox.insert(waiting))
}

/// What is to be looked at now, in the order it came.
pub(crate) fn due(txn: &mut Txn<'_>) -> Result<Vec<u64>, RowsError> {
    let now = txn.now;
    let waiting = loaded(txn)?;
    // a clock that went back must not put it off
    if now < waiting.looked || now.since(waiting.looked) >= AGAIN {
        waiting.looked = now;
        let held = std::mem::take(&mut waiting.held);
        waiting.due.extend(held.into_values().flatten());
    }
    Ok(waiting.due.iter().copied().collect())
}

/// The first envelope of an INIT is about to be stored, or those before it are gone.
pub(crate) fn came(txn: &mut Txn<'_>, position: u64) -> Result<(), RowsError> {
    loaded(txn)?.due.insert(position);
    Ok(())
}

/// It was opened or dropped.
pub(crate) fn gone(txn: &mut Txn<'_>, position: u64) {
    if let Some(waiting) = &mut txn.live.inbox {
        waiting.due.remove(&position);
    }
}

/// It is kept back as long as nothing of its author changes.
pub(crate) fn hold(txn: &mut Txn<'_>, raw: &Raw) {
    if let Some(waiting) = &mut txn.live.inbox {
        waiting.due.remove(&raw.position);
        waiting.held.entry(raw.from.clone()).or_default().insert(raw.position);
    }
}
