//! Asking the server for account logs, and how they go on.

use std::time::Duration;

use chat_protocol::ids::{Head, Username};
use chat_protocol::limits::MAX_LOG_ENTRIES;
use chat_protocol::message::Blob;
use chat_protocol::message::client::{LogFetch, UserHead};
use chat_protocol::message::server::{Code, LogPage, Refusal};

use crate::model::error::EngineError;
use crate::peers::pin::{self, Effect, PinChanges};
use crate::peers::{self, names, withheld};
use crate::records::device_tables;
use crate::txn::Txn;
use crate::txn::live::{Asked, Subject};

/// Pause before a log is asked for again that gave nothing usable.
const LOG_PAUSE: Duration = Duration::from_secs(60);
/// Pause before the server is asked again for a log that is said to go on.
const WITHHELD_PAUSE: Duration = Duration::from_secs(10);

pub(crate) fn fetching(txn: &Txn<'_>, user: &Username) -> bool {
    txn.live.names.contains(user) || txn.live.link.as_ref().is_some_and(|link| link.requests.is_fetching(user))
}

/// Asks for the entries after the pinned ones.
pub(crate) fn fetch(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    if fetching(txn, user) || txn.paused(&Subject::Peer(user.clone())) {
        return Ok(());
    }
    let from = device_tables::get(txn.rows, user)?.map_or(0, |table| table.head.seq + 1);
    fetch_from(txn, user, from);
    Ok(())
}

fn fetch_from(txn: &mut Txn<'_>, user: &Username, from: u64) {
    txn.live.pages.remove(user);
    txn.ask(Asked::Log(user.clone(), from), &LogFetch { user: user.clone(), from });
}

/// Fetches the pinned logs that the server says stand elsewhere; says whether there is one that is not just shorter. Logs
/// of strangers are not fetched, and so not stored, because the server names them.
pub(crate) fn refresh(txn: &mut Txn<'_>, heads: &[UserHead]) -> Result<bool, EngineError> {
    let mut grown = false;
    for UserHead { user, head } in heads {
        let Some(pinned) = device_tables::get(txn.rows, user)?.map(|table| table.head) else { continue };
        if pinned != *head {
            grown |= pinned.seq <= head.seq;
            // whoever says that a log goes on is asked how, however lately that was done
            if pinned.seq < head.seq {
                txn.live.pause.remove(&Subject::Peer(user.clone()));
            }
            fetch(txn, user)?;
        }
    }
    Ok(grown)
}

/// Nothing new is to be had for a while.
pub(crate) fn rest(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    let awaited = peers::known(txn, user)?.is_some_and(|peer| peer.withheld_since.is_some());
    withheld::asked_in_vain(txn, user);
    txn.pause(Subject::Peer(user.clone()), if awaited { WITHHELD_PAUSE } else { LOG_PAUSE });
    Ok(())
}

pub(crate) fn pinned_at(txn: &Txn<'_>, user: &Username, head: Head) -> bool {
    device_tables::get(txn.rows, user).ok().flatten().is_some_and(|table| table.head == head)
}

/// Some entries of a log, as asked for from `from` on; what follows if the pinned one is another by now.
pub(crate) fn fetched(
    txn: &mut Txn<'_>,
    user: &Username,
    from: u64,
    answer: Result<LogPage, Refusal>,
) -> Result<PinChanges, EngineError> {
    let page = match answer {
        Ok(page) => page,
        Err(refusal) => {
            if refusal.code == Code::NotFound && device_tables::get(txn.rows, user)?.is_none() {
                return Ok(Some(names::not_there(txn, user)).into());
            }
            return rest(txn, user).map(|()| PinChanges::default());
        }
    };
    let (start, mut entries) = txn.live.pages.remove(user).unwrap_or((from, Vec::new()));
    let empty = page.entries.is_empty();
    entries.extend(page.entries);
    let next = start + entries.len() as u64;
    if !empty && next <= page.head.seq && entries.len() < MAX_LOG_ENTRIES {
        txn.live.pages.insert(user.clone(), (start, entries));
        txn.ask(Asked::Log(user.clone(), next), &LogFetch { user: user.clone(), from: next });
        return Ok(PinChanges::default());
    }
    apply_fetched_log(txn, user, start, &entries, page.head)
}

/// Everything after the pin was read, or the whole log.
fn apply_fetched_log(
    txn: &mut Txn<'_>,
    user: &Username,
    start: u64,
    entries: &[Blob],
    head: Head,
) -> Result<PinChanges, EngineError> {
    if pinned_at(txn, user, head) {
        return rest(txn, user).map(|()| PinChanges::default());
    }
    let changes = match start {
        0 => pin::apply_shown_log(txn, user, entries)?,
        _ => match pin::continued(txn, user, entries)? {
            Effect::Moved(change) => Some(change).into(),
            Effect::None => PinChanges::default(),
            Effect::Foreign => {
                // what does not follow from the pin may still be a whole log of its own
                fetch_from(txn, user, 0);
                return Ok(PinChanges::default());
            }
        },
    };
    if changes.0.is_empty() {
        rest(txn, user)?;
    }
    Ok(changes)
}
