//! What the history keeps, if the user does not keep everything.

use chat_protocol::rpc::types::{DeletedReason, MessageState};
use std::time::Duration;

use crate::records::history::{self, Message};
use crate::records::settings::Settings;
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// How often the history is looked at.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Most messages of one chat that go at once; the rest follow in transactions of their own.
const STEP: usize = 256;

/// Lets messages go that are older than the user wants, the oldest first. What was not sent yet stays.
pub(crate) fn expire_history(txn: &mut Txn<'_>) -> Result<(), RowsError> {
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
            if message.state != Some(MessageState::Queued) {
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
        history::erase(txn, position, message, DeletedReason::Expired)?;
    }
    history::remove(txn.rows, &chat, &id)
}

#[cfg(test)]
mod tests {
    use chat_protocol::ids::MessageId;
    use chat_protocol::rpc::types::SettingsSet;

    use super::*;
    use crate::harness::{DAY, Harness, bob};
    use crate::records::settings;

    fn keeps(alice: &mut Harness, days: u32) {
        alice.step(|txn| settings::set(txn, &SettingsSet { history_days: Some(days), ..SettingsSet::default() }));
    }

    fn stores(alice: &mut Harness, number: u128, state: Option<MessageState>) {
        alice.step(|txn| {
            let id = MessageId::new(number.to_be_bytes());
            let message = Message::text(id, history::private(&bob()), bob(), "words".to_owned(), txn);
            let mine = state.is_some();
            history::append(txn, Message { mine, state, ..message })
        });
    }

    fn left(alice: &Harness) -> Vec<u128> {
        let chat = history::private(&bob());
        let page = history::page(&alice.rows, &chat, 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap();
        page.into_iter().map(|(_, message)| u128::from_be_bytes(*message.id.as_bytes())).collect()
    }

    #[test]
    fn what_is_older_than_the_user_wants_goes_and_what_was_not_sent_yet_stays() {
        let mut alice = Harness::new();
        keeps(&mut alice, 2);
        stores(&mut alice, 1, None);
        stores(&mut alice, 2, Some(MessageState::Queued));
        alice.passes(DAY);
        stores(&mut alice, 3, Some(MessageState::Read));
        alice.step(expire_history);
        assert_eq!(left(&alice), [1, 2, 3]);
        alice.passes(DAY);
        alice.step(expire_history);
        assert_eq!(left(&alice), [2, 3]);
    }

    #[test]
    fn whoever_keeps_everything_loses_nothing() {
        let mut alice = Harness::new();
        stores(&mut alice, 1, None);
        alice.passes(400 * DAY);
        alice.step(expire_history);
        assert_eq!(left(&alice), [1]);
    }

    #[test]
    fn a_clock_that_is_set_ahead_makes_nothing_old() {
        let mut alice = Harness::new();
        keeps(&mut alice, 2);
        stores(&mut alice, 1, None);
        alice.sets_clock(crate::harness::BEGIN + 400 * DAY);
        alice.passes(EVERY);
        alice.step(expire_history);
        assert_eq!(left(&alice), [1]);
    }

    #[test]
    fn a_long_history_goes_in_steps_without_waiting_for_the_next_look() {
        let mut alice = Harness::new();
        keeps(&mut alice, 1);
        (0..STEP as u128 + 1).for_each(|number| stores(&mut alice, number, None));
        alice.passes(DAY);
        alice.step(expire_history);
        assert_eq!((left(&alice).len(), alice.due_in()), (1, Some(Duration::from_millis(1))));
        alice.step(expire_history);
        assert_eq!(left(&alice).len(), 0);
    }
}
