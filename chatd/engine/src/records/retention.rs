//! What the history keeps, if the user does not keep everything.

use std::cmp::Reverse;
use std::time::Duration;

use chat_protocol::rpc::types::{DeletedReason, MessageState};

use crate::records::contacts;
use crate::records::history::{self, Message};
use crate::records::settings::Settings;
use crate::store::{Direction, RowsError};
use crate::txn::Txn;

/// How often the history is looked at.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// Most messages of one chat that go at once; the rest follow in transactions of their own.
const STEP: usize = 256;

/// Lets messages go that are older than the user wants, the oldest first, and what is more than they want in all. What
/// was not sent yet stays.
pub(crate) fn expire_history(txn: &mut Txn<'_>) -> Result<(), RowsError> {
    if txn.live.retained.is_some_and(|last| txn.now.since(last) < EVERY) {
        return Ok(());
    }
    txn.live.retained = Some(txn.now);
    let settings = Settings::get(txn.rows)?;
    let mut more = settings.history_days > 0 && expire_old(txn, settings.history_days)?;
    if let Some(most) = settings.most_history_bytes() {
        more |= shrink(txn, most)?;
    }
    if more {
        txn.live.retained = None;
        txn.wake(txn.now + Duration::from_millis(1));
    }
    Ok(())
}

/// Lets messages of every chat go that are older than so many days; whether there may be more.
fn expire_old(txn: &mut Txn<'_>, days: u32) -> Result<bool, RowsError> {
    let age = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let (now, mut more) = (txn.now, false);
    for chat in history::chats(txn.rows, usize::MAX)? {
        let gone = forget_oldest(txn, &chat.id, |message, _| message.kept + age <= now)?;
        more |= gone == STEP;
    }
    Ok(more)
}

/// Lets the oldest messages of a chat go, if all take more than `most`: of strangers, whom the user does not know, as long
/// as they have any, and else of the chat that takes most. Says whether there is more to go.
fn shrink(txn: &mut Txn<'_>, most: u64) -> Result<bool, RowsError> {
    let chats = history::chats(txn.rows, usize::MAX)?;
    let total = chats.iter().fold(0, |total: u64, chat| total.saturating_add(chat.bytes));
    let over = total.saturating_sub(most);
    if over == 0 {
        return Ok(false);
    }
    let mut order = Vec::with_capacity(chats.len());
    for chat in chats {
        order.push((!is_of_stranger(txn, &chat.id)?, Reverse(chat.bytes), chat.id));
    }
    order.sort_unstable();
    for (_, _, chat) in order {
        // a chat of which nothing can go yet leaves it to the next
        if forget_oldest(txn, &chat, |_, gone| gone < over)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a chat is with somebody the user does not know.
fn is_of_stranger(txn: &Txn<'_>, chat: &str) -> Result<bool, RowsError> {
    match history::peer(chat) {
        Some(user) => Ok(!contacts::is_known(txn, &user)?),
        None => Ok(false),
    }
}

/// Lets a chat's oldest messages go while they are to, at most [`STEP`]; `goes` is told how many bytes went before.
fn forget_oldest(txn: &mut Txn<'_>, chat: &str, goes: impl Fn(&Message, u64) -> bool) -> Result<usize, RowsError> {
    let (mut messages, mut bytes, mut from) = (0, 0, 0);
    loop {
        // what was not sent yet stays, and hides nothing behind it
        let page = history::page(txn.rows, chat, from..=u64::MAX, Direction::Ascending, STEP)?;
        let Some(last) = page.last().map(|(position, _)| *position) else { return Ok(messages) };
        for (position, message) in page {
            if messages == STEP || !goes(&message, bytes) {
                return Ok(messages);
            }
            if message.state != Some(MessageState::Queued) {
                bytes += message.bytes();
                messages += 1;
                forget(txn, position, message)?;
            }
        }
        from = last.saturating_add(1);
    }
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
    use crate::rows::NUMBERS;

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

    /// Stores long messages of one chat.
    fn stores_long(alice: &mut Harness, chat: &str, numbers: std::ops::Range<u128>) {
        for number in numbers {
            alice.step(|txn| {
                let id = MessageId::new(number.to_be_bytes());
                history::append(txn, Message::text(id, chat.to_owned(), bob(), "x".repeat(8 * 1024), txn))
            });
        }
    }

    fn bytes(alice: &Harness) -> Vec<(String, u64)> {
        let chats = history::chats(&alice.rows, usize::MAX).unwrap();
        chats.into_iter().map(|chat| (chat.id, chat.bytes)).collect()
    }

    fn all_of(alice: &Harness, chat: &str) -> usize {
        history::page(&alice.rows, chat, 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap().len()
    }

    #[test]
    fn atk_85_strangers_and_then_the_chat_that_takes_most_pay_for_a_history_that_is_too_large() {
        let mut alice = Harness::new();
        let wanted = SettingsSet { history_mib: Some(1), ..SettingsSet::default() };
        alice.step(|txn| settings::set(txn, &wanted));
        for friend in [bob(), "carol".parse().unwrap()] {
            alice.step(|txn| NUMBERS.put(txn.rows, &friend, 0, &(1, 1)));
        }
        stores(&mut alice, 1, None);
        stores_long(&mut alice, "room:public", 100..400);
        stores_long(&mut alice, "@carol", 500..520);
        stores_long(&mut alice, "@mallory", 600..610);
        for _ in 0..4 {
            alice.step(expire_history);
        }
        let left_of = (left(&alice).len(), all_of(&alice, "@carol"));
        assert_eq!(left_of, (1, 20), "no friend lost anything");
        assert_eq!(all_of(&alice, "@mallory"), 0, "what a stranger said went first");
        let total: u64 = bytes(&alice).iter().map(|(_, bytes)| bytes).sum();
        assert!((1_000_000..=1024 * 1024).contains(&total), "{total}");
        let newest = history::page(&alice.rows, "room:public", 0..=u64::MAX, Direction::Descending, 1).unwrap();
        assert_eq!(newest[0].1.id, MessageId::new(399u128.to_be_bytes()), "the oldest went");
    }

    #[test]
    fn bytes_of_a_chat_are_those_of_its_messages_whatever_becomes_of_them() {
        let mut alice = Harness::new();
        stores_long(&mut alice, "@bob", 0..5);
        let get = |alice: &Harness, number: u128| {
            history::get(&alice.rows, &MessageId::new(number.to_be_bytes())).unwrap().unwrap()
        };
        let (position, mut message) = get(&alice, 1);
        message.text = "short".to_owned();
        alice.step(|txn| history::tell_edited(txn, position, &mut message));
        let (position, message) = get(&alice, 2);
        alice.step(|txn| history::erase(txn, position, message, DeletedReason::Here));
        let (position, message) = get(&alice, 3);
        alice.step(|txn| forget(txn, position, message));
        let kept = history::page(&alice.rows, "@bob", 0..=u64::MAX, Direction::Ascending, usize::MAX).unwrap();
        let sum: u64 = kept.iter().map(|(_, message)| message.bytes()).sum();
        assert_eq!(bytes(&alice), [("@bob".to_owned(), sum)]);
    }

    #[test]
    fn what_was_not_sent_yet_keeps_nothing_behind_it_however_much_it_is() {
        let mut alice = Harness::new();
        keeps(&mut alice, 1);
        let queued = STEP as u128 + 10;
        (0..queued).for_each(|number| stores(&mut alice, number, Some(MessageState::Queued)));
        (queued..queued + 5).for_each(|number| stores(&mut alice, number, None));
        alice.passes(DAY);
        alice.step(expire_history);
        assert_eq!(left(&alice), (0..queued).collect::<Vec<_>>());
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
