//! What the history keeps, if the user does not keep everything.

use std::time::Duration;

use crate::records::history::{self, Message, State};
use crate::records::settings::Settings;
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// How often the history is looked at.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Most messages of one chat that go at once; the rest follow in transactions of their own.
const STEP: usize = 256;

/// Lets messages go that are older than the user wants, the oldest first. What was not sent yet stays.
pub(crate) fn sweep(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.retained.is_some_and(|last| txn.now.since(last) < EVERY) {
        return Ok(());
    }
    txn.live.retained = Some(txn.now);
    let days = Settings::get(txn.rows)?.history_days;
    if days == 0 {
        return Ok(());
    }
    let age = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let (now, mut more) = (txn.now, false);
    for chat in history::chats(txn.rows, usize::MAX)? {
        let oldest = history::page(txn.rows, &chat.id, 0..=u64::MAX, Direction::Ascending, STEP)?;
        let mut gone = 0;
        for (position, message) in oldest.into_iter().take_while(|(_, message)| message.kept + age <= now) {
            if message.state != State::Queued {
                forget(txn, position, message)?;
                gone += 1;
            }
        }
        more |= gone == STEP;
    }
    if more {
        txn.live.retained = None;
        txn.wake(txn.now + Duration::from_millis(1));
    }
    Ok(())
}

fn forget(txn: &mut Txn<'_>, position: u64, message: Message) -> Result<(), RowsError> {
    let (id, chat) = (message.id, message.chat.clone());
    if !message.deleted {
        history::erase(txn, position, message, "expired")?;
    }
    history::remove(txn.rows, &chat, &id)
}
