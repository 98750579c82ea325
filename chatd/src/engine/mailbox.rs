//! Up to where the mailbox is stored here, and what the server may forget of it.
//!
//! Its numbers are the server's word: they ascend, mostly by one, and leap when it was put back from a backup. So one
//! far ahead cannot be told from a lie. What is stored under it counts for as long as the server stands by it; once it
//! says otherwise the cursor goes back, since whatever it has not seen acknowledged it delivers again. What was opened
//! already does not open twice.

use chat_protocol::message::client::MailboxAck;
use chat_protocol::message::server::LoggedIn;

use super::state::Counter;
use super::turn::{Asked, Turn};
use crate::store::RowsError;

/// A login says where the mailbox stands. One that never came as far as the cursor has numbered anew, or this server,
/// or one in its place, has lied before.
pub(crate) fn online(turn: &mut Turn<'_>, server: &LoggedIn) -> Result<(), RowsError> {
    if server.mailbox_last < Counter::Mailbox.get(turn.rows)? {
        tracing::warn!("the server's mailbox never came as far as what it delivered");
        Counter::Mailbox.set(turn.rows, server.mailbox_acked.min(server.mailbox_last))?;
    }
    let stored = Counter::Mailbox.get(turn.rows)?;
    if let Some(link) = &mut turn.live.link {
        link.acked = server.mailbox_acked.min(stored);
    }
    Ok(())
}

/// Whether a delivery was stored before; then it is acknowledged again, and not looked at.
pub(crate) fn knows(turn: &mut Turn<'_>, seq: u64) -> Result<bool, RowsError> {
    if seq > Counter::Mailbox.get(turn.rows)? {
        return Ok(false);
    }
    let Some(link) = &mut turn.live.link else { return Ok(true) };
    link.acked = link.acked.min(seq.saturating_sub(1));
    // within a connection they ascend: a higher one that came before was no number of this mailbox
    if link.delivered <= seq {
        return Ok(true);
    }
    link.delivered = 0;
    Counter::Mailbox.set(turn.rows, seq.saturating_sub(1))?;
    Ok(false)
}

/// Everything up to `seq` is stored with this turn.
pub(crate) fn stored(turn: &mut Turn<'_>, seq: u64) -> Result<(), RowsError> {
    if let Some(link) = &mut turn.live.link {
        link.replayed += 1;
        link.delivered = seq;
    }
    Counter::Mailbox.set(turn.rows, seq)
}

/// Everything delivered is in this transaction; the server may forget it after the commit.
pub(crate) fn acknowledge(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    let seq = Counter::Mailbox.get(turn.rows)?;
    let behind = turn.live.link.as_ref().is_some_and(|link| link.acked < seq);
    if behind
        && turn.ask(Asked::Ack, &MailboxAck { seq })
        && let Some(link) = &mut turn.live.link
    {
        link.acked = seq;
    }
    Ok(())
}
