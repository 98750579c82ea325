//! What was accepted and never acknowledged, by nobody and for too long: its author is told.
//!
//! A gap is told by the reader, as soon as something later arrives. Of the last messages of a conversation only the
//! silence speaks. It has lasted long enough when a server has let go of what nobody fetched.

use chat_protocol::rpc::types::MessageState;
use std::time::Duration;

use chat_protocol::ids::Username;

use crate::queue::numbers;
use crate::records::history;
use crate::rows::{SENT, SILENCE_TOLD};
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// Most messages of one line that end at once; the rest follow in transactions of their own.
pub(crate) const STEP: usize = 256;

/// A day longer than servers keep messages by default.
const SILENCE: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Tells of old messages without an answer, at most a step of them for each user; the most that were looked at.
pub(crate) fn time_out_unacked(txn: &mut Txn<'_>) -> Result<usize, RowsError> {
    let mut most = 0;
    for chat in history::chats(txn.rows, usize::MAX)? {
        if let Some(to) = history::peer(&chat.id) {
            most = most.max(tell(txn, &to)?);
        }
    }
    Ok(most)
}

fn tell(txn: &mut Txn<'_>, to: &Username) -> Result<usize, RowsError> {
    let Some((epoch, _)) = numbers::last_number(txn, to)? else { return Ok(0) };
    let told = SILENCE_TOLD.get(txn.rows, to)?;
    let from = told.filter(|(known, _)| *known == epoch).map_or(0, |(_, n)| n + 1);
    let sent = SENT.of(&(epoch, to.clone()));
    let mut looked_at = 0;
    for (n, id) in sent.scan(txn.rows, from..=u64::MAX, Direction::Ascending, STEP)? {
        let silent = history::get(txn.rows, &id)?.and_then(|(_, message)| message.silent);
        if silent.is_none_or(|at| at + SILENCE > txn.now) {
            break;
        }
        // whatever arrives after all is delivered after all: its number is still known
        history::advance(txn, &id, MessageState::NotReceived)?;
        SILENCE_TOLD.put(txn.rows, to, 0, &(epoch, n))?;
        looked_at += 1;
    }
    Ok(looked_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{DAY, Harness, bob};
    use crate::queue::outbox;

    /// Sends a message to bob which the server accepts.
    fn accepted(alice: &mut Harness, text: &str) -> chat_protocol::ids::MessageId {
        let id = alice.sends("@bob", text);
        alice.step(|txn| {
            let item = outbox::first(txn, &bob())?.unwrap();
            numbers::number_next(txn, &item)?;
            outbox::forget(txn, &item)?;
            history::advance(txn, &id, MessageState::Accepted)
        });
        id
    }

    #[test]
    fn the_author_is_told_of_what_nobody_acknowledged_and_again_if_it_arrives_after_all() {
        let mut alice = Harness::new();
        let old = accepted(&mut alice, "old");
        alice.passes(DAY);
        let young = accepted(&mut alice, "young");
        alice.passes(SILENCE - DAY - Duration::from_millis(1));
        assert_eq!(
            (alice.step(time_out_unacked), alice.state(&old).0),
            (0, MessageState::Accepted),
            "not a moment before"
        );
        alice.passes(Duration::from_millis(1));
        assert_eq!(alice.step(time_out_unacked), 1);
        assert_eq!((alice.state(&old).0, alice.state(&young).0), (MessageState::NotReceived, MessageState::Accepted));
        assert_eq!(alice.step(time_out_unacked), 0, "once");
        alice.step(|txn| history::advance(txn, &old, MessageState::Delivered));
        assert_eq!(alice.state(&old).0, MessageState::Delivered);
    }

    #[test]
    fn what_was_acknowledged_stays_so() {
        let mut alice = Harness::new();
        let id = accepted(&mut alice, "hi");
        alice.step(|txn| history::advance(txn, &id, MessageState::Read));
        alice.passes(2 * SILENCE);
        alice.step(time_out_unacked);
        assert_eq!(alice.state(&id).0, MessageState::Read);
    }
}
