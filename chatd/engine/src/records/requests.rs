//! What those wrote whom the user does not know, while `messages_from` is `contacts_only`: opened, and neither shown nor
//! acknowledged, until the user has decided.
//!
//! What is dropped here stays unacknowledged. That something was is noted, so that its author can be asked for it again once
//! they are known.

use chat_protocol::ids::{DeviceId, Fingerprint, MessageId, Username};
use chat_protocol::message::Blob;
use chat_protocol::rpc::types::{self, RequestKind};

use crate::records::waiting_inits::ABSENT_KEPT;
use crate::records::{contacts, events};
use crate::rows::counter::Counter;
use crate::rows::held::{Request, RequestedMessage};
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

impl RequestedMessage {
    const fn bytes(&self) -> u64 {
        ROW_BYTES + self.plaintext.0.len() as u64
    }
}

/// A message that waits for the user's decision.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) id: MessageId,
    pub(crate) user: Username,
    pub(crate) device: DeviceId,
    pub(crate) author: Fingerprint,
    pub(crate) plaintext: Blob,
    /// Whether it says something. What only changes something begins no request.
    pub(crate) speaks: bool,
    /// What may be shown of it.
    pub(crate) text: Option<String>,
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

/// Keeps a message, unless it is kept already, there is no room, or its author was declined or blocked. The first of a user
/// is told.
pub(crate) fn keep(txn: &mut Txn<'_>, asking: Asking) -> Result<(), RowsError> {
    if contacts::is_blocked(txn.rows, &asking.user)? {
        return note_dropped(txn, &asking.user);
    }
    let known = REQUESTS.get(txn.rows, &asking.user)?;
    let is_new = known.is_none();
    let Some(request) = known.map_or_else(|| begun(txn, &asking), |known| Ok(Some(known)))? else { return Ok(()) };
    let messages = REQUESTED.of(&asking.user);
    if messages.has(txn.rows, &asking.id)? {
        return Ok(());
    }
    let Asking { id, device, author, speaks, plaintext, .. } = asking;
    let message = RequestedMessage { number: Counter::Requested.next(txn.rows)?, device, author, speaks, plaintext };
    let bytes = message.bytes();
    let after = if !request.declined && make_room(txn, request.bytes + bytes, bytes)? {
        messages.put(txn.rows, &id, message.number, &message)?;
        // an edit or a deletion may be of what is shown
        let text = request.text.clone().filter(|_| speaks);
        let messages = request.messages + u64::from(speaks);
        Request { messages, bytes: request.bytes + bytes, text, ..request.clone() }
    } else {
        Request { dropped: true, ..request.clone() }
    };
    let shown = after.shown();
    change(txn.rows, &request, after)?;
    if is_new { events::request_new(txn, shown) } else { Ok(()) }
}

/// A request that a message begins. At the limit the oldest declined one makes room; if there is none, nobody does.
fn begun(txn: &mut Txn<'_>, asking: &Asking) -> Result<Option<Request>, RowsError> {
    if !asking.speaks {
        return Ok(None);
    }
    if REQUESTS.count(txn.rows)? >= MOST {
        let declined = all(txn.rows)?.into_iter().filter(|it| it.declined);
        let Some(oldest) = declined.min_by_key(|it| it.number) else { return Ok(None) };
        forget(txn, &oldest)?;
    }
    Ok(Some(Request {
        user: asking.user.clone(),
        number: Counter::Requested.next(txn.rows)?,
        since: txn.clock,
        kept: txn.now,
        messages: 0,
        bytes: 0,
        text: asking.text.as_deref().map(beginning),
        declined: false,
        dropped: false,
    }))
}

/// Makes room for `bytes` more of a user who then takes `takes`, at the cost of whoever takes more; false if nobody does.
fn make_room(txn: &mut Txn<'_>, takes: u64, bytes: u64) -> Result<bool, RowsError> {
    if takes > MAX_BYTES_OF_ONE {
        return Ok(false);
    }
    while Counter::RequestBytes.get(txn.rows)? + bytes > MAX_BYTES {
        let largest = REQUESTS.scan(txn.rows, takes + 1..=u64::MAX, Direction::Descending, 1)?.pop();
        let Some((_, largest)) = largest else { return Ok(false) };
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
    change(txn.rows, request, Request { dropped: true, ..without(request, &[newest]) })
}

/// A request some of whose messages are gone.
fn without(request: &Request, gone: &[RequestedMessage]) -> Request {
    let bytes = gone.iter().map(RequestedMessage::bytes).sum();
    let texts = gone.iter().filter(|message| message.speaks).count() as u64;
    Request {
        messages: request.messages.saturating_sub(texts),
        bytes: request.bytes.saturating_sub(bytes),
        ..request.clone()
    }
}

/// Writes a request, and counts what all take.
fn change(rows: &mut dyn Rows, before: &Request, after: Request) -> Result<(), RowsError> {
    let total = Counter::RequestBytes.get(rows)?.saturating_sub(before.bytes).saturating_add(after.bytes);
    Counter::RequestBytes.set(rows, total)?;
    REQUESTS.put(rows, &after.user, after.bytes, &after)
}

/// Something of a user was dropped: if they asked, they are asked for it again once they are known.
pub(crate) fn note_dropped(txn: &mut Txn<'_>, user: &Username) -> Result<(), RowsError> {
    match REQUESTS.get(txn.rows, user)? {
        Some(known) if !known.dropped => change(txn.rows, &known, Request { dropped: true, ..known.clone() }),
        _ => Ok(()),
    }
}

/// Whether a user asks, or was declined.
pub(crate) fn has_asked(rows: &dyn Rows, user: &Username) -> Result<bool, RowsError> {
    REQUESTS.has(rows, user)
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

/// Takes at most so many messages out, in the order they came. With the last of them the request is over.
pub(crate) fn take(txn: &mut Txn<'_>, request: &Request, most: usize) -> Result<Taken, RowsError> {
    let family = REQUESTED.of(&request.user);
    let mut messages = Vec::new();
    for (number, message) in family.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, most)? {
        family.delete_range(txn.rows, number..=number)?;
        messages.push(message);
    }
    let over = family.is_empty(txn.rows)?;
    if over {
        close(txn, request, true)?;
    } else {
        change(txn.rows, request, without(request, &messages))?;
    }
    Ok(Taken { messages, over })
}

/// Messages of a request, and whether they were the last.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) messages: Vec<RequestedMessage>,
    pub(crate) over: bool,
}

/// Lets a request go that nobody decided about for too long; whether it did.
pub(crate) fn expire(txn: &mut Txn<'_>, request: &Request) -> Result<bool, RowsError> {
    let over = !request.declined && txn.now.since(request.kept) > ABSENT_KEPT;
    if over {
        close(txn, request, false)?;
    }
    Ok(over)
}

/// Forgets a request, and tells so if it was not decided before.
fn close(txn: &mut Txn<'_>, request: &Request, accepted: bool) -> Result<(), RowsError> {
    forget(txn, request)?;
    if request.declined { Ok(()) } else { events::request_closed(txn, &request.user, accepted) }
}

fn forget(txn: &mut Txn<'_>, request: &Request) -> Result<(), RowsError> {
    REQUESTED.of(&request.user).clear(txn.rows)?;
    change(txn.rows, request, Request { bytes: 0, ..request.clone() })?;
    REQUESTS.delete(txn.rows, &request.user).map(drop)
}

/// Every request, declined ones too.
pub(crate) fn all(rows: &dyn Rows) -> Result<Vec<Request>, RowsError> {
    REQUESTS.all(rows)
}

/// As much of a text as is shown.
fn beginning(text: &str) -> String {
    let fits = |bytes: &mut usize, char: char| {
        *bytes += char.len_utf8();
        (*bytes <= MAX_SHOWN_BYTES).then_some(char)
    };
    text.chars().scan(0, fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::Harness;

    /// Somebody writes so many bytes.
    fn asks(bob: &mut Harness, user: &str, number: u128, bytes: usize) {
        let user = user.parse().unwrap();
        let (id, device) = (MessageId::new(number.to_be_bytes()), DeviceId::new([7; 16]));
        let (author, plaintext) = (Fingerprint::new([8; 32]), vec![0; bytes].into());
        let asking = Asking { id, user, device, author, plaintext, speaks: true, text: Some("a".to_owned()) };
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
            messages.iter().map(RequestedMessage::bytes).sum()
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
    fn atk_86_so_many_users_are_remembered_and_only_declined_ones_make_room_for_more() {
        let mut bob = Harness::new();
        (0..MOST).for_each(|user| asks(&mut bob, &format!("user{user}"), user.into(), 10));
        asks(&mut bob, "carol", 5_000, 10);
        assert_eq!(waits(&bob).len() as u64, MOST, "nobody who waits is pushed out");
        assert!(!waits(&bob).contains(&("carol".to_owned(), 1)));
        let told = |bob: &Harness| events::newest(&bob.rows).unwrap();
        let before = told(&bob);
        asks(&mut bob, "carol", 5_001, 10);
        assert_eq!(told(&bob), before, "and nothing is told of who finds no room");
        bob.step(|txn| decline(txn, &"user5".parse().unwrap()));
        asks(&mut bob, "user5", 5_002, 10);
        assert_eq!(waits(&bob).len() as u64, MOST - 1, "nothing more of whoever was declined");
        asks(&mut bob, "carol", 5_003, 10);
        assert!(waits(&bob).contains(&("carol".to_owned(), 1)));
        total(&bob);
    }

    #[test]
    fn atk_86_a_message_of_the_largest_size_looks_at_none_but_those_it_drops() {
        let mut bob = Harness::new();
        for user in 0..100 {
            (0..4).for_each(|n| asks(&mut bob, &format!("mallory{user}"), user * 10 + n, 60_000));
        }
        let before = bob.rows.rows_read();
        asks(&mut bob, "carol", 9_000, 60_000);
        let read = bob.rows.rows_read() - before;
        assert!(waits(&bob).contains(&("carol".to_owned(), 1)) && read < 20, "{read} rows");
    }

    #[test]
    fn a_request_that_nobody_decides_goes_after_thirty_days_and_a_declined_one_stays() {
        let mut bob = Harness::new();
        asks(&mut bob, "carol", 1, 10);
        asks(&mut bob, "mallory", 2, 10);
        bob.step(|txn| decline(txn, &"mallory".parse().unwrap()));
        bob.passes(ABSENT_KEPT + std::time::Duration::from_millis(1));
        for request in all(&bob.rows).unwrap() {
            bob.step(|txn| expire(txn, &request));
        }
        let left: Vec<_> = all(&bob.rows).unwrap().into_iter().map(|it| it.user.to_string()).collect();
        assert_eq!((left, total(&bob)), (vec!["mallory".to_owned()], 0));
    }

    #[test]
    fn the_beginning_of_a_text_is_shown_in_whole_characters() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning(&"€".repeat(200)), "€".repeat(93));
    }
}
