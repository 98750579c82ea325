//! Logs that are said to go on, while the server does not show how.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::ids::{Head, Username};

use super::{Peer, all, fetch, fetching, known, put};
use crate::engine::turn::{Subject, Turn};
use crate::engine::{EngineError, events};

/// How long the server has to show a log that somebody named.
const WAIT: Duration = Duration::from_secs(60);

/// Somebody has said where the log of `user` stands.
pub(crate) fn announced(turn: &mut Turn<'_>, user: &Username, head: Head) -> Result<(), EngineError> {
    let Some(mut peer) = known(turn, user)? else { return Ok(()) };
    if head.seq <= peer.pinned.log.head().seq {
        return Ok(());
    }
    if peer.withheld.is_none_or(|withheld| withheld.seq < head.seq) {
        peer.withheld = Some(head);
        peer.withheld_since.get_or_insert(turn.now);
        if let Some(withheld) = &mut turn.live.withheld {
            withheld.insert(user.clone());
        }
        put(turn.rows, &peer)?;
        turn.live.pause.remove(&Subject::Peer(user.clone()));
    }
    fetch(turn, user)
}

/// The log has grown.
pub(super) fn came(peer: &mut Peer) {
    let seq = peer.pinned.log.head().seq;
    if peer.withheld.is_none_or(|withheld| withheld.seq <= seq) {
        (peer.withheld, peer.withheld_since) = (None, None);
    }
}

/// Looks for announced logs that the server does not show.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    let users = match turn.live.withheld.take() {
        Some(users) => users,
        None => all(turn.rows)?.into_iter().map(|peer| peer.user).collect(),
    };
    let mut still = BTreeSet::new();
    for user in users {
        if overdue(turn, &user)? {
            still.insert(user);
        }
    }
    turn.live.withheld = Some(still);
    Ok(())
}

/// Whether a log is still to be waited for. If the server was asked in vain long enough, that is told, once.
fn overdue(turn: &mut Turn<'_>, user: &Username) -> Result<bool, EngineError> {
    let Some(mut peer) = known(turn, user)? else { return Ok(false) };
    let Some(since) = peer.withheld_since else { return Ok(false) };
    let asked = !fetching(turn, user) && turn.paused(&Subject::Peer(user.clone()));
    if turn.live.link.is_none() || !asked || turn.now.since(since) < WAIT {
        if since + WAIT > turn.now {
            turn.wake(since + WAIT);
        }
        fetch(turn, user)?;
        return Ok(true);
    }
    peer.withheld_since = None;
    put(turn.rows, &peer)?;
    events::log_withheld(turn, user)?;
    Ok(false)
}
