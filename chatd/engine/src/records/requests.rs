//! What those wrote whom the user does not know, while `messages_from` is `contacts_only`: opened, and neither shown nor
//! acknowledged, until the user has decided.
//!
//! What is dropped here stays unacknowledged. That something was is noted, so that its author can be asked for it again once
//! they are known.

use chat_protocol::ids::{DeviceId, MessageId, Username};
use chat_protocol::message::Blob;
use chat_protocol::rpc::types::{self, MessagesFrom, RequestKind};

use crate::records::settings::Settings;
use crate::records::{contacts, events};
use crate::rows::counter::Counter;
use crate::rows::held::{AheadMessage, Request};
use crate::rows::{REQUESTED, REQUESTS};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;

/// What the messages of one user may take: four of the longest …
const MAX_BYTES_OF_ONE: u64 = 256 * 1024;
/// … and of all.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// What a row takes beside what it says.
const ROW_BYTES: u64 = 256;
/// Most users whose requests are remembered, declined ones too.
const MOST: u64 = 1_000;
/// Longest beginning of a text that is shown, in bytes.
const MAX_SHOWN_BYTES: usize = 280;

impl Request {
    fn shown(&self) -> types::Request {
        types::Request {
            user: self.user.clone(),
            kind: RequestKind::Messages,
            since_ms: self.since.as_millis(),
            messages: self.messages,
            text: self.text.clone(),
        }
    }
}

/// Requests that were not decided, in the order of the names.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows) -> Result<Vec<types::Request>, RowsError> {
    let mut waiting: Vec<_> = all(rows)?.iter().filter(|it| !it.declined).map(Request::shown).collect();
    waiting.sort_by(|a, b| a.user.cmp(&b.user));
    Ok(waiting)
}

/// Whether what `user` writes has to wait for the user's decision.
pub(crate) fn keeps_back(txn: &Txn<'_>, user: &Username) -> Result<bool, RowsError> {
    let known = || Ok(contacts::is_blocked(txn.rows, user)? || contacts::is_acquainted(txn, user)?);
    Ok(Settings::get(txn.rows)?.messages_from == MessagesFrom::ContactsOnly && !known()?)
}

/// A message that may have to be kept.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) id: MessageId,
    pub(crate) user: Username,
    pub(crate) device: DeviceId,
    pub(crate) plaintext: Blob,
    /// What it says, if that is a text.
    pub(crate) text: Option<String>,
}

/// Keeps a message, unless it is kept already, there is no room, or its author was declined. The first of a user is told.
pub(crate) fn keep(txn: &mut Txn<'_>, asking: Asking) -> Result<(), RowsError> {
    let Asking { id, user, device, plaintext, text } = asking;
    let (known, messages) = (REQUESTS.get(txn.rows, &user)?, REQUESTED.of(&user));
    if messages.has(txn.rows, &id)? {
        return Ok(());
    }
    let bytes = ROW_BYTES + plaintext.0.len() as u64;
    let holds = known.as_ref().map_or(0, |known| known.bytes);
    if known.as_ref().is_some_and(|known| known.declined) || !make_room(txn, holds + bytes, bytes)? {
        return known.map_or(Ok(()), |known| change(txn.rows, &known, Request { dropped: true, ..known.clone() }));
    }
    let number = Counter::Requested.next(txn.rows)?;
    messages.put(txn.rows, &id, number, &AheadMessage { number, user: user.clone(), device, plaintext })?;
    let Some(before) = known else { return begin(txn, user, (number, bytes), text.as_deref()) };
    let after = Request { messages: before.messages + 1, bytes: before.bytes + bytes, ..before.clone() };
    change(txn.rows, &before, after)
}

/// Notes and tells that somebody asks. The oldest make room, declined ones first.
fn begin(txn: &mut Txn<'_>, user: Username, (first, bytes): (u64, u64), text: Option<&str>) -> Result<(), RowsError> {
    if REQUESTS.count(txn.rows)? >= MOST {
        let oldest = all(txn.rows)?.into_iter().min_by_key(|it| (!it.declined, it.first));
        oldest.iter().try_for_each(|oldest| forget(txn, oldest))?;
    }
    let none =
        Request { user, first, since: txn.clock, messages: 0, bytes: 0, text: None, declined: false, dropped: false };
    let request = Request { messages: 1, bytes, text: text.map(beginning), ..none.clone() };
    events::request_new(txn, request.shown())?;
    change(txn.rows, &none, request)
}

/// Makes room for `bytes` more of a user who then takes `takes`, at the cost of whoever takes more; false if nobody does.
fn make_room(txn: &mut Txn<'_>, takes: u64, bytes: u64) -> Result<bool, RowsError> {
    if takes > MAX_BYTES_OF_ONE {
        return Ok(false);
    }
    while Counter::RequestBytes.get(txn.rows)? + bytes > MAX_BYTES {
        let Some(largest) = all(txn.rows)?.into_iter().max_by_key(|it| it.bytes).filter(|it| it.bytes > takes) else {
            return Ok(false);
        };
        drop_newest(txn, &largest)?;
    }
    Ok(true)
}

fn drop_newest(txn: &mut Txn<'_>, request: &Request) -> Result<(), RowsError> {
    let messages = REQUESTED.of(&request.user);
    let Some((number, newest)) = messages.scan(txn.rows, 0..=u64::MAX, Direction::Descending, 1)?.pop() else {
        return Err(RowsError::Corrupt("a request without the messages it counts".to_owned()));
    };
    messages.delete_range(txn.rows, number..=number)?;
    let bytes = request.bytes.saturating_sub(ROW_BYTES + newest.plaintext.0.len() as u64);
    change(
        txn.rows,
        request,
        Request { messages: request.messages.saturating_sub(1), bytes, dropped: true, ..request.clone() },
    )
}

/// Writes a request, and counts what all take.
fn change(rows: &mut dyn Rows, before: &Request, after: Request) -> Result<(), RowsError> {
    let total = Counter::RequestBytes.get(rows)?.saturating_sub(before.bytes).saturating_add(after.bytes);
    Counter::RequestBytes.set(rows, total)?;
    REQUESTS.put(rows, &after.user, after.first, &after)
}

/// Drops what waits of a user, and remembers that the user does not want it; whether there is such a request.
pub(crate) fn decline(txn: &mut Txn<'_>, user: &Username) -> Result<bool, RowsError> {
    let Some(request) = REQUESTS.get(txn.rows, user)? else { return Ok(false) };
    if !request.declined {
        REQUESTED.of(user).clear(txn.rows)?;
        let declined = Request { messages: 0, bytes: 0, text: None, declined: true, dropped: true, ..request.clone() };
        change(txn.rows, &request, declined)?;
        events::request_closed(txn, user, false)?;
    }
    Ok(true)
}

/// Takes a request and its messages out, in the order they came. What was not declined is told to wait no longer.
pub(crate) fn take(txn: &mut Txn<'_>, request: &Request) -> Result<Vec<AheadMessage>, RowsError> {
    let messages = REQUESTED.of(&request.user).all(txn.rows)?;
    forget(txn, request)?;
    if !request.declined {
        let accepted = !contacts::is_blocked(txn.rows, &request.user)?;
        events::request_closed(txn, &request.user, accepted)?;
    }
    Ok(messages)
}

fn forget(txn: &mut Txn<'_>, request: &Request) -> Result<(), RowsError> {
    REQUESTED.of(&request.user).clear(txn.rows)?;
    change(txn.rows, request, Request { bytes: 0, ..request.clone() })?;
    REQUESTS.delete(txn.rows, &request.user).map(drop)
}

/// Every request, declined ones too, the oldest first.
pub(crate) fn all(rows: &dyn Rows) -> Result<Vec<Request>, RowsError> {
    REQUESTS.all(rows)
}

/// As much of a text as is shown.
fn beginning(text: &str) -> String {
    text.chars()
        .scan(0, |bytes, char| {
            *bytes += char.len_utf8();
            (*bytes <= MAX_SHOWN_BYTES).then_some(char)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Harness;

    /// Somebody writes so many bytes.
    fn asks(bob: &mut Harness, user: &str, number: u128, bytes: usize) {
        let user = user.parse().unwrap();
        let (id, device) = (MessageId::new(number.to_be_bytes()), DeviceId::new([7; 16]));
        let asking = Asking { id, user, device, plaintext: vec![0; bytes].into(), text: Some("a".to_owned()) };
        bob.step(|txn| keep(txn, asking));
    }

    fn waits(bob: &Harness) -> Vec<(String, u64)> {
        list(&bob.rows).unwrap().into_iter().map(|it| (it.user.to_string(), it.messages)).collect()
    }

    /// What all take, as it is counted; it is what the rows say.
    fn total(bob: &Harness) -> u64 {
        let counted = Counter::RequestBytes.get(&bob.rows).unwrap();
        let rows = all(&bob.rows).unwrap();
        let of_messages = |request: &Request| -> u64 {
            let messages = REQUESTED.of(&request.user).all(&bob.rows).unwrap();
            messages.iter().map(|message| ROW_BYTES + message.plaintext.0.len() as u64).sum()
        };
        assert_eq!(counted, rows.iter().map(of_messages).sum::<u64>());
        assert!(rows.iter().all(|request| request.bytes == of_messages(request)));
        counted
    }

    #[test]
    fn atk_86_one_user_has_so_many_bytes_and_what_comes_twice_counts_once() {
        let mut bob = Harness::new();
        for number in (0..20).chain(0..20) {
            asks(&mut bob, "mallory", number, 60_000);
        }
        assert_eq!(waits(&bob), [("mallory".to_owned(), 4)]);
        assert!(total(&bob) <= MAX_BYTES_OF_ONE);
    }

    #[test]
    fn atk_86_when_all_is_full_whoever_takes_most_makes_room() {
        let mut bob = Harness::new();
        for user in 0..100 {
            (0..4).for_each(|n| asks(&mut bob, &format!("mallory{user}"), user * 10 + n, 60_000));
        }
        assert!((MAX_BYTES - 70_000..=MAX_BYTES).contains(&total(&bob)));
        asks(&mut bob, "carol", 5_000, 60_000);
        let carol = ("carol".to_owned(), 1);
        assert!(waits(&bob).contains(&carol) && total(&bob) <= MAX_BYTES);
        asks(&mut bob, "mallory0", 5_001, 60_000);
        assert!(waits(&bob).contains(&carol), "nobody who takes less makes room");
    }

    #[test]
    fn atk_86_so_many_users_are_remembered_and_the_oldest_declined_one_goes_first() {
        let mut bob = Harness::new();
        (0..MOST).for_each(|user| asks(&mut bob, &format!("user{user}"), user.into(), 10));
        bob.step(|txn| decline(txn, &"user5".parse().unwrap()));
        asks(&mut bob, "user5", 5_000, 10);
        assert_eq!(waits(&bob).len() as u64, MOST - 1, "nothing more of whoever was declined");
        asks(&mut bob, "carol", 5_001, 10);
        assert_eq!(waits(&bob).len() as u64, MOST);
        asks(&mut bob, "dave", 5_002, 10);
        let names: Vec<_> = waits(&bob).into_iter().map(|(user, _)| user).collect();
        assert!(!names.contains(&"user0".to_owned()) && names.contains(&"user1".to_owned()));
        total(&bob);
    }

    #[test]
    fn the_beginning_of_a_text_is_shown_in_whole_characters() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&"€".repeat(200)), "€".repeat(93));
    }
}
