//! Named readers of the event log, and how far each has come.

use chat_protocol::rpc::{Name, types};

use crate::model::error::EngineError;
use crate::records::tokens;
use crate::rows::CONSUMERS;
use crate::rows::clients::Consumer;
use crate::rows::counter::Counter;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Most consumers of one account: each keeps a part of the log.
const MOST: u64 = 1_000;
/// Most of one token: a bot has one or two.
const MOST_OF_TOKEN: usize = 16;

/// Makes sure that there is a consumer, and returns its place. A new one begins behind `begin`, or at the log's end.
///
/// # Errors
/// `quota_exceeded`; `invalid_params`.
pub fn open(txn: &mut Txn<'_>, name: &Name, begin: Option<u64>) -> Result<u64, EngineError> {
    let known = CONSUMERS.get(txn.rows, name)?;
    let acked = match (&known, begin) {
        (Some(known), _) => known.acked,
        (None, Some(begin)) => begin,
        (None, None) => Counter::Event.get(txn.rows)?,
    };
    if known.is_none() {
        admit(txn.rows, name)?;
    }
    write(txn, name, acked)?;
    Ok(acked)
}

/// Whether there may be one more of this name.
fn admit(rows: &dyn Rows, name: &Name) -> Result<(), EngineError> {
    if CONSUMERS.count(rows)? >= MOST {
        return Err(EngineError::full("too many consumers: forget some that read no more"));
    }
    let Some(token) = tokens::owner_of(rows, name)? else { return Ok(()) };
    let of_token = |consumer: &Consumer| consumer.name.parse().is_ok_and(|name| tokens::payer(&name) == token);
    if CONSUMERS.all(rows)?.iter().filter(|consumer| of_token(consumer)).count() >= MOST_OF_TOKEN {
        let full = format!("the token {token} has {MOST_OF_TOKEN} consumers: forget some that read no more");
        return Err(EngineError::full(full));
    }
    Ok(())
}

/// Moves a consumer's place to `seq` unless it is there already, and returns it.
///
/// # Errors
/// `unknown_consumer`; `invalid_params`.
pub fn ack(txn: &mut Txn<'_>, name: &Name, seq: u64) -> Result<u64, EngineError> {
    let known = CONSUMERS.get(txn.rows, name)?.ok_or_else(EngineError::unknown_consumer)?;
    let acked = known.acked.max(seq);
    write(txn, name, acked)?;
    Ok(acked)
}

fn write(txn: &mut Txn<'_>, name: &Name, acked: u64) -> Result<(), EngineError> {
    let newest = Counter::Event.get(txn.rows)?;
    if acked > newest {
        return Err(EngineError::beyond_log(newest));
    }
    let consumer = Consumer { name: name.to_string(), acked, seen: txn.clock };
    Ok(CONSUMERS.put(txn.rows, name, 0, &consumer)?)
}

/// Forgets a consumer; nothing is kept for it any more.
///
/// # Errors
/// `unknown_consumer`.
pub fn forget(txn: &mut Txn<'_>, name: &Name) -> Result<(), EngineError> {
    if CONSUMERS.delete(txn.rows, name)? { Ok(()) } else { Err(EngineError::unknown_consumer()) }
}

/// Every consumer in order of the names, as the socket shows them, but for whether it reads now.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows) -> Result<Vec<types::Consumer>, RowsError> {
    let newest = Counter::Event.get(rows)?;
    let shown = |consumer: Consumer| {
        let name = consumer.name.parse().map_err(|_| RowsError::Corrupt("a consumer without name".to_owned()))?;
        Ok(types::Consumer {
            name,
            acked_seq: consumer.acked,
            lag: newest.saturating_sub(consumer.acked),
            connected: false,
            seen_ms: consumer.seen.as_millis(),
        })
    };
    let mut consumers = CONSUMERS.all(rows)?.into_iter().map(shown).collect::<Result<Vec<_>, RowsError>>()?;
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(consumers)
}

/// The place of the consumer that is farthest behind; `None` if there is none.
pub(crate) fn slowest(rows: &dyn Rows) -> Result<Option<u64>, RowsError> {
    Ok(CONSUMERS.all(rows)?.iter().map(|consumer| consumer.acked).min())
}
