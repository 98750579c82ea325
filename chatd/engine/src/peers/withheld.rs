//! Logs that are said to go on, while the server does not show how.
//!
//! ```text
//! named ahead of the pin ──fetched, or told by the peer──▶ what waited is shown
//!          ╰── 60 s ──▶ one event; what waited is shown, and flagged, as is whatever names that head later
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use chat_protocol::ids::{Head, Username};
use chat_protocol::limits::MAX_LOG_ENTRIES;
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::peers::{self, fetch};
use crate::records::events;
use crate::records::pins::{self, Peer};
use crate::txn::Txn;
use crate::txn::live::Subject;

/// How long the server has to show a log that somebody named.
const WAIT: Duration = Duration::from_secs(60);
/// After one head was told of, another one is waited for no earlier: a peer who names a head of its own log that there is
/// not raises an alarm that often. What names one meanwhile is shown flagged.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);

/// How a log that somebody named stands to the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// It is the pinned one, or its beginning.
    Known,
    /// It goes on; the server has until then to show how.
    Awaited(Timestamp),
    /// The server did not show it in time, or it is another history.
    Unknown,
}

/// Somebody has said where the log of `user` stands.
pub(crate) fn announced(txn: &mut Txn<'_>, user: &Username, head: Head) -> Result<Named, EngineError> {
    let Some(table) = peers::table(txn, user)? else { return Ok(Named::Known) };
    if table.contains(txn.rows, head)? {
        return Ok(Named::Known);
    }
    if head.seq <= table.head.seq || head.seq >= MAX_LOG_ENTRIES as u64 {
        return Ok(Named::Unknown);
    }
    let Some(mut peer) = peers::known(txn, user)? else { return Ok(Named::Known) };
    if is_news(txn, &peer, head) {
        peer.withheld = Some(head);
        peer.withheld_since.get_or_insert(txn.now);
        if let Some(withheld) = &mut txn.live.withheld {
            withheld.entry(user.clone()).or_insert(txn.now + WAIT);
        }
        peers::put(txn, &peer)?;
        txn.live.pause.remove(&Subject::Peer(user.clone()));
    }
    fetch::fetch(txn, user)?;
    Ok(peer.withheld_since.map_or(Named::Unknown, |since| Named::Awaited(since + WAIT)))
}

/// Whether a head beyond the pinned log is one to wait for.
fn is_news(txn: &Txn<'_>, peer: &Peer, head: Head) -> bool {
    let Some(withheld) = peer.withheld else { return true };
    match peer.withheld_told {
        _ if peer.withheld_since.is_some() => withheld.seq < head.seq,
        Some(told) => withheld != head && txn.now.since(told) >= AGAIN,
        None => withheld.seq < head.seq,
    }
}

/// The log has grown: what was told is over, and what is still awaited only if it was reached.
pub(crate) fn came(peer: &mut Peer) {
    let seq = peer.pinned.log.head().seq;
    if peer.withheld_since.is_none() || peer.withheld.is_none_or(|withheld| withheld.seq <= seq) {
        (peer.withheld, peer.withheld_since) = (None, None);
    }
}

/// Looks for announced logs that the server does not show.
pub(crate) fn report_withheld_logs(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    let users = match txn.live.withheld.take() {
        Some(users) => users,
        None => pins::all(txn.rows)?.into_iter().map(|peer| (peer.user, txn.now + WAIT)).collect(),
    };
    let mut still = BTreeMap::new();
    for (user, vain) in users {
        if overdue(txn, &user, vain)? {
            still.insert(user, vain);
        }
    }
    txn.live.withheld = Some(still);
    Ok(())
}

/// The server was asked for the log of `user` and had nothing new to show.
pub(crate) fn asked_in_vain(txn: &mut Txn<'_>, user: &Username) {
    if let Some(vain) = txn.live.withheld.as_mut().and_then(|withheld| withheld.get_mut(user)) {
        *vain = txn.now.min(*vain);
    }
}

/// Whether a log is still to be waited for. If that was long enough, and the server was asked in vain, it is told, once.
fn overdue(txn: &mut Txn<'_>, user: &Username, vain: Timestamp) -> Result<bool, EngineError> {
    let Some(mut peer) = peers::known(txn, user)? else { return Ok(false) };
    let Some(since) = peer.withheld_since else { return Ok(false) };
    let due = vain.max(since + WAIT);
    if txn.live.link.is_none() || txn.now < due {
        if due > txn.now {
            txn.wake(due);
        }
        fetch::fetch(txn, user)?;
        return Ok(true);
    }
    (peer.withheld_since, peer.withheld_told) = (None, Some(txn.now));
    peers::put(txn, &peer)?;
    events::log_withheld(txn, user)?;
    Ok(false)
}
