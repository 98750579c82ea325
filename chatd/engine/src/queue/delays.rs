//! What the server said of what waits to be sent, as far as it is to be sent again: read from what is under way.

use chat_protocol::rpc::types::OutboxDelay;
use chat_protocol::rpc::{ChatId, Kind, Target};
use chat_protocol::time::Timestamp;

use crate::queue::mailbox_full;
use crate::rows::outbox::{PendingSubmit, SubmitKind};
use crate::rows::{DEFERRED, IN_FLIGHT};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::retention_clock;

/// Most pending submits that are looked at, of each kind: as many as are under way at once.
const LOOKED_AT: usize = 64;

/// Why messages wait that the server put off, and until when by the clock, which shows `clock` now. One for all chats comes
/// first; of each chat there is at most one.
///
/// # Errors
/// [`RowsError`].
pub fn delays(rows: &dyn Rows, clock: Timestamp) -> Result<Vec<OutboxDelay>, RowsError> {
    let mut delays = Vec::new();
    let under_way = IN_FLIGHT.scan(rows, 0..=u64::MAX, Direction::Ascending, LOOKED_AT)?;
    for pending in under_way.iter().map(|(_, pending)| pending) {
        // whatever it carries, everything behind it waits for it
        if let Some(until_ms) = until(rows, pending, clock)? {
            delays.push(OutboxDelay { why: Kind::RateLimited, chat: None, until_ms });
            break;
        }
    }
    for (_, pending) in DEFERRED.scan(rows, 0..=u64::MAX, Direction::Ascending, LOOKED_AT)? {
        let (Some(chat), Some(until_ms)) = (chat(&pending), until(rows, &pending, clock)?) else { continue };
        if delays.iter().all(|known| known.chat.as_ref() != Some(&chat)) {
            let why = match pending.kind {
                SubmitKind::Post(_) => Kind::RateLimited,
                _ if mailbox_full::has_waiting(rows, &pending)? => Kind::MailboxFull,
                _ => Kind::ServerRejected,
            };
            delays.push(OutboxDelay { why, chat: Some(chat), until_ms });
        }
    }
    Ok(delays)
}

/// When it is sent again, by the clock; `None` if it is by now.
fn until(rows: &dyn Rows, pending: &PendingSubmit, clock: Timestamp) -> Result<Option<u64>, RowsError> {
    if pending.put_off == 0 {
        return Ok(None);
    }
    let until = retention_clock::by_the_clock(rows, pending.after)?;
    Ok((until > clock).then(|| until.as_millis()))
}

/// The chat of a message that no device of the recipient has; one that goes again to a single device is there already.
fn chat(pending: &PendingSubmit) -> Option<ChatId> {
    match &pending.kind {
        SubmitKind::Message(item) if item.only.is_none() => Some(ChatId::from(&Target::User(item.to.clone()))),
        SubmitKind::Post(_) => Some(ChatId::from(&Target::Room)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_protocol::cbor;
    use chat_protocol::ids::{DeviceId, MessageId, SessionId};
    use chat_protocol::message::client::{Addressed, Submit};
    use chat_protocol::message::server::{Code, Refusal};
    use chat_protocol::message::{Call, Envelope};

    use super::*;
    use crate::harness::{BEGIN, DAY, Harness, bob};
    use crate::queue::{answers, pending_submits, posts};
    use crate::rows::outbox::Item;

    /// A message to bob is under way, and the server answers with this.
    fn refused(alice: &mut Harness, position: u64, refusal: Refusal) {
        let id = MessageId::new([position as u8; 16]);
        let item = Item { position, id, to: bob(), number: None, refused: 0, after: Timestamp::ZERO, only: None };
        let submit_id = alice.step(pending_submits::next_submit_id);
        let part = || vec![1].into();
        let envelope = Envelope { sid: SessionId::new([3; 16]), header: part(), token: part(), init: None };
        let to = vec![Addressed { device: DeviceId::new([2; 16]), envelope }];
        let payload = cbor::encode(&Submit { submit_id, heads: Vec::new(), to, group: None });
        let pending = PendingSubmit::new(submit_id, Submit::TYPE, payload, SubmitKind::Message(item));
        alice.step(|txn| pending_submits::submit(txn, pending));
        alice.step(|txn| answers::answered(txn, submit_id, Err(refusal)));
    }

    fn told(alice: &Harness, passed: Duration) -> Vec<(Kind, Option<String>, u64)> {
        let delays = delays(&alice.rows, BEGIN + passed).unwrap();
        let begin = BEGIN.as_millis();
        delays.into_iter().map(|it| (it.why, it.chat.map(|chat| chat.to_string()), it.until_ms - begin)).collect()
    }

    #[test]
    fn what_the_server_puts_off_says_why_and_until_when() {
        let mut alice = Harness::new();
        let to_bob = || Some("@bob".to_owned());
        refused(&mut alice, 1, Code::MailboxFull.into());
        assert_eq!(told(&alice, Duration::ZERO), [(Kind::MailboxFull, to_bob(), 60_000)]);
        refused(&mut alice, 2, Refusal { retry_after_ms: Some(9_000), ..Code::RateLimited.into() });
        let both = [(Kind::RateLimited, None, 9_000), (Kind::MailboxFull, to_bob(), 60_000)];
        assert_eq!(told(&alice, Duration::ZERO), both);
        assert_eq!(told(&alice, Duration::from_secs(9)), both[1..], "what is sent again by now has no reason to wait");
        assert_eq!(told(&alice, Duration::from_secs(60)), []);
    }

    #[test]
    fn a_post_over_the_rate_of_the_room_holds_up_no_message() {
        let mut alice = Harness::new();
        alice.comes_online();
        alice.step(pending_submits::repeat);
        let post = |alice: &mut Harness, byte| alice.step(|txn| posts::post(txn, MessageId::new([byte; 16]), "hi"));
        let first = post(&mut alice, 8);
        post(&mut alice, 9);
        let limited = Refusal { retry_after_ms: Some(9_000), ..Code::RateLimited.into() };
        alice.step(|txn| answers::answered(txn, first, Err(limited)));
        assert_eq!(told(&alice, Duration::ZERO), [(Kind::RateLimited, Some("room:public".to_owned()), 9_000)]);
        let id = alice.step(pending_submits::next_submit_id);
        let message = PendingSubmit::new(id, Submit::TYPE, vec![1], SubmitKind::Profile(bob(), DeviceId::new([2; 16])));
        alice.step(|txn| pending_submits::submit(txn, message));
        let sent = |alice: &mut Harness| alice.acts(pending_submits::repeat).1.len();
        alice.comes_online();
        assert_eq!(sent(&mut alice), 1, "the message, and no post: none overtakes the first");
        alice.passes(Duration::from_secs(9));
        assert_eq!(sent(&mut alice), 1, "the first post");
    }

    #[test]
    fn what_the_server_failed_to_store_is_told_apart_from_a_full_mailbox() {
        let mut alice = Harness::new();
        refused(&mut alice, 1, Code::Internal.into());
        assert_eq!(told(&alice, Duration::ZERO), [(Kind::ServerRejected, Some("@bob".to_owned()), 5_000)]);
    }

    #[test]
    fn the_time_is_that_of_the_clock_also_after_it_was_set() {
        let mut alice = Harness::new();
        alice.step(retention_clock::advance_clock);
        alice.sets_clock(BEGIN + DAY);
        alice.step(retention_clock::advance_clock);
        refused(&mut alice, 1, Code::MailboxFull.into());
        let until = DAY.as_millis() as u64 + 60_000;
        assert_eq!(told(&alice, DAY), [(Kind::MailboxFull, Some("@bob".to_owned()), until)]);
    }
}
