//! Messages that wait for the account log their author named.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::Blob;
use chat_protocol::session::content::Content;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use crate::exchange::content;
use crate::model::error::EngineError;
use crate::model::rows::{Counter, decode, save};
use crate::peers::{self, Named};
use crate::records::events;
use crate::sessions::Received;
use crate::store::{Direction, Place, RowsError, Table};
use crate::txn::Txn;

/// Most messages that wait for a log; the next are shown at once, flagged.
const MOST_WAITING: u64 = 1_000;
const WAITING: &[u8] = b"ahead";

/// A message whose author named a log that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Waiting {
    #[n(0)]
    number: u64,
    #[n(1)]
    user: Username,
    #[n(2)]
    device: DeviceId,
    #[n(3)]
    plaintext: Blob,
}

/// Lets a message wait for the log its author named; false if too many wait.
pub(crate) fn wait(txn: &mut Txn<'_>, received: &Received, until: Timestamp) -> Result<bool, RowsError> {
    if until <= txn.now || txn.rows.count(Table::Held, WAITING)? >= MOST_WAITING {
        return Ok(false);
    }
    let number = Counter::Ahead.next(txn.rows)?;
    let plaintext = received.plaintext.to_vec().into();
    let waiting = Waiting { number, user: received.user.clone(), device: received.device, plaintext };
    save(txn.rows, place(&number.to_be_bytes()), until.as_millis(), &waiting)?;
    txn.wake(until);
    Ok(true)
}

fn place(key: &[u8; 8]) -> Place<'_> {
    Place::new(Table::Held, WAITING, key)
}

/// Shows what waited for the log of `user`, as far as that is known now.
pub(crate) fn release(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    for (until, bytes) in txn.rows.scan(Table::Held, WAITING, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let waiting: Waiting = decode(Table::Held, &bytes)?;
        if waiting.user == *user {
            txn.rows.delete(place(&waiting.number.to_be_bytes()))?;
            come(txn, waiting.received(), Some(Timestamp::from_millis(until)))?;
        }
    }
    Ok(())
}

impl Waiting {
    fn received(self) -> Received {
        let content = Content::decode(&self.plaintext).ok();
        Received { user: self.user, device: self.device, plaintext: self.plaintext.0.into(), content }
    }
}

pub(crate) fn show_overdue(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let now = txn.now.as_millis();
    for (_, bytes) in txn.rows.scan(Table::Held, WAITING, 0..=now, Direction::Ascending, usize::MAX)? {
        let waiting: Waiting = decode(Table::Held, &bytes)?;
        txn.rows.delete(place(&waiting.number.to_be_bytes()))?;
        come(txn, waiting.received(), None)?;
    }
    let next = txn.rows.scan(Table::Held, WAITING, 0..=u64::MAX, Direction::Ascending, 1)?;
    if let Some((until, _)) = next.first() {
        txn.wake(Timestamp::from_millis(*until));
    }
    Ok(())
}

/// A message that waited for its author's log comes again: since that has grown, with the time it waits until; or since
/// that time has come.
pub(crate) fn come(txn: &mut Txn<'_>, mut received: Received, until: Option<Timestamp>) -> Result<(), EngineError> {
    let Some(content) = received.content.take() else { return Ok(()) };
    let received = &received;
    if peers::device(txn, &received.user, &received.device)?.is_none() {
        return Ok(events::held(txn, &received.user, "device_revoked")?);
    }
    match (peers::announced(txn, &received.user, content.heads.own)?, until) {
        (Named::Awaited(_), Some(until)) if wait(txn, received, until)? => Ok(()),
        (named, _) => content::shown(txn, received, content, named),
    }
}
