//! Messages that wait for the account log their author named.

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::HeldReason;
use chat_protocol::time::Timestamp;

use crate::exchange::content;
use crate::exchange::received::{self, Received};
use crate::model::error::EngineError;
use crate::peers::{self, Named};
use crate::records::events;
use crate::rows::AHEAD;
use crate::rows::counter::Counter;
use crate::rows::held::AheadMessage;
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// Most messages that wait for a log; the next are shown at once, flagged.
const MOST_WAITING: u64 = 1_000;

/// Lets a message wait for the log its author named; false if too many wait.
pub(crate) fn wait(txn: &mut Txn<'_>, received: &Received, until: Timestamp) -> Result<bool, RowsError> {
    if until <= txn.now || AHEAD.count(txn.rows)? >= MOST_WAITING {
        return Ok(false);
    }
    let number = Counter::Ahead.next(txn.rows)?;
    let plaintext = received.plaintext.to_vec().into();
    let waiting = AheadMessage { number, user: received.user.clone(), device: received.device, plaintext };
    AHEAD.put(txn.rows, &number, until.as_millis(), &waiting)?;
    txn.wake(until);
    Ok(true)
}

/// Shows what waited for the log of `user`, as far as that is known now.
pub(crate) fn release(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    for (until, waiting) in AHEAD.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        if waiting.user == *user {
            AHEAD.delete(txn.rows, &waiting.number)?;
            come(
                txn,
                received::waited(waiting.user, waiting.device, waiting.plaintext),
                Some(Timestamp::from_millis(until)),
            )?;
        }
    }
    Ok(())
}

pub(crate) fn show_overdue(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let now = txn.now.as_millis();
    for (_, waiting) in AHEAD.scan(txn.rows, 0..=now, Direction::Ascending, usize::MAX)? {
        AHEAD.delete(txn.rows, &waiting.number)?;
        come(txn, received::waited(waiting.user, waiting.device, waiting.plaintext), None)?;
    }
    if let Some((until, _)) = AHEAD.first(txn.rows)? {
        txn.wake(Timestamp::from_millis(until));
    }
    Ok(())
}

/// A message that waited for its author's log comes again: since that has grown, with the time it waits until; or since
/// that time has come.
pub(crate) fn come(txn: &mut Txn<'_>, mut received: Received, until: Option<Timestamp>) -> Result<(), EngineError> {
    let Some(content) = received.content.take() else { return Ok(()) };
    let received = &received;
    if !peers::is_active(txn, &received.user, &received.device)? {
        return Ok(events::held(txn, &received.user, HeldReason::DeviceRevoked)?);
    }
    match (peers::announced(txn, &received.user, content.heads.own)?, until) {
        (Named::Awaited(_), Some(until)) if wait(txn, received, until)? => Ok(()),
        (named, _) => content::accept_content(txn, received, content, named),
    }
}
