//! Sends the receipts that are due.

use chat_protocol::time::Timestamp;
use minicbor::Decode;

use crate::model::error::EngineError;
use crate::model::rows::decode;
use crate::peers::{self, Recipients};
use crate::queue::own_receipts::{self, OWED, Owed};
use crate::queue::pending_submits;
use crate::queue::receipts::{self, Debt};
use crate::queue::sealing::{self, Sealed};
use crate::queue::submit_kind::SubmitKind;
use crate::sessions;
use crate::store::{Direction, Place, Table};
use crate::turn::Turn;

/// Sends the receipts that are due.
pub(crate) fn flush_receipts(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    pay_due(turn, b"owed", settle_receipt)
}

/// Settles the debts of a scope, which are ordered by when they are due, while there is room.
fn pay_due<D: for<'b> Decode<'b, ()>>(
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
        if !pending_submits::has_room(turn)? {
            break;
        }
        settle(turn, &decode(Table::Outbox, &bytes)?)?;
    }
    Ok(())
}

fn settle_receipt(turn: &mut Turn<'_>, debt: &Debt) -> Result<(), EngineError> {
    let Recipients::Devices(devices) = peers::recipients(turn, &debt.user)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == debt.device) else {
        turn.rows.delete(receipts::place(&debt.device))?;
        return Ok(());
    };
    if !sessions::ready(turn, &[(user.clone(), cert.clone())])? {
        return Ok(());
    }
    let Sealed { heads, to } = sealing::seal_receipt(turn, &user, &cert)?;
    Ok(pending_submits::submit_envelopes(turn, heads, to, SubmitKind::Receipt(user, debt.device, debt.read))?)
}

/// Sends the receipts that are due.
pub(crate) fn flush_own_receipts(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    pay_due(turn, OWED, settle_own_receipt)
}

fn settle_own_receipt(turn: &mut Turn<'_>, owed: &Owed) -> Result<(), EngineError> {
    let me = turn.me.user.clone();
    let key = own_receipts::owed_key(&owed.device, &owed.peer);
    let Recipients::Devices(devices) = peers::recipients(turn, &me)? else { return Ok(()) };
    let Some((user, cert)) = devices.into_iter().find(|(_, cert)| cert.id() == owed.device) else {
        turn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
        return Ok(());
    };
    if !sessions::ready(turn, &[(user, cert.clone())])? {
        return Ok(());
    }
    let (told, later) = owed.parts();
    let Sealed { heads, to } = sealing::seal_for_sibling(turn, &cert, &told)?;
    turn.rows.delete(Place::new(Table::Outbox, OWED, &key))?;
    if let Some(later) = later {
        own_receipts::put_back(turn, &later)?;
    }
    Ok(pending_submits::submit_envelopes(turn, heads, to, SubmitKind::Sibling(told))?)
}
