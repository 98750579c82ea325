//! Brings a mailbox to its device: what waits in the store, in order, within the window; and says how far the room has
//! come to who reads more slowly than is posted.
//!
//! One task per login. Messages that are committed while the peer is up to date reach it without this
//! task; it reads what came before, what did not fit the window or the queue, and turns
//! acknowledgements into rows that go. Acknowledgements that queue while one is being stored become one.

use std::sync::Arc;
use std::time::Duration;

use chat_protocol::message::Done;
use chat_protocol::message::server::{Code, Refusal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::asked::Asked;
use super::ready::Ticket;
use crate::mailbox::store_failed;
use crate::router::{Due, Online};
use crate::rules::Ack;
use crate::shared::Shared;

/// Rows read from the store at once.
const MAX_ROWS: u64 = 256;
/// Bytes read from the store at once: a page in memory per connection that catches up.
const MAX_MAIL_PAGE_BYTES: u64 = 512 * 1024;
/// Wait before asking a database that failed again, or looking again whether there is memory.
const BACK_OFF: Duration = Duration::from_secs(1);

/// An acknowledgement to be stored.
pub(super) struct Acknowledged {
    pub(super) asked: Asked,
    pub(super) seq: u64,
    pub(super) ticket: Ticket,
}

/// Delivers until the connection ends.
pub(super) async fn run(shared: Arc<Shared>, peer: Arc<Online>, mut acks: mpsc::Receiver<Acknowledged>) {
    let mut waiting = Vec::new();
    let most = acks.max_capacity();
    loop {
        peer.tell_room();
        let pushed = push_page(&shared, &peer).await;
        // all branches are cancel-safe: `recv_many` takes nothing unless it is chosen, the others only wait
        tokio::select! {
            biased;
            () = peer.outbox().ending() => return finish(&shared, &peer, acks).await,
            count = acks.recv_many(&mut waiting, most) => {
                if count == 0 {
                    return;
                }
                acknowledge(&shared, &peer, &mut waiting).await;
            }
            () = std::future::ready(()), if pushed == Pushed::Some => {}
            () = peer.woken() => {}
            // all memory for what waits is in use, by others: nobody says when that ends
            () = sleep(BACK_OFF), if pushed == Pushed::NoRoom && peer.outbox().is_idle() => {}
        }
    }
}

/// What was acknowledged before the end is still stored: it need not be sent again.
async fn finish(shared: &Shared, peer: &Online, mut acks: mpsc::Receiver<Acknowledged>) {
    acks.close();
    let mut waiting = Vec::new();
    while let Some(acknowledged) = acks.recv().await {
        waiting.push(acknowledged);
    }
    acknowledge(shared, peer, &mut waiting).await;
}

/// What became of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pushed {
    /// Nothing is due, or the queue has no room.
    Nothing,
    /// More may be due at once.
    Some,
    /// The next message is longer than there is room for.
    NoRoom,
}

/// Pushes a page of what is due.
async fn push_page(shared: &Shared, peer: &Online) -> Pushed {
    let Some(due) = peer.due() else {
        peer.tell_drained();
        return Pushed::Nothing;
    };
    let limit = u32::try_from(due.rows.min(MAX_ROWS)).unwrap_or(u32::MAX);
    let place = shared.queued.page().await;
    match shared.store.mailbox_after(peer.device(), due.after, limit, MAX_MAIL_PAGE_BYTES).await {
        Ok(rows) => push_rows(shared, peer, due, &rows),
        Err(error) => {
            let _told = store_failed("mailbox", &error);
            drop(place);
            sleep(BACK_OFF).await;
            Pushed::Some
        }
    }
}

fn push_rows(shared: &Shared, peer: &Online, due: Due, rows: &[crate::store::Mail]) -> Pushed {
    if rows.is_empty() {
        // retention, or a reset, took what was there
        peer.exhausted(due.last);
        peer.tell_drained();
        return Pushed::Some;
    }
    let pushed = peer.stored(rows);
    shared.counters.pushed.add(pushed);
    peer.tell_drained();
    if pushed > 0 { Pushed::Some } else { Pushed::NoRoom }
}

/// Stores the highest of the acknowledgements and answers them all.
async fn acknowledge(shared: &Shared, peer: &Online, waiting: &mut Vec<Acknowledged>) {
    let Some(seq) = waiting.iter().map(|acknowledged| acknowledged.seq).max() else { return };
    let outcome = match shared.store.mailbox_ack(peer.device(), seq).await {
        Ok(Ack::Forget | Ack::Known) => Ok(Done {}),
        Ok(Ack::Unknown) => Err(Refusal::new(Code::BadRequest)),
        Err(error) => Err(store_failed("acknowledgement", &error)),
    };
    for acknowledged in waiting.drain(..) {
        peer.outbox().push(acknowledged.asked.answer(&outcome));
        drop(acknowledged.ticket);
    }
}
