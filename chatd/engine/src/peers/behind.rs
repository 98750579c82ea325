//! Logs that go on here and not at the server: it was restored, or never took an entry that somebody told.
//!
//! ```text
//! stale, and it names a beginning of the pinned log ──10 min──▶ an event, once a day for this head
//!          ╰── of the own account ──▶ its devices append again what is lacking
//! ```
//! Until they have, the server takes nothing for that account.

use std::time::Duration;

use chat_protocol::ids::{Head, Username};
use chat_protocol::message::client::UserHead;

use crate::model::error::EngineError;
use crate::peers;
use crate::records::events;
use crate::rows::peers::Lacking;
use crate::txn::{LONGEST_PAUSE, Txn};

/// How long it may go on before the user is told: a device of that account is often back before.
const PATIENCE: Duration = LONGEST_PAUSE;
/// What began longer ago is counted, and told of, anew: it may be another restore.
const ANOTHER: Duration = Duration::from_secs(24 * 60 * 60);

/// The server took nothing, because to it these logs stand there.
pub(crate) fn refused_at(txn: &mut Txn<'_>, heads: &[UserHead]) -> Result<(), EngineError> {
    for UserHead { user, head } in heads {
        let Some(table) = peers::table(txn, user)? else { continue };
        if head.seq < table.head.seq && table.contains(txn.rows, *head)? {
            if *user == txn.me.user {
                txn.live.own_log_at_server = Some(*head);
            }
            note(txn, user, table.head)?;
        }
    }
    Ok(())
}

fn note(txn: &mut Txn<'_>, user: &Username, head: Head) -> Result<(), EngineError> {
    let Some(mut peer) = peers::known(txn, user)? else { return Ok(()) };
    let (now, before) = (txn.now, peer.lacking.take());
    let goes_on = |it: &Lacking| it.head == head && now.since(it.since) < ANOTHER;
    let mut lacking = before.filter(goes_on).unwrap_or(Lacking { head, since: now, told: false });
    let due = !lacking.told && now.since(lacking.since) >= PATIENCE;
    lacking.told |= due;
    if before == Some(lacking) {
        return Ok(());
    }
    peer.lacking = Some(lacking);
    peers::put(txn, &peer)?;
    if due { Ok(events::log_behind(txn, user)?) } else { Ok(()) }
}
