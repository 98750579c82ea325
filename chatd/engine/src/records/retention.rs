//! What the history keeps, if the user does not keep everything.

use std::time::Duration;

use crate::records::history::{self, Message, State};
use crate::records::settings::Settings;
use crate::store::{Direction, RowsError};
use crate::turn::Turn;

/// How often the history is looked at.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Most messages of one chat that go at once; the rest follow in transactions of their own.
const STEP: usize = 256;

/// Lets messages go that are older than the user wants, the oldest first. What was not sent yet stays.
pub(crate) fn sweep(turn: &mut Turn<'_>) -> Result<(), RowsError> {
    if turn.live.retained.is_some_and(|last| turn.now.since(last) < EVERY) {
        return Ok(());
    }
    turn.live.retained = Some(turn.now);
    let days = Settings::get(turn.rows)?.history_days;
    if days == 0 {
        return Ok(());
    }
    let age = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let (now, mut more) = (turn.now, false);
    for chat in history::chats(turn.rows, usize::MAX)? {
        let oldest = history::page(turn.rows, &chat.id, 0..=u64::MAX, Direction::Ascending, STEP)?;
        let mut gone = 0;
        for (position, message) in oldest.into_iter().take_while(|(_, message)| message.kept + age <= now) {
            if message.state != State::Queued {
                forget(turn, position, message)?;
                gone += 1;
            }
        }
        more |= gone == STEP;
    }
    if more {
        turn.live.retained = None;
        turn.wake(turn.now + Duration::from_millis(1));
    }
    Ok(())
}

fn forget(turn: &mut Turn<'_>, position: u64, message: Message) -> Result<(), RowsError> {
    let (id, chat) = (message.id, message.chat.clone());
    if !message.deleted {
        history::erase(turn, position, message, "expired")?;
    }
    history::remove(turn.rows, &chat, &id)
}
