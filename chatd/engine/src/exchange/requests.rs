//! What somebody writes whom the user does not know is kept back as a request, and comes when they are known.

use std::time::Duration;

use chat_protocol::ids::{Fingerprint, Username};
use chat_protocol::rpc::types::{HeldReason, MessagesFrom};
use chat_protocol::session::content::{Body, Content};

use crate::exchange::content;
use crate::exchange::received::{self, Received};
use crate::model::error::EngineError;
use crate::records::requests::{self, Asking, Taken};
use crate::records::settings::Settings;
use crate::records::{contacts, device_tables, events, seen};
use crate::rows::held::{Request, RequestedMessage};
use crate::store::RowsError;
use crate::txn::Txn;
use crate::{peers, sessions};

/// Most messages that are shown in one transaction; the rest follow in the next.
const STEP: usize = 64;
/// How often requests are looked at that nobody decided about for too long.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Keeps a message back whose author is not known; false for all others.
pub(crate) fn keep_back(
    txn: &mut Txn<'_>,
    received: &Received,
    content: &Content,
    author: Fingerprint,
) -> Result<bool, RowsError> {
    if !contacts::keeps_back(txn, &received.user)? {
        return Ok(false);
    }
    // what was shown before is there already, and is acknowledged to nobody who is not known
    if seen::was_seen(txn.rows, &author, &content.id)? {
        return Ok(true);
    }
    let (speaks, text) = match &content.body {
        Body::Text(said) => (true, Some((&said.text, said.ttl_s))),
        Body::Reply(said) => (true, Some((&said.text, said.ttl_s))),
        _ => (false, None),
    };
    // what is to live for a time only is not shown before that begins
    let text = text.filter(|(_, ttl_s)| ttl_s.is_none()).map(|(text, _)| text.clone());
    let (user, plaintext) = (received.user.clone(), received.plaintext.to_vec().into());
    requests::keep(txn, Asking { id: content.id, user, device: received.device, author, plaintext, speaks, text })?;
    Ok(true)
}

/// Shows what was kept back of users who are known by now, and forgets what waited too long.
pub(crate) fn release_known(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    if txn.live.requests_looked.is_some_and(|at| txn.now.since(at) < EVERY) {
        return Ok(());
    }
    let anyone = Settings::get(txn.rows)?.messages_from == MessagesFrom::Anyone;
    let mut left = STEP;
    for request in requests::all(txn.rows)? {
        if left == 0 {
            break;
        }
        if anyone || contacts::is_known(txn, &request.user)? {
            left -= release(txn, &request, left)?;
        } else {
            requests::expire(txn, &request)?;
        }
    }
    if left == 0 {
        txn.wake(txn.now);
    } else {
        txn.live.requests_looked = Some(txn.now);
    }
    Ok(())
}

/// Shows at most so many messages of a request; how many.
fn release(txn: &mut Txn<'_>, request: &Request, most: usize) -> Result<usize, EngineError> {
    let Taken { messages, over } = requests::take(txn, request, most)?;
    let (count, user) = (messages.len(), &request.user);
    let now = device_tables::get(txn.rows, user)?.map(|table| table.fingerprint);
    let (theirs, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| Some(message.author) == now);
    if !others.is_empty() {
        events::held(txn, user, HeldReason::IdentityRefused)?;
    }
    theirs.into_iter().try_for_each(|message| come(txn, user, message))?;
    if over && request.dropped && is_missed(txn, request)? {
        ask_again(txn, user)?;
    }
    Ok(count)
}

/// Whether what was dropped of a request is wanted by now: of somebody who is known, and else if it was not declined.
fn is_missed(txn: &Txn<'_>, request: &Request) -> Result<bool, RowsError> {
    let wanted = !request.declined || contacts::is_known(txn, &request.user)?;
    Ok(wanted && !contacts::is_blocked(txn.rows, &request.user)?)
}

/// A message comes as if it had come now, also of a device that was revoked since: it was not when it came.
fn come(txn: &mut Txn<'_>, user: &Username, message: RequestedMessage) -> Result<(), EngineError> {
    let mut received = received::waited(user.clone(), message.device, message.plaintext);
    let Some(content) = received.content.take() else { return Ok(()) };
    let named = peers::announced(txn, user, content.heads.own)?;
    content::accept_content(txn, &received, content, named)
}

/// Has the devices of a user send again what was not acknowledged.
fn ask_again(txn: &mut Txn<'_>, user: &Username) -> Result<(), RowsError> {
    let Some(table) = device_tables::get(txn.rows, user)? else { return Ok(()) };
    table.devices().try_for_each(|device| sessions::schedule_reset(txn, user, &device))
}
