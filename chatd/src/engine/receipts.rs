//! What is owed to a peer's device besides messages: acknowledgements, what was read, signs of life.
//!
//! A debt is a row, so it survives a crash; it is paid by the next content that goes to the device
//! anyway, or by a receipt of its own: at once, then at most every 100 ms.

use std::ops::RangeInclusive;
use std::time::Duration;

use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::limits::MAX_GIVEN_UP;
use chat_protocol::session::content::Ack;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::history::{self, State};
use super::outbox::{self, Cargo, Number};
use super::peers::{self, Recipients};
use super::sessions::{self, Sealed};
use super::state::{decode, load, save};
use super::turn::Turn;
use super::{EngineError, changes};
use crate::store::{Direction, Place, RowsError, Table};

/// Receipts to one device are gathered this long after the last one.
const COALESCE: Duration = Duration::from_millis(100);

/// What is owed to one device.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Debt {
    #[n(0)]
    pub(crate) user: Username,
    #[n(1)]
    pub(crate) device: DeviceId,
    /// When it is due.
    #[n(2)]
    pub(crate) due: Timestamp,
    /// Number of the newest message of the device that was read, if that is to be told.
    #[n(3)]
    pub(crate) read: Option<Number>,
}

fn place(device: &DeviceId) -> Place<'_> {
    Place::new(Table::Outbox, b"owed", device.as_bytes())
}

/// Notes that a device is to hear what arrived from it.
pub(crate) fn owe(turn: &mut Turn<'_>, user: &Username, device: &DeviceId) -> Result<(), RowsError> {
    if load::<Debt>(turn.rows, place(device))?.is_none() {
        note(turn, user, device, None)?;
    }
    Ok(())
}

/// The same, for when it was told in vain.
pub(crate) fn owe_later(
    turn: &mut Turn<'_>,
    user: &Username,
    device: &DeviceId,
    (read, pause): (Option<Number>, Duration),
) -> Result<(), RowsError> {
    let due = turn.now + pause;
    turn.wake(due);
    let read = load::<Debt>(turn.rows, place(device))?.and_then(|debt| debt.read).max(read);
    let debt = Debt { user: user.clone(), device: *device, due, read };
    save(turn.rows, place(device), due.as_millis(), &debt)
}

/// Notes that a device is to hear what was read.
pub(crate) fn owe_read(turn: &mut Turn<'_>, user: &Username, device: &DeviceId, read: Number) -> Result<(), RowsError> {
    note(turn, user, device, Some(read))
}

fn note(turn: &mut Turn<'_>, user: &Username, device: &DeviceId, read: Option<Number>) -> Result<(), RowsError> {
    let due = turn.live.receipts.get(device).map_or(turn.now, |last| (*last + COALESCE).max(turn.now));
    let known = load::<Debt>(turn.rows, place(device))?;
    // one that was told in vain waits out its time
    let due = known.as_ref().map_or(due, |known| known.due.max(due));
    // of what was read the highest number is told, in whatever order it was read
    let read = known.and_then(|debt| debt.read).max(read);
    let debt = Debt { user: user.clone(), device: *device, due, read };
    turn.wake(due);
    save(turn.rows, place(device), due.as_millis(), &debt)
}

/// What is owed to a device, which the content being written will tell; the debt is paid by it.
pub(crate) fn pay(turn: &mut Turn<'_>, device: &DeviceId) -> Result<Option<Debt>, RowsError> {
    let debt = load(turn.rows, place(device))?;
    if debt.is_some() {
        turn.rows.delete(place(device))?;
        turn.live.receipts.insert(*device, turn.now);
    }
    Ok(debt)
}

/// Sends the receipts that are due.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    pay_due(turn, b"owed", settle)
}

/// Settles the debts of a scope, which are ordered by when they are due, while there is room.
pub(crate) fn pay_due<D: for<'b> Decode<'b, ()>>(
    turn: &mut Turn<'_>,
    scope: &[u8],
    settle: impl Fn(&mut Turn<'_>, &D) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    for (due, bytes) in turn.rows.scan(Table::Outbox, scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let due = Timestamp::from_millis(due);
        if !turn.is_time(due) {
            turn.wake(due);
            break;
        }
        if !outbox::has_room(turn)? {
            break;
        }
        settle(turn, &decode(Table::Outbox, &bytes)?)?;
    }
    Ok(())
}

fn settle(turn: &mut Turn<'_>, debt: &Debt) -> Result<(), EngineError> {
    let Recipients::Devices(devices) = peers::recipients(turn, &debt.user)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == debt.device) else {
        turn.rows.delete(place(&debt.device))?;
        return Ok(());
    };
    if !sessions::ready(turn, &[(user.clone(), cert.clone())])? {
        return Ok(());
    }
    let Sealed { heads, to } = sessions::seal_receipt(turn, &user, &cert)?;
    Ok(outbox::submit(turn, heads, to, Cargo::Receipt(user, debt.device, debt.read))?)
}

/// A peer's device tells what it got of the messages this device sent to it.
pub(crate) fn heard(turn: &mut Turn<'_>, by: (&Username, &DeviceId), ack: &Ack) -> Result<(), RowsError> {
    let (Some(covered), (user, _)) = (covered(turn, by, ack)?, by) else { return Ok(()) };
    let scope = outbox::sent_scope(user, ack.epoch);
    let unsure_below = unsure_below(ack);
    for (n, id) in turn.rows.scan(Table::Outbox, &scope, covered, Direction::Ascending, usize::MAX)? {
        let Ok(id) = MessageId::try_from(id.as_slice()) else { continue };
        if ack.given_up.contains(&n) {
            history::advance(turn, &id, State::NotReceived)?;
        } else if n >= unsure_below {
            history::advance(turn, &id, State::Delivered)?;
            changes::delivered(turn, &id)?;
            turn.rows.delete(Place::new(Table::Outbox, &scope, &n.to_be_bytes()))?;
            outbox::await_read(turn, user, (ack.epoch, n), &id)?;
        }
    }
    Ok(())
}

/// A full list of what was given up may leave lower numbers out: of those nothing is concluded.
pub(crate) fn unsure_below(ack: &Ack) -> u64 {
    let full = ack.given_up.len() >= MAX_GIVEN_UP;
    if full { ack.given_up.iter().min().copied().unwrap_or(0) } else { 0 }
}

/// A peer's user has read what a device of theirs got, and nothing that none got.
pub(crate) fn read(turn: &mut Turn<'_>, by: (&Username, &DeviceId), ack: &Ack) -> Result<(), RowsError> {
    let (Some(covered), (user, _)) = (covered(turn, by, ack)?, by) else { return Ok(()) };
    let scope = outbox::unread_scope(user, ack.epoch);
    for (_, id) in turn.rows.scan(Table::Outbox, &scope, covered.clone(), Direction::Ascending, usize::MAX)? {
        let Ok(id) = MessageId::try_from(id.as_slice()) else { continue };
        history::advance(turn, &id, State::Read)?;
    }
    turn.rows.delete_range(Table::Outbox, &scope, covered).map(drop)
}

/// The numbers an acknowledgement covers, if such messages were ever sent: none from before the device was written to.
fn covered(
    turn: &Turn<'_>,
    (user, device): (&Username, &DeviceId),
    ack: &Ack,
) -> Result<Option<RangeInclusive<u64>>, RowsError> {
    let known: Option<Number> = outbox::last_number(turn, user)?;
    if known.is_none_or(|(epoch, last)| ack.epoch != epoch || ack.below > last + 1) {
        tracing::warn!(%user, "acknowledgement of messages that were never sent");
        return Ok(None);
    }
    let first = outbox::owed_from(turn, device, user, ack.epoch)?;
    Ok(first.zip(ack.below.checked_sub(1)).map(|(first, last)| first..=last).filter(|covered| !covered.is_empty()))
}
