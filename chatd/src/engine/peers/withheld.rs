//! Logs that are said to go on, while the server does not show how.
//!
//! ```text
//! named ahead of the pin ──fetched, or told by the peer──▶ what waited is shown
//!          ╰── 60 s ──▶ one event; what waited is shown, and flagged, as is whatever names that head later
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use chat_protocol::ids::{DeviceId, Head, Username};
use chat_protocol::limits::MAX_LOG_ENTRIES;
use chat_protocol::message::Blob;
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};

use super::{Peer, all, fetch, known, put};
use crate::engine::sessions::Received;
use crate::engine::state::{Counter, decode, save};
use crate::engine::turn::{Subject, Turn};
use crate::engine::{EngineError, content, events};
use crate::store::{Direction, Place, RowsError, Table};

/// How long the server has to show a log that somebody named.
const WAIT: Duration = Duration::from_secs(60);
/// After one head was told of, another one is waited for no earlier: whoever names what there is not raises an alarm
/// that often.
const AGAIN: Duration = Duration::from_secs(60 * 60);
/// Most messages that wait for a log; the next are shown at once, flagged.
const MOST_WAITING: u64 = 1_000;
const WAITING: &[u8] = b"ahead";

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

/// A message whose author named a log that is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Waiting {
    #[n(0)]
    number: u64,
    #[n(1)]
    user: Username,
    #[n(2)]
    device: DeviceId,
    #[n(3)]
    plaintext: Blob,
}

/// Somebody has said where the log of `user` stands.
pub(crate) fn announced(turn: &mut Turn<'_>, user: &Username, head: Head) -> Result<Named, EngineError> {
    let Some(mut peer) = known(turn, user)? else { return Ok(Named::Known) };
    let log = &peer.pinned.log;
    if log.contains(head) {
        return Ok(Named::Known);
    }
    if head.seq <= log.head().seq || head.seq >= MAX_LOG_ENTRIES as u64 {
        return Ok(Named::Unknown);
    }
    if is_news(turn, &peer, head) {
        peer.withheld = Some(head);
        peer.withheld_since.get_or_insert(turn.now);
        if let Some(withheld) = &mut turn.live.withheld {
            withheld.entry(user.clone()).or_insert(turn.now + WAIT);
        }
        put(turn, &peer)?;
        turn.live.pause.remove(&Subject::Peer(user.clone()));
    }
    fetch(turn, user)?;
    Ok(peer.withheld_since.map_or(Named::Unknown, |since| Named::Awaited(since + WAIT)))
}

/// Whether a head beyond the pinned log is one to wait for.
fn is_news(turn: &Turn<'_>, peer: &Peer, head: Head) -> bool {
    let Some(withheld) = peer.withheld else { return true };
    match peer.withheld_told {
        _ if peer.withheld_since.is_some() => withheld.seq < head.seq,
        Some(told) => withheld != head && turn.now.since(told) >= AGAIN,
        None => withheld.seq < head.seq,
    }
}

/// Lets a message wait for the log its author named; false if too many wait.
pub(crate) fn wait(turn: &mut Turn<'_>, received: &Received, until: Timestamp) -> Result<bool, RowsError> {
    if until <= turn.now || turn.rows.count(Table::Held, WAITING)? >= MOST_WAITING {
        return Ok(false);
    }
    let number = Counter::Ahead.next(turn.rows)?;
    let plaintext = received.plaintext.to_vec().into();
    let waiting = Waiting { number, user: received.user.clone(), device: received.device, plaintext };
    save(turn.rows, place(&number.to_be_bytes()), until.as_millis(), &waiting)?;
    turn.wake(until);
    Ok(true)
}

fn place(key: &[u8; 8]) -> Place<'_> {
    Place::new(Table::Held, WAITING, key)
}

/// The log has grown: what was told is over, and what is still awaited only if it was reached.
pub(super) fn came(peer: &mut Peer) {
    let seq = peer.pinned.log.head().seq;
    if peer.withheld_since.is_none() || peer.withheld.is_none_or(|withheld| withheld.seq <= seq) {
        (peer.withheld, peer.withheld_since) = (None, None);
    }
}

/// Shows what waited for the log of `user`, as far as that is known now.
pub(super) fn release(turn: &mut Turn<'_>, user: &Username) -> Result<(), EngineError> {
    for (until, bytes) in turn.rows.scan(Table::Held, WAITING, 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let waiting: Waiting = decode(Table::Held, &bytes)?;
        if waiting.user == *user {
            turn.rows.delete(place(&waiting.number.to_be_bytes()))?;
            content::come(turn, &waiting.received(), Some(Timestamp::from_millis(until)))?;
        }
    }
    Ok(())
}

impl Waiting {
    fn received(self) -> Received {
        Received { user: self.user, device: self.device, plaintext: self.plaintext.0.into() }
    }
}

/// Shows what has waited long enough, and looks for announced logs that the server does not show.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    show_overdue(turn)?;
    let users = match turn.live.withheld.take() {
        Some(users) => users,
        None => all(turn.rows)?.into_iter().map(|peer| (peer.user, turn.now + WAIT)).collect(),
    };
    let mut still = BTreeMap::new();
    for (user, vain) in users {
        if overdue(turn, &user, vain)? {
            still.insert(user, vain);
        }
    }
    turn.live.withheld = Some(still);
    Ok(())
}

/// The server was asked for the log of `user` and had nothing new to show.
pub(super) fn asked_in_vain(turn: &mut Turn<'_>, user: &Username) {
    if let Some(vain) = turn.live.withheld.as_mut().and_then(|withheld| withheld.get_mut(user)) {
        *vain = turn.now.min(*vain);
    }
}

fn show_overdue(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    let now = turn.now.as_millis();
    for (_, bytes) in turn.rows.scan(Table::Held, WAITING, 0..=now, Direction::Ascending, usize::MAX)? {
        let waiting: Waiting = decode(Table::Held, &bytes)?;
        turn.rows.delete(place(&waiting.number.to_be_bytes()))?;
        content::come(turn, &waiting.received(), None)?;
    }
    let next = turn.rows.scan(Table::Held, WAITING, 0..=u64::MAX, Direction::Ascending, 1)?;
    if let Some((until, _)) = next.first() {
        turn.wake(Timestamp::from_millis(*until));
    }
    Ok(())
}

/// Whether a log is still to be waited for. If that was long enough, and the server was asked in vain, it is told, once.
fn overdue(turn: &mut Turn<'_>, user: &Username, vain: Timestamp) -> Result<bool, EngineError> {
    let Some(mut peer) = known(turn, user)? else { return Ok(false) };
    let Some(since) = peer.withheld_since else { return Ok(false) };
    let due = vain.max(since + WAIT);
    if turn.live.link.is_none() || turn.now < due {
        if due > turn.now {
            turn.wake(due);
        }
        fetch(turn, user)?;
        return Ok(true);
    }
    (peer.withheld_since, peer.withheld_told) = (None, Some(turn.now));
    put(turn, &peer)?;
    events::log_withheld(turn, user)?;
    Ok(false)
}
