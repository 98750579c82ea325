//! The time that was seen to pass, as this device counts it: what every span is measured by, and what is kept of it.
//!
//! Spans begin and end in this time, whatever becomes of the clock meanwhile: a message waits, lives, is kept, and is
//! given up by it. The clock is for what people read, and for what they set by it: when a message is to be sent, until
//! when a chat is silent, when a token ends.

use std::time::Duration;

use chat_protocol::time::{Reading, SeenTime};

use crate::rows::SEEN_TIME;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// What is kept of the time is at most this old, as long as there is anything to do …
const KEPT_EVERY: Duration = Duration::from_secs(60);
/// … and an idle daemon looks at the time this often.
const LONGEST_IDLE: Duration = Duration::from_secs(60 * 60);

/// Goes on from what the rows say.
pub(crate) fn begin(rows: &dyn Rows, at: Reading) -> Result<SeenTime, RowsError> {
    Ok(SeenTime::begin(SEEN_TIME.get(rows)?, at))
}

/// Keeps how far the time has come.
pub(crate) fn pump(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    txn.wake(txn.now + LONGEST_IDLE);
    match txn.seen.to_keep(KEPT_EVERY) {
        Some(mark) => SEEN_TIME.put(txn.rows, &mark),
        None => Ok(()),
    }
}
