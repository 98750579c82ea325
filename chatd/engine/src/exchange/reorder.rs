//! Bodies in the order their author sent them: what came too early waits, what never comes is given up.
//!
//! ```text
//! n = next   shown, and with it whatever waited right behind it
//! n > next   waits, at most 60 s; then "n messages missing" is shown and it follows
//! n < next   shown, marked `late` if it had been given up
//! ```
//! There is one stream per conversation and device of its author. It begins with the number the author names as the first
//! one for this device, whatever arrives first: who keeps back the beginning of a talk is found out like anybody else.

use chat_protocol::limits::{MAX_GIVEN_UP, ORDER_WAIT};
use chat_protocol::session::content::SenderSeq;

use crate::queue::{own_receipts, receipts};
use crate::records::streams;
use crate::records::{contacts, events, history};
use crate::rows::held::{AuthorEvent, Buffered, Stream, StreamId};
use crate::rows::{STREAMS, WAITING_STREAMS};
use crate::store::RowsError;
use crate::txn::Txn;

/// Takes what was not seen before and lets everything take effect that its number allows.
pub(crate) fn arrived(
    txn: &mut Txn<'_>,
    stream_id: &StreamId,
    seq: &SenderSeq,
    said: AuthorEvent,
) -> Result<(), RowsError> {
    let mut stream = match streams::stream(txn, &stream_id.chat, &stream_id.device)? {
        Some(stream) if stream.epoch > seq.epoch => return said.late(true).take_effect(txn),
        Some(stream) if stream.epoch == seq.epoch => stream,
        Some(ended) => end(txn, stream_id, ended).map(|()| Stream::begun(seq))?,
        None => Stream::begun(seq),
    };
    if seq.n > stream.next {
        put(txn, stream_id, &stream)?;
        return wait(txn, stream_id, seq.n, said);
    }
    if seq.n < stream.next {
        let late = give_back(&mut stream, seq.n);
        said.late(late).take_effect(txn)?;
        return put(txn, stream_id, &stream);
    }
    said.take_effect(txn)?;
    stream.next += 1;
    follow(txn, stream_id, &mut stream)
}

/// Something came again that is known by its id: its number counts, also if it has another one since its author
/// lost its state. What waits under that number goes on waiting.
pub(crate) fn repeated(txn: &mut Txn<'_>, stream_id: &StreamId, seq: &SenderSeq) -> Result<(), RowsError> {
    let current =
        streams::stream(txn, &stream_id.chat, &stream_id.device)?.is_some_and(|stream| stream.epoch == seq.epoch);
    let waits = stream_id.buffered().has(txn.rows, &seq.n)?;
    if current && waits { Ok(()) } else { arrived(txn, stream_id, seq, AuthorEvent::Unheard) }
}

/// The author lost its state and counts from the beginning: what waited will not become complete.
fn end(txn: &mut Txn<'_>, stream_id: &StreamId, mut stream: Stream) -> Result<(), RowsError> {
    while let Some((n, _)) = stream_id.buffered().first(txn.rows)? {
        give_up(txn, stream_id, &mut stream, n)?;
    }
    Ok(())
}

/// Takes `n` off the list of numbers given up.
fn give_back(stream: &mut Stream, n: u64) -> bool {
    let before = stream.given_up.len();
    stream.given_up.retain(|known| *known != n);
    stream.given_up.len() < before
}

fn put(txn: &mut Txn<'_>, stream_id: &StreamId, stream: &Stream) -> Result<(), RowsError> {
    STREAMS.of(&stream_id.chat).put(txn.rows, &stream_id.device, 0, stream)
}

fn wait(txn: &mut Txn<'_>, stream_id: &StreamId, n: u64, said: AuthorEvent) -> Result<(), RowsError> {
    let until = txn.now + ORDER_WAIT;
    let buffered = stream_id.buffered();
    if buffered.has(txn.rows, &n)? {
        // its author gave the number twice: neither takes the other's place
        return said.take_effect(txn);
    }
    buffered.put(txn.rows, &n, n, &Buffered { said, until })?;
    WAITING_STREAMS.put(txn.rows, &stream_id.key(), 0, stream_id)?;
    txn.wake(until);
    Ok(())
}

/// Shows what waited right behind, and keeps the stream.
fn follow(txn: &mut Txn<'_>, stream_id: &StreamId, stream: &mut Stream) -> Result<(), RowsError> {
    let buffered = stream_id.buffered();
    while let Some((n, early)) = buffered.first(txn.rows)? {
        if n != stream.next {
            break;
        }
        buffered.delete(txn.rows, &n)?;
        early.said.take_effect(txn)?;
        stream.next += 1;
    }
    if buffered.is_empty(txn.rows)? {
        WAITING_STREAMS.delete(txn.rows, &stream_id.key())?;
    }
    put(txn, stream_id, stream)
}

/// Gives up gaps that were waited for long enough.
pub(crate) fn give_up_gaps(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    for stream_id in streams::waiting(txn)? {
        give_up_due(txn, &stream_id)?;
    }
    Ok(())
}

fn give_up_due(txn: &mut Txn<'_>, stream_id: &StreamId) -> Result<(), RowsError> {
    while let Some((n, early)) = stream_id.buffered().first(txn.rows)? {
        if !txn.is_time(early.until) {
            txn.wake(early.until);
            break;
        }
        let Some(mut stream) = streams::stream(txn, &stream_id.chat, &stream_id.device)? else { break };
        give_up(txn, stream_id, &mut stream, n)?;
        match (stream_id.user == txn.me.user, history::peer(&stream_id.chat)) {
            (false, _) => receipts::schedule(txn, &stream_id.user, &stream_id.device)?,
            (true, peer) => {
                own_receipts::schedule(txn, &stream_id.device, &peer.unwrap_or_else(|| stream_id.user.clone()), None)?
            }
        }
    }
    Ok(())
}

/// Says that everything before `n` is missing, and goes on with `n`.
fn give_up(txn: &mut Txn<'_>, stream_id: &StreamId, stream: &mut Stream, n: u64) -> Result<(), RowsError> {
    let missing = n.saturating_sub(stream.next);
    if missing > 0 {
        if !contacts::is_blocked(txn.rows, &stream_id.user)? {
            events::missing(txn, &stream_id.chat, &stream_id.user, missing)?;
        }
        let newest = n.saturating_sub(MAX_GIVEN_UP as u64).max(stream.next);
        stream.given_up.extend(newest..n);
        let surplus = stream.given_up.len().saturating_sub(MAX_GIVEN_UP);
        stream.given_up.drain(..surplus);
    }
    stream.next = n;
    follow(txn, stream_id, stream)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chat_protocol::ids::{DeviceId, MessageId};

    use super::*;
    use crate::harness::{Harness, bob};
    use crate::records::history::Message;

    fn stream_id() -> StreamId {
        StreamId { chat: history::private(&bob()), user: bob(), device: DeviceId::new([2; 16]) }
    }

    /// Bob says something under a number of an epoch.
    fn says(alice: &mut Harness, epoch: u64, n: u64) {
        alice.step(|txn| {
            let id = MessageId::new((u128::from(epoch) << 64 | u128::from(n)).to_be_bytes());
            let message = Message::text(id, stream_id().chat, bob(), n.to_string(), txn);
            let seq = SenderSeq { epoch, n, first: None };
            arrived(txn, &stream_id(), &seq, AuthorEvent::Message(Box::new(message)))
        });
    }

    fn waits(alice: &mut Harness, span: Duration) {
        alice.passes(span);
        alice.step(give_up_gaps);
    }

    /// What is shown, from the first: `late` behind what had been given up.
    fn shown(alice: &Harness) -> Vec<String> {
        let page = history::page(&alice.rows, &stream_id().chat, 0..=u64::MAX, crate::store::Direction::Ascending, 99);
        let words = |message: Message| if message.late { format!("{} late", message.text) } else { message.text };
        page.unwrap().into_iter().map(|(_, message)| words(message)).collect()
    }

    #[test]
    fn what_comes_too_early_waits_for_what_was_said_before_it() {
        let mut alice = Harness::new();
        for (n, then) in [(3, &[][..]), (2, &[]), (1, &["1", "2", "3"]), (4, &["1", "2", "3", "4"])] {
            says(&mut alice, 1, n);
            assert_eq!(shown(&alice), then, "after {n}");
        }
        assert!(alice.step(|txn| streams::waiting(txn)).is_empty());
    }

    #[test]
    fn a_gap_is_given_up_after_its_time_and_told_and_what_comes_after_all_is_late() {
        let mut alice = Harness::new();
        says(&mut alice, 1, 1);
        says(&mut alice, 1, 4);
        waits(&mut alice, ORDER_WAIT - Duration::from_millis(1));
        assert_eq!(shown(&alice), ["1"]);
        assert_eq!(alice.due_in(), Some(Duration::from_millis(1)));
        waits(&mut alice, Duration::from_millis(1));
        assert_eq!(shown(&alice), ["1", "4"]);
        let told = events::after(&alice.rows, 0, 99).unwrap();
        assert!(told.iter().any(|event| event.kind == "message.missing"), "{told:?}");
        says(&mut alice, 1, 2);
        says(&mut alice, 1, 5);
        assert_eq!(shown(&alice), ["1", "4", "2 late", "5"]);
        let stream = alice.step(|txn| streams::stream(txn, &stream_id().chat, &stream_id().device)).unwrap();
        assert_eq!((stream.next, stream.given_up), (6, vec![3]));
    }

    #[test]
    fn a_lost_state_begins_anew_and_ends_what_waited() {
        let mut alice = Harness::new();
        says(&mut alice, 1, 2);
        assert_eq!(shown(&alice), <[&str; 0]>::default());
        says(&mut alice, 2, 1);
        assert_eq!(shown(&alice), ["2", "1"], "what waited is shown before the new epoch begins");
        says(&mut alice, 1, 3);
        assert_eq!(shown(&alice), ["2", "1", "3 late"], "of an epoch that is over");
    }

    #[test]
    fn however_much_is_given_up_a_bounded_part_is_remembered() {
        let mut alice = Harness::new();
        let far = 3 * MAX_GIVEN_UP as u64;
        for n in [far, 2 * far] {
            says(&mut alice, 1, n);
            waits(&mut alice, ORDER_WAIT);
            let stream = alice.step(|txn| streams::stream(txn, &stream_id().chat, &stream_id().device)).unwrap();
            assert_eq!((stream.next, stream.given_up.len()), (n + 1, MAX_GIVEN_UP));
            assert_eq!(stream.given_up.last(), Some(&(n - 1)), "the newest");
        }
    }
}
