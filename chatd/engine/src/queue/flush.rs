//! Sends the receipts that are due.

use chat_protocol::time::Timestamp;
use minicbor::Decode;

use crate::model::error::EngineError;
use crate::model::rows::decode;
use crate::peers::{self, Recipients};
use crate::queue::own_receipts::{self, OWED, PendingOwnReceipt};
use crate::queue::pending_submits;
use crate::queue::receipts::{self, PendingReceipt};
use crate::queue::sealing::{self, Sealed};
use crate::queue::submit_kind::SubmitKind;
use crate::sessions;
use crate::store::{Direction, Place, Table};
use crate::turn::Turn;

/// Sends the receipts that are due.
pub(crate) fn flush_receipts(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    flush_due(turn, b"owed", send_receipt)
}

/// Sends the pending receipts of a scope, which are ordered by when they are due, while there is room.
fn flush_due<D: for<'b> Decode<'b, ()>>(
    turn: &mut Turn<'_>,
    scope: &[u8],
    send: impl Fn(&mut Turn<'_>, &D) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    for (due, bytes) in turn.rows.scan(Table::Outbox, scope, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let due = Timestamp::from_millis(due);
        if !turn.is_time(due) {
            turn.wake(due);
            break;
        }
        if !pending_submits::has_room(turn)? {
            break;
        }
        send(turn, &decode(Table::Outbox, &bytes)?)?;
    }
    Ok(())
}

fn send_receipt(turn: &mut Turn<'_>, pending: &PendingReceipt) -> Result<(), EngineError> {
    let Recipients::Devices(devices) = peers::recipients(turn, &pending.user)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == pending.device) else {
        turn.rows.delete(receipts::place(&pending.device))?;
        return Ok(());
    };
    if !sessions::ready(turn, &[(user.clone(), cert.clone())])? {
        return Ok(());
    }
    let Sealed { heads, to } = sealing::seal_receipt(turn, &user, &cert)?;
    Ok(pending_submits::submit_envelopes(turn, heads, to, SubmitKind::Receipt(user, pending.device, pending.read))?)
}

/// Sends the receipts that are due.
pub(crate) fn flush_own_receipts(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    flush_due(turn, OWED, send_own_receipt)
}

fn send_own_receipt(turn: &mut Turn<'_>, owed: &PendingOwnReceipt) -> Result<(), EngineError> {
    let me = turn.me.user.clone();
    let key = own_receipts::key_of(&owed.device, &owed.peer);
    let Recipients::Devices(devices) = peers::recipients(turn, &me)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == owed.device) else {
        turn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
        return Ok(());
    };
    if !sessions::ready(turn, &[(user, cert.clone())])? {
        return Ok(());
    }
    let (told, later) = owed.parts();
    let Sealed { heads, to } = sealing::seal_own_receipt(turn, &cert, &told)?;
    turn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
    if let Some(later) = later {
        own_receipts::schedule_again(turn, &later)?;
    }
    Ok(pending_submits::submit_envelopes(turn, heads, to, SubmitKind::OwnDevice(told))?)
}
