//! What somebody writes whom the user does not know is kept back as a request, and comes when they are known.

use chat_protocol::ids::{Fingerprint, Username};
use chat_protocol::session::content::{Body, Content};

use crate::exchange::ahead;
use crate::exchange::received::{self, Received};
use crate::model::error::EngineError;
use crate::records::requests::{self, Asking};
use crate::records::{contacts, device_tables, seen};
use crate::rows::held::Request;
use crate::sessions;
use crate::store::RowsError;
use crate::txn::Txn;

/// Most requests whose messages are shown in one transaction; the rest follow in the next.
const STEP: usize = 16;

/// Keeps a message back whose author is not known and which was never shown; false for all others.
pub(crate) fn keep_back(
    txn: &mut Txn<'_>,
    received: &Received,
    content: &Content,
    author: &Fingerprint,
) -> Result<bool, RowsError> {
    if !requests::keeps_back(txn, &received.user)? || seen::was_seen(txn.rows, author, &content.id)? {
        return Ok(false);
    }
    let text = match &content.body {
        Body::Text(text) => Some(text.text.clone()),
        _ => None,
    };
    let (user, plaintext) = (received.user.clone(), received.plaintext.to_vec().into());
    requests::keep(txn, Asking { id: content.id, user, device: received.device, plaintext, text })?;
    Ok(true)
}

/// Shows what was kept back of users who are known by now.
pub(crate) fn release_known(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    if std::mem::replace(&mut txn.live.requests_current, true) {
        return Ok(());
    }
    let mut known = Vec::new();
    for request in requests::all(txn.rows)? {
        if !requests::keeps_back(txn, &request.user)? {
            known.push(request);
        }
    }
    if known.len() > STEP {
        txn.live.requests_current = false;
        txn.wake(txn.now);
    }
    known.iter().take(STEP).try_for_each(|request| release(txn, request))
}

fn release(txn: &mut Txn<'_>, request: &Request) -> Result<(), EngineError> {
    let messages = requests::take(txn, request)?;
    messages.into_iter().try_for_each(|message| ahead::come(txn, received::waited(message), None))?;
    if request.dropped && contacts::is_acquainted(txn, &request.user)? {
        ask_again(txn, &request.user)?;
    }
    Ok(())
}

/// Has the devices of a user send again what was not acknowledged.
fn ask_again(txn: &mut Txn<'_>, user: &Username) -> Result<(), RowsError> {
    let Some(table) = device_tables::get(txn.rows, user)? else { return Ok(()) };
    table.devices().try_for_each(|device| sessions::schedule_reset(txn, user, &device))
}
