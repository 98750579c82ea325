//! Which INITs are to be looked at, and when: the row of each says what decides, so that what waits costs nobody a pass
//! over it, and a start reads none of it.
//!
//! ```text
//! came ──▶ at once ──nobody can be asked──▶ with a connection
//!            ▲  ├──asked in vain, or its device has begun too many──▶ at a time
//!            │  └──the user decides, or a device ended──▶ when it is too old
//!            ╰──── the author's log or trust changed, or an answer about it came ────
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;

use crate::rows::inbox::{Raw, WaitingInit};
use crate::rows::{ENVELOPES, WAITING_INITS, WAITING_INITS_OF};
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// How long an INIT waits for its author's device to appear in the account log.
pub(crate) const ABSENT_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most that are looked at in one transaction before others have theirs.
pub(crate) const MOST: usize = 64;

/// When an INIT is looked at next. No time is as early as the first two, as which it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// In the next pump.
    AtOnce,
    /// As soon as there is a connection.
    Online,
    /// At a time.
    At(Timestamp),
    /// Once something changes, or when it is too old.
    Never,
}

impl Look {
    fn order(self, init: &WaitingInit) -> u64 {
        let too_old = (init.arrived + ABSENT_KEPT).as_millis().saturating_add(1);
        match self {
            Self::AtOnce => 0,
            Self::Online => 1,
            Self::At(at) => at.as_millis().min(too_old),
            Self::Never => too_old,
        }
    }
}

/// Has an INIT looked at then, and not before.
pub(crate) fn put(txn: &mut Txn<'_>, init: &WaitingInit, look: Look) -> Result<(), RowsError> {
    WAITING_INITS_OF.of(&init.from).put(txn.rows, &init.position, init.position, &())?;
    WAITING_INITS.put(txn.rows, &init.position, look.order(init), init)
}

/// An envelope was opened or dropped.
pub(crate) fn gone(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), RowsError> {
    WAITING_INITS_OF.of(&raw.from).delete(txn.rows, &raw.position)?;
    WAITING_INITS.delete(txn.rows, &raw.position).map(drop)
}

/// Those of one user, in the order they came.
pub(crate) fn of(txn: &Txn<'_>, user: &Username) -> Result<Vec<WaitingInit>, RowsError> {
    let mut found = Vec::new();
    for (position, ()) in WAITING_INITS_OF.of(user).scan(txn.rows, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        found.extend(WAITING_INITS.get(txn.rows, &position)?);
    }
    Ok(found)
}

/// What is known of a user has changed: what waits of theirs may now be opened, or dropped.
pub(crate) fn look_again(txn: &mut Txn<'_>, user: &Username) -> Result<(), RowsError> {
    of(txn, user)?.into_iter().try_for_each(|init| put(txn, &init, Look::AtOnce))
}

/// What is to be looked at now, in the order it came; at most [`MOST`].
pub(crate) fn due(txn: &mut Txn<'_>) -> Result<Vec<WaitingInit>, RowsError> {
    list_once(txn)?;
    let now = txn.now.as_millis();
    let mut due = WAITING_INITS.scan(txn.rows, 0..=0, Direction::Ascending, MOST)?;
    if txn.live.link.is_some() {
        due.extend(WAITING_INITS.scan(txn.rows, 1..=1, Direction::Ascending, MOST - due.len())?);
    }
    due.extend(WAITING_INITS.scan(txn.rows, 2..=now, Direction::Ascending, MOST - due.len())?);
    let mut due: Vec<_> = due.into_iter().map(|(_, init)| init).collect();
    due.sort_by_key(|init| init.position);
    Ok(due)
}

/// Asks to be woken for what is looked at next by itself.
pub(crate) fn wake(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    let next = WAITING_INITS.scan(txn.rows, 2..=u64::MAX, Direction::Ascending, 1)?.pop();
    next.into_iter().for_each(|(at, _)| txn.wake(Timestamp::from_millis(at)));
    Ok(())
}

/// Stores of an earlier version had no such rows: what waits there is listed when it is first looked for.
fn list_once(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if std::mem::replace(&mut txn.live.inits_listed, true) || !WAITING_INITS.is_empty(txn.rows)? {
        return Ok(());
    }
    let mut begun = BTreeSet::new();
    for raw in ENVELOPES.all(txn.rows)? {
        let Some(bytes) = &raw.envelope.init else { continue };
        if begun.insert((raw.device, raw.envelope.sid, bytes.0.clone())) {
            let fingerprint = txn.live.inits_read.read(bytes).map(|init| init.initiator().fingerprint);
            put(txn, &WaitingInit { told: raw.told, ..WaitingInit::of(&raw, fingerprint) }, Look::AtOnce)?;
        }
    }
    Ok(())
}
