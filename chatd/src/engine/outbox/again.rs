//! Sending again what a device may not have been able to open.
//!
//! It keeps its id and its number, so that it is shown once and in its place. Where the peer asked for it by a reset,
//! each message goes again once, and only while it is young: nobody draws old ones out of this device.

use std::time::Duration;

use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::time::Timestamp;

use super::{Item, put_back, sent_scope};
use crate::engine::history::{self, State};
use crate::engine::state::Counter;
use crate::engine::turn::Turn;
use crate::engine::{EngineError, changes};
use crate::store::{Direction, Place, RowsError, Table};

/// Older messages do not go again by themselves.
const RESENT_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Marks of what went again, kept as long as it could be asked for.
const MARKS: &[u8] = b"again";

/// Whether anything sent to a user was not acknowledged.
pub(crate) fn is_unacknowledged(turn: &Turn<'_>, user: &Username) -> Result<bool, RowsError> {
    let epoch = Counter::Epoch.get(turn.rows)?;
    Ok(turn.rows.count(Table::Outbox, &sent_scope(user, epoch))? > 0)
}

/// Sends a device everything that was not acknowledged.
pub(crate) fn send_unacknowledged(turn: &mut Turn<'_>, user: &Username, device: &DeviceId) -> Result<(), EngineError> {
    for (item, _) in unacknowledged(turn, user, device)? {
        put_back(turn, &item)?;
    }
    Ok(())
}

/// The device says that it could not open what it got: once for each message, and for young ones only.
pub(crate) fn was_reset(turn: &mut Turn<'_>, user: &Username, device: &DeviceId) -> Result<(), EngineError> {
    let oldest = turn.now - RESENT_WITHIN;
    turn.rows.delete_range(Table::Outbox, MARKS, 0..=oldest.as_millis())?;
    for (item, said) in unacknowledged(turn, user, device)? {
        let key = [device.as_bytes().as_slice(), item.id.as_bytes()].concat();
        let mark = Place::new(Table::Outbox, MARKS, &key);
        if said > oldest && turn.rows.get(mark)?.is_none() {
            turn.rows.put(mark, said.as_millis(), &[])?;
            put_back(turn, &item)?;
        }
    }
    Ok(())
}

/// What was sealed for a user and not acknowledged, as items for one device, and when each was said.
fn unacknowledged(
    turn: &mut Turn<'_>,
    user: &Username,
    device: &DeviceId,
) -> Result<Vec<(Item, Timestamp)>, EngineError> {
    let epoch = Counter::Epoch.get(turn.rows)?;
    let scope = sent_scope(user, epoch);
    let mut items = Vec::new();
    for (n, id) in turn.rows.scan(Table::Outbox, &scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let Ok(id) = MessageId::try_from(id.as_slice()) else { continue };
        let Some(said) = said(turn, &id)? else { continue };
        let (position, number) = (Counter::Outbox.next(turn.rows)?, Some((epoch, n)));
        let only = Some(*device);
        items.push((Item { position, id, to: user.clone(), number, refused: 0, after: Timestamp::ZERO, only }, said));
    }
    Ok(items)
}

/// When something that is with the server was said; `None` for what waits, has ended, or is gone.
fn said(turn: &Turn<'_>, id: &MessageId) -> Result<Option<Timestamp>, RowsError> {
    if let Some((_, message)) = history::get(turn.rows, id)? {
        let under_way = matches!(message.state, State::Accepted | State::NotReceived);
        return Ok(Some(message.sent).filter(|_| under_way));
    }
    Ok(changes::submitted(turn, id)?.map(|change| change.at))
}
