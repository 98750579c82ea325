//! Which posts were taken, under whatever number; and as what the own ones were sent.
//!
//! Kept twice as long as a server keeps posts by default, and the newest ones for good: what a server shows again, the
//! newest ones or what it has not let go of, is known.

use std::time::Duration;

use chat_protocol::ids::{MessageId, SubmitId};
use chat_protocol::time::Timestamp;

use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Posts that were taken.
const TAKEN: &[u8] = b"shown";
/// Own ones, by the submit that carries them.
const SENT: &[u8] = b"posts";
/// How long a post is known …
const KEPT: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// … and of about how many newest ones that is so for good.
const NEWEST: u64 = 1_000;
/// Most that go at once, but for those of one moment; the rest follow in transactions of their own.
const STEP: usize = 256;

fn place(id: &MessageId) -> Place<'_> {
    Place::new(Table::Room, TAKEN, id.as_bytes())
}

/// A post is taken.
pub(super) fn note(rows: &mut dyn Rows, id: &MessageId, now: Timestamp) -> Result<(), RowsError> {
    rows.put(place(id), now.as_millis(), &[])
}

/// Whether it was taken before.
pub(super) fn is_known(rows: &dyn Rows, id: &MessageId) -> Result<bool, RowsError> {
    Ok(rows.get(place(id))?.is_some())
}

/// An own message goes to the room under a submit.
pub(super) fn sent(rows: &mut dyn Rows, submit: &SubmitId, id: &MessageId, now: Timestamp) -> Result<(), RowsError> {
    let place = Place::new(Table::Room, SENT, submit.as_bytes());
    rows.put(place, now.as_millis(), id.as_bytes())
}

/// The message that a submit of this device carried.
pub(super) fn sent_as(rows: &dyn Rows, submit: &SubmitId) -> Result<Option<MessageId>, RowsError> {
    let found = rows.get(Place::new(Table::Room, SENT, submit.as_bytes()))?;
    Ok(found.and_then(|id| MessageId::try_from(id.as_slice()).ok()))
}

/// Lets go of a step of posts that no server shows any more, and of own ones before the first that `waits` to be sent.
/// Says whether there may be more.
pub(super) fn forget(
    rows: &mut dyn Rows,
    now: Timestamp,
    waits: impl Fn(&dyn Rows, &[u8]) -> Result<bool, RowsError>,
) -> Result<bool, RowsError> {
    let old = (now - KEPT).as_millis();
    Ok(step(rows, TAKEN, old, |_, _| Ok(false))? | step(rows, SENT, old, waits)?)
}

fn step(
    rows: &mut dyn Rows,
    scope: &[u8],
    old: u64,
    needed: impl Fn(&dyn Rows, &[u8]) -> Result<bool, RowsError>,
) -> Result<bool, RowsError> {
    let spare = rows.count(Table::Room, scope)?.saturating_sub(NEWEST);
    let most = STEP.min(usize::try_from(spare).unwrap_or(STEP));
    let found = rows.scan(Table::Room, scope, 0..=old, Direction::Ascending, most)?;
    let Some(mut last) = found.last().map(|(order, _)| *order) else { return Ok(false) };
    for (order, value) in &found {
        if needed(rows, value)? {
            last = last.min(order.saturating_sub(1));
            break;
        }
    }
    Ok(rows.delete_range(Table::Room, scope, 0..=last)? >= STEP as u64)
}
