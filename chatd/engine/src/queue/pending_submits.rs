//! Bytes under way: kept until they are answered, and the same every time they are sent.
//!
//! The window is the oldest [`WINDOW`] pending submits. Everything in it was sent on the present connection, up to the
//! first that was put off: a server that is busy is busy for those behind it too, and none overtakes another. What
//! lies behind is sent once the window moves. So the pending submits are looked through when there is a reason, and not at
//! every pump. What waits for room in a mailbox, or failed by itself, is deferred outside the window, so that it
//! holds up nobody else.

use std::time::Duration;

use chat_protocol::cbor;
use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::message::Call;
use chat_protocol::message::client::{Addressed, Submit};
use chat_protocol::time::Timestamp;

use crate::queue::{mailbox_full, posts};
use crate::rows::counter::Counter;
use crate::rows::outbox::{Item, PendingSubmit, SubmitKind};
use crate::rows::{DEFERRED, IN_FLIGHT};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;
use crate::txn::live::Asked;

/// Most submits in flight: enough to keep a link busy, few enough that late encryption stays late.
const WINDOW: u64 = 64;
/// Pause between two looks at deferred pending submits for which the window has no room.
const DEFERRED_PAUSE: Duration = Duration::from_secs(1);

impl SubmitKind {
    /// The one device it goes to, unless it is a message or a post.
    pub(crate) const fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Message(_) | Self::Post(_) => None,
            Self::Receipt(_, device, _) | Self::Profile(_, device) | Self::Log(_, device) | Self::Reset(_, device) => {
                Some(device)
            }
            Self::OwnDevice(pending) => Some(&pending.device),
        }
    }

    /// The same for a single one of the devices it goes to.
    pub(crate) fn only_for(&self, device: &DeviceId) -> Self {
        match self {
            Self::Message(item) => Self::Message(Item { only: Some(*device), ..item.clone() }),
            // everything else goes to one anyway
            other => other.clone(),
        }
    }
}

impl PendingSubmit {
    pub(crate) fn new(submit_id: SubmitId, number: u16, payload: Vec<u8>, kind: SubmitKind) -> Self {
        Self { submit_id, number, payload: payload.into(), kind, after: Timestamp::ZERO, put_off: 0 }
    }
}

/// A submit id nobody has used.
pub(crate) fn next_submit_id(txn: &mut Txn<'_>) -> Result<SubmitId, RowsError> {
    let counter = Counter::Submit.next(txn.rows)?;
    Ok(SubmitId::new(counter, txn.random()))
}

/// Whether another submit fits in the window.
pub(crate) fn has_room(txn: &Txn<'_>) -> Result<bool, RowsError> {
    Ok(count(txn.rows)? < WINDOW)
}

/// Pending submits that were not answered yet.
pub(crate) fn count(rows: &dyn Rows) -> Result<u64, RowsError> {
    IN_FLIGHT.count(rows)
}

/// Puts envelopes under way under a fresh submit id.
pub(crate) fn submit_envelopes(
    txn: &mut Txn<'_>,
    heads: Vec<chat_protocol::message::client::UserHead>,
    to: Vec<Addressed>,
    kind: SubmitKind,
) -> Result<(), RowsError> {
    let submit_id = next_submit_id(txn)?;
    let payload = cbor::encode(&Submit { submit_id, heads, to, group: None });
    submit(txn, PendingSubmit::new(submit_id, Submit::TYPE, payload, kind))
}

/// Keeps a pending submit, and sends it if it is within the window and there is a connection.
pub(crate) fn submit(txn: &mut Txn<'_>, pending: PendingSubmit) -> Result<(), RowsError> {
    keep(txn, &pending)?;
    // where the pending submits are looked through anyway it takes its turn there
    let looked_at = txn.live.link.as_ref().is_some_and(|link| link.pending_submits.is_some());
    if !looked_at && count(txn.rows)? <= WINDOW {
        send(txn, pending);
    }
    Ok(())
}

/// The pending submit with this id, if it was not answered yet.
pub(crate) fn find(txn: &Txn<'_>, id: &SubmitId) -> Result<Option<PendingSubmit>, RowsError> {
    IN_FLIGHT.get(txn.rows, id)
}

/// A pending submit was answered for good.
pub(crate) fn complete(txn: &mut Txn<'_>, pending: &PendingSubmit) -> Result<(), RowsError> {
    leave_window(txn, pending)?;
    mailbox_full::completed(txn, pending)?;
    match pending.kind {
        SubmitKind::Post(_) => posts::completed(txn, &pending.submit_id),
        _ => Ok(()),
    }
}

fn leave_window(txn: &mut Txn<'_>, pending: &PendingSubmit) -> Result<(), RowsError> {
    IN_FLIGHT.delete(txn.rows, &pending.submit_id)?;
    if count(txn.rows)? >= WINDOW {
        look_at(txn, txn.now);
    }
    Ok(())
}

/// Sets a pending submit aside until its time.
pub(crate) fn defer(txn: &mut Txn<'_>, pending: &PendingSubmit) -> Result<(), RowsError> {
    leave_window(txn, pending)?;
    DEFERRED.put(txn.rows, &pending.submit_id, pending.after.as_millis(), pending)?;
    look_at_deferred(txn, pending.after);
    Ok(())
}

/// Pending submits that are set aside.
pub(crate) fn deferred(rows: &dyn Rows) -> Result<u64, RowsError> {
    DEFERRED.count(rows)
}

/// Submits what was set aside until now, in the order it was sealed.
fn resume_deferred(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let Some(due) = txn.live.link.as_ref().and_then(|link| link.deferred) else { return Ok(()) };
    if !txn.is_time(due) {
        txn.wake(due);
        return Ok(());
    }
    let room = usize::try_from(WINDOW.saturating_sub(count(txn.rows)?)).unwrap_or(0);
    let found = DEFERRED.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, room)?;
    let due = found.into_iter().filter(|(after, _)| txn.is_time(Timestamp::from_millis(*after)));
    let mut pending_submits: Vec<_> = due.map(|(_, pending)| pending).collect();
    pending_submits.sort_by_key(|pending| pending.submit_id.counter());
    for pending in pending_submits {
        DEFERRED.delete(txn.rows, &pending.submit_id)?;
        submit(txn, pending)?;
    }
    if let Some(link) = &mut txn.live.link {
        link.deferred = None;
    }
    if let Some((next, _)) = DEFERRED.first(txn.rows)? {
        // what found no room in the window is looked at when something lands
        look_at_deferred(txn, Timestamp::from_millis(next).max(txn.now + DEFERRED_PAUSE));
    }
    Ok(())
}

fn look_at_deferred(txn: &mut Txn<'_>, at: Timestamp) {
    if let Some(link) = &mut txn.live.link {
        link.deferred = Some(link.deferred.map_or(at, |known| known.min(at)));
    }
    txn.wake(at);
}

/// Keeps a pending submit that is not to be sent before its time.
pub(crate) fn put_off(txn: &mut Txn<'_>, pending: &PendingSubmit) -> Result<(), RowsError> {
    keep(txn, pending)?;
    look_at(txn, pending.after);
    Ok(())
}

/// Sends what the window holds and the connection does not have yet.
pub(crate) fn repeat(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    resume_deferred(txn)?;
    let Some(due) = txn.live.link.as_ref().and_then(|link| link.pending_submits) else { return Ok(()) };
    if !txn.is_time(due) {
        txn.wake(due);
        return Ok(());
    }
    if let Some(link) = &mut txn.live.link {
        link.pending_submits = None;
    }
    let window = usize::try_from(WINDOW).unwrap_or(usize::MAX);
    for (_, pending) in IN_FLIGHT.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, window)? {
        if !txn.is_time(pending.after) {
            look_at(txn, pending.after);
            break;
        }
        send(txn, pending);
    }
    Ok(())
}

/// Has the pending submits looked through at `at`, or before.
fn look_at(txn: &mut Txn<'_>, at: Timestamp) {
    if let Some(link) = &mut txn.live.link {
        link.pending_submits = Some(link.pending_submits.map_or(at, |known| known.min(at)));
    }
    txn.wake(at);
}

fn keep(txn: &mut Txn<'_>, pending: &PendingSubmit) -> Result<(), RowsError> {
    IN_FLIGHT.put(txn.rows, &pending.submit_id, pending.submit_id.counter(), pending)
}

fn send(txn: &mut Txn<'_>, pending: PendingSubmit) {
    let payload = pending.payload.0;
    txn.ask_raw(Asked::PendingSubmit(pending.submit_id), pending.number, || payload);
}

#[cfg(test)]
mod tests {
    use chat_protocol::ids::DeviceId;

    use super::*;
    use crate::harness::{Harness, bob};
    use crate::txn::action::Action;

    const A_WHILE: Duration = Duration::from_secs(10);

    /// Something to be sent, which can be told by its one byte.
    fn made(alice: &mut Harness, byte: u8) -> PendingSubmit {
        let id = alice.step(next_submit_id);
        PendingSubmit::new(id, 1, vec![byte], SubmitKind::Profile(bob(), DeviceId::new([2; 16])))
    }

    /// The bytes of what a step sends, in order.
    fn sent(alice: &mut Harness, step: impl FnOnce(&mut Txn<'_>) -> Result<(), RowsError>) -> Vec<u8> {
        let payload = |action| match action {
            Action::Request { payload, .. } => payload,
            other => panic!("{other:?}"),
        };
        alice.acts(step).1.into_iter().flat_map(payload).collect()
    }

    fn submitted(alice: &mut Harness, byte: u8) -> (PendingSubmit, Vec<u8>) {
        let pending = made(alice, byte);
        let sent = sent(alice, |txn| submit(txn, pending.clone()));
        (pending, sent)
    }

    #[test]
    fn no_more_than_the_window_is_under_way_and_the_next_goes_when_one_lands() {
        let mut alice = Harness::new();
        alice.comes_online();
        alice.step(repeat);
        let first = submitted(&mut alice, 0);
        assert_eq!(first.1, [0]);
        (1..WINDOW as u8).for_each(|byte| assert_eq!(submitted(&mut alice, byte).1, [byte]));
        assert_eq!(submitted(&mut alice, WINDOW as u8).1, [0; 0]);
        assert!(!alice.step(|txn| has_room(txn)));
        assert_eq!(sent(&mut alice, repeat), [0; 0], "what is under way is not asked again");
        assert_eq!(sent(&mut alice, |txn| complete(txn, &first.0)), [0; 0]);
        assert_eq!(sent(&mut alice, repeat), [WINDOW as u8]);
    }

    #[test]
    fn what_was_not_answered_goes_again_as_it_was_on_the_next_connection() {
        let mut alice = Harness::new();
        (1..=3).for_each(|byte| assert_eq!(submitted(&mut alice, byte).1, [0; 0]));
        for _ in 0..2 {
            alice.comes_online();
            assert_eq!(sent(&mut alice, repeat), [1, 2, 3]);
        }
        alice.restarts();
        alice.comes_online();
        assert_eq!(sent(&mut alice, repeat), [1, 2, 3], "the rows know it all");
    }

    #[test]
    fn what_is_put_off_is_overtaken_by_none_behind_it() {
        let mut alice = Harness::new();
        submitted(&mut alice, 1);
        let second = submitted(&mut alice, 2).0;
        submitted(&mut alice, 3);
        let after = alice.step(|txn| Ok::<_, RowsError>(txn.now)) + A_WHILE;
        alice.step(|txn| put_off(txn, &PendingSubmit { after, ..second }));
        alice.comes_online();
        assert_eq!(sent(&mut alice, repeat), [1]);
        alice.passes(A_WHILE - Duration::from_millis(1));
        assert_eq!(sent(&mut alice, repeat), [0; 0]);
        alice.passes(Duration::from_millis(1));
        assert_eq!(sent(&mut alice, repeat), [2, 3]);
    }

    #[test]
    fn what_is_deferred_holds_up_nobody_and_comes_back_in_its_time() {
        let mut alice = Harness::new();
        let first = submitted(&mut alice, 1).0;
        submitted(&mut alice, 2);
        let after = alice.step(|txn| Ok::<_, RowsError>(txn.now)) + A_WHILE;
        alice.comes_online();
        alice.step(|txn| defer(txn, &PendingSubmit { after, ..first }));
        assert_eq!((count(&alice.rows).unwrap(), deferred(&alice.rows).unwrap()), (1, 1));
        assert_eq!(sent(&mut alice, repeat), [2]);
        alice.passes(A_WHILE);
        assert_eq!(sent(&mut alice, repeat), [1]);
        assert_eq!((count(&alice.rows).unwrap(), deferred(&alice.rows).unwrap()), (2, 0));
    }
}
