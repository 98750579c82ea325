//! Asking the server who there is.
//!
//! A name that is not there, or has no device yet, may be there a moment later: its owner is just registering. So it is
//! asked for again every few seconds as long as something waits for it, and at once when somebody writes to it or
//! something of it comes. Names that are asked for together share a request, and those that are missing are asked for at
//! the same moments, so that many of them cost hardly more than one.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_LOOKUP_USERS;
use chat_protocol::message::client::Lookup;
use chat_protocol::message::server::{LookedUp, Refusal};
use chat_protocol::rpc::types::FailReason;
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::peers::fetch;
use crate::peers::pin::{PinChange, PinChanges};
use crate::txn::live::{Asked, Missing, Subject};
use crate::txn::{LONGEST_PAUSE, Txn};

/// A missing name is asked for again by itself within this.
const AGAIN: Duration = Duration::from_secs(5);
/// The same for each further thousand of missing names: ten requests in five seconds are a fifth of what a server lets
/// one device ask.
const NAMES_AT_ONCE: usize = 10 * MAX_LOOKUP_USERS;
/// Whoever hurries us has a name asked for at most this often.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// Asks who `user` is, unless the server said a moment ago that there is nobody.
pub(crate) fn look_up(txn: &mut Txn<'_>, user: &Username) {
    if txn.live.link.is_none() || fetch::fetching(txn, user) || txn.paused(&Subject::Peer(user.clone())) {
        return;
    }
    match txn.live.missing.get(user).map(|missing| missing.again) {
        Some(again) if again > txn.now => txn.wake(again),
        _ => drop(txn.live.names.insert(user.clone())),
    }
}

/// Somebody writes to `user`, or something of theirs has come: if they were missing, they may be there by now.
pub(crate) fn hurry(txn: &mut Txn<'_>, user: &Username) {
    let now = txn.now;
    if let Some(missing) = txn.live.missing.get_mut(user) {
        missing.again = missing.again.min(now.max(missing.told + LEAST_PAUSE));
        let again = missing.again;
        txn.wake(again);
    }
}

/// Sends what this pump wants to know, many names in one request.
pub(crate) fn ask_names(txn: &mut Txn<'_>) {
    let mut names = std::mem::take(&mut txn.live.names).into_iter();
    loop {
        let some: BTreeSet<Username> = names.by_ref().take(MAX_LOOKUP_USERS).collect();
        if some.is_empty() {
            return;
        }
        let request = Lookup { users: some.iter().cloned().collect() };
        txn.ask(Asked::Lookup(some), &request);
    }
}

/// The server's answer to a look-up; what follows for the names that are not there.
pub(crate) fn looked_up(
    txn: &mut Txn<'_>,
    users: BTreeSet<Username>,
    answer: &Result<LookedUp, Refusal>,
) -> Result<PinChanges, EngineError> {
    let mut changes = Vec::new();
    for user in users {
        match answer {
            Ok(answer) => changes.extend(looked_at(txn, &user, answer)?),
            Err(refusal) => miss(txn, &user, refusal.retry_after_ms.map(Duration::from_millis)),
        }
    }
    Ok(PinChanges(changes))
}

fn looked_at(txn: &mut Txn<'_>, user: &Username, answer: &LookedUp) -> Result<Option<PinChange>, EngineError> {
    let Some(known) = answer.users.iter().find(|known| known.user == *user) else {
        return Ok(Some(not_there(txn, user)));
    };
    match known.head {
        // an account without a device
        None => miss(txn, user, None),
        Some(head) => {
            txn.live.missing.remove(user);
            // the log that is pinned already has no device either
            if fetch::pinned_at(txn, user, head) { fetch::rest(txn, user)? } else { fetch::fetch(txn, user)? }
        }
    }
    Ok(None)
}

/// There is nobody of that name.
pub(crate) fn not_there(txn: &mut Txn<'_>, user: &Username) -> PinChange {
    miss(txn, user, None);
    txn.live.wanted.remove(user);
    PinChange { fail: Some(FailReason::NotFound), ..PinChange::none(user.clone()) }
}

/// Has a name asked for again with all others that are missing, not before `least` is over, which is at most
/// [`LONGEST_PAUSE`].
fn miss(txn: &mut Txn<'_>, user: &Username, least: Option<Duration>) {
    let now = txn.now;
    txn.live.missing.retain(|_, missing| missing.again > now);
    let rounds = txn.live.missing.len() / NAMES_AT_ONCE + 1;
    let span = AGAIN * u32::try_from(rounds).unwrap_or(u32::MAX);
    let again = next_moment(txn, span).max(now + least.unwrap_or_default().min(LONGEST_PAUSE));
    txn.live.missing.insert(user.clone(), Missing { told: now, again });
    txn.wake(again);
}

/// The next of the moments, so far apart, at which this device asks: another one asks at other moments.
fn next_moment(txn: &Txn<'_>, span: Duration) -> Timestamp {
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    let [first, second, ..] = *txn.me.device.as_bytes();
    let phase = u64::from(u16::from_be_bytes([first, second]));
    let since = txn.now.as_millis().saturating_add(phase) % span;
    txn.now + Duration::from_millis(span - since)
}
