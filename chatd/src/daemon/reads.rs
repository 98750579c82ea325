//! Answers read from the rows as they were last committed; nothing here changes anything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chat_protocol::identity::code::IdentityCode;
use chat_protocol::ids::{MessageId, Username};
use chat_protocol::limits::MAX_PAGE;
use chat_protocol::rpc::types::{
    CanSend, Chat, ChatList, ChatPage, ContactList, Contacts, Device, DeviceSession, DeviceState, Devices, LogHead,
    Message, MessagePage, MessageState, MessageStatus, MsgList, MsgOutbox, OpenedChat, OutboxDelay, OutboxPage,
    OwnIdentity, Profile, Recipient, RequestList, Requests, SessionState,
};
use chat_protocol::rpc::{ChatId, Kind, RpcError, Target};
use chat_protocol::session::manager::Stage;
use chat_protocol::time::Timestamp;

use super::errors;
use crate::account::Account;
use crate::api::{Answer, EventPage, MAX_PAGE_BYTES};
use crate::engine::{contacts, delays, devices, events, history, outbox, peers, profile, requests, sessions, view};
use crate::store::{Direction, Rows, RowsError};

/// Chats of one page when the caller says nothing.
const CHATS: u32 = 100;
/// Messages of one page when the caller says nothing.
const MESSAGES: u32 = 50;

pub(super) fn failed(error: RowsError) -> RpcError {
    errors::rows(&error)
}

pub(super) fn not_found(what: &str) -> RpcError {
    RpcError::new(Kind::NotFound, format!("no such {what}"))
}

pub(super) fn limit(wanted: Option<u32>, usual: u32) -> Answer<usize> {
    match wanted.unwrap_or(usual) {
        0 => Err(RpcError::invalid("limit", "must be at least 1")),
        limit => Ok(usize::try_from(limit.min(MAX_PAGE)).unwrap_or(usize::MAX)),
    }
}

/// Whom a target names: whoever names himself means the notes to himself.
pub(super) fn to(target: &Target, me: &Username) -> Target {
    match target {
        Target::User(user) if user == me => Target::Myself,
        other => other.clone(),
    }
}

pub(super) fn account(rows: &dyn Rows) -> Answer<Account> {
    Account::load(rows).map_err(failed)?.ok_or_else(|| errors::idle(None))
}

pub(super) fn chat_of(rows: &dyn Rows, target: &Target) -> Answer<String> {
    Ok(to(target, &account(rows)?.user).to_string())
}

pub(super) fn chat(rows: &dyn Rows, id: &str) -> Answer<Chat> {
    let known = history::chat(rows, id).map_err(failed)?;
    let pinned = match history::peer(id) {
        Some(user) => peers::table_of(rows, &user).map_err(failed)?.is_some(),
        None => true,
    };
    if known.is_none() && !pinned {
        return Err(not_found("chat"));
    }
    view::chat(rows, id, known.as_ref()).map_err(failed)?.ok_or_else(|| not_found("chat"))
}

/// How many of a page's objects fit one line, the first in any case.
fn fitting<'o>(page: impl Iterator<Item = &'o (impl serde::Serialize + 'o)>) -> usize {
    fitting_in(page, MAX_PAGE_BYTES)
}

fn fitting_in<'o>(page: impl Iterator<Item = &'o (impl serde::Serialize + 'o)>, mut room: usize) -> usize {
    let fits = |object: &_| {
        let bytes = serde_json::to_string(object).map_or(usize::MAX, |text| text.len().saturating_add(1));
        let left = room.checked_sub(bytes);
        room = left.unwrap_or(0);
        left.is_some()
    };
    page.take_while(fits).count().max(1)
}

/// Cuts a page of objects, each with its place, to `limit` and to what fits a line; and says where to read on.
pub(super) fn cut<T: serde::Serialize>(page: Vec<(String, T)>, limit: usize) -> (Vec<T>, Option<String>) {
    cut_to(page, limit, MAX_PAGE_BYTES)
}

/// The same for a line on which only so many bytes are left.
fn cut_to<T: serde::Serialize>(mut page: Vec<(String, T)>, limit: usize, room: usize) -> (Vec<T>, Option<String>) {
    let all = page.len();
    page.truncate(limit);
    let kept = fitting_in(page.iter().map(|(_, object)| object), room);
    page.truncate(kept);
    let cursor = page.last().filter(|_| page.len() < all).map(|(place, _)| place.clone());
    (page.into_iter().map(|(_, object)| object).collect(), cursor)
}

/// The cursor is the activity of the last chat of the page before.
pub(super) fn chats(rows: &dyn Rows, params: &ChatList) -> Answer<ChatPage> {
    let limit = limit(params.limit, CHATS)?;
    let below = match &params.cursor {
        Some(cursor) => cursor.parse().map_err(|_| RpcError::invalid("cursor", "not a cursor of this daemon"))?,
        None => u64::MAX,
    };
    let unread = params.unread.unwrap_or(false);
    let archived = params.archived.unwrap_or(false);
    let wanted = |chat: &history::Chat| (!unread || chat.unread > 0) && (archived || !chat.archived);
    let found = history::chats_below(rows, below, limit.saturating_add(1), wanted).map_err(failed)?;
    let mut page = Vec::new();
    for known in &found {
        let shown = view::chat(rows, &known.id, Some(known)).map_err(failed)?;
        page.extend(shown.map(|chat| (known.activity.to_string(), chat)));
    }
    let (chats, cursor) = cut(page, limit);
    Ok(ChatPage { chats, cursor })
}

/// The kinds of error a message to `target` would meet now.
pub(super) fn can_send(rows: &dyn Rows, target: &Target) -> Answer<CanSend> {
    let mut kinds = Vec::new();
    if let Target::User(user) = to(target, &account(rows)?.user) {
        if contacts::is_blocked(rows, &user).map_err(failed)? {
            kinds.push(Kind::Blocked);
        }
        kinds.extend(doubt(rows, &user)?);
        if outbox::queued(rows).map_err(failed)? >= outbox::MAX_QUEUED {
            kinds.push(Kind::QuotaExceeded);
        }
    }
    Ok(CanSend { ok: kinds.is_empty(), reasons: kinds })
}

/// What about somebody's identity has to be decided before anything leaves for them.
fn doubt(rows: &dyn Rows, user: &Username) -> Answer<Option<Kind>> {
    let policy = peers::policy(rows, user).map_err(failed)?;
    Ok(match peers::table_of(rows, user).map_err(failed)? {
        Some(peer) if peer.changed => Some(Kind::IdentityChanged),
        Some(peer) if peers::leaves_all_out(policy, &peer) => Some(Kind::IdentityUnverified),
        _ => None,
    })
}

pub(super) fn contacts(rows: &dyn Rows, params: &ContactList) -> Answer<Contacts> {
    let known = contacts::list(rows).map_err(failed)?;
    let (contacts, more) = behind(known, params.after.as_ref(), |contact| &contact.user);
    Ok(Contacts { contacts, more })
}

pub(super) fn requests(rows: &dyn Rows, params: &RequestList) -> Answer<Requests> {
    let waiting = requests::list(rows).map_err(failed)?;
    let (requests, more) = behind(waiting, params.after.as_ref(), |request| &request.user);
    Ok(Requests { requests, more })
}

/// Those of users whose names come behind one, as many as fit a line; and whether there are more.
fn behind<T: serde::Serialize>(
    mut all: Vec<T>,
    after: Option<&Username>,
    user: impl Fn(&T) -> &Username,
) -> (Vec<T>, bool) {
    all.retain(|one| after.is_none_or(|after| user(one) > after));
    let (count, kept) = (all.len(), fitting(all.iter()));
    all.truncate(kept);
    (all, kept < count)
}

pub(super) fn message(rows: &dyn Rows, id: &MessageId) -> Answer<Message> {
    let found = history::get(rows, id).map_err(failed)?;
    found.and_then(|(_, message)| view::message(&message)).ok_or_else(|| not_found("message"))
}

pub(super) fn messages(rows: &dyn Rows, params: &MsgList) -> Answer<MessagePage> {
    let chat = chat_of(rows, &params.to)?;
    let limit = limit(params.limit, MESSAGES)?;
    let position = |id: Option<&MessageId>| -> Answer<Option<u64>> {
        let Some(id) = id else { return Ok(None) };
        let found = history::get(rows, id).map_err(failed)?.filter(|(_, message)| message.chat == chat);
        found.map(|(position, _)| Some(position)).ok_or_else(|| not_found("message in this chat"))
    };
    let (before, after) = (position(params.before.as_ref())?, position(params.after.as_ref())?);
    let (low, high) = (after.unwrap_or(0).saturating_add(1), before.unwrap_or(u64::MAX).saturating_sub(1));
    // behind a message the nearest are the oldest, before one the newest
    let direction = if after.is_some() { Direction::Ascending } else { Direction::Descending };
    let mut found = if low > high {
        Vec::new()
    } else {
        history::page(rows, &chat, low..=high, direction, limit + 1).map_err(failed)?
    };
    let more = found.len() > limit;
    found.truncate(limit);
    // the nearest come first, so that those are kept which fit
    let mut messages: Vec<_> = found.iter().filter_map(|(_, message)| view::message(message)).collect();
    let (all, kept) = (messages.len(), fitting(messages.iter()));
    messages.truncate(kept);
    if direction == Direction::Descending {
        messages.reverse();
    }
    Ok(MessagePage { messages, more: more || kept < all })
}

/// The cursor is the position of the last message of the page before.
pub(super) fn outbox(rows: &dyn Rows, params: &MsgOutbox, now: Timestamp) -> Answer<OutboxPage> {
    let limit = limit(params.limit, MESSAGES)?;
    let behind = match &params.cursor {
        Some(cursor) => cursor.parse().map_err(|_| RpcError::invalid("cursor", "not a cursor of this daemon"))?,
        None => 0,
    };
    let found = history::unsent::list(rows, behind, limit.saturating_add(1)).map_err(failed)?;
    let shown = |(position, message): &(u64, _)| Some((position.to_string(), view::message(message)?));
    let page: Vec<_> = found.iter().filter_map(shown).collect();
    let mut delays = delays::delays(rows, now).map_err(failed)?;
    // what goes to own devices alone is in no outbox
    let own = Account::load(rows).map_err(failed)?.map(|account| ChatId::from(&Target::User(account.user)));
    delays.retain(|delay| delay.chat.is_none() || delay.chat != own);
    outbox_page((page, delays), limit, |user| doubt(rows, user))
}

/// Cuts a page of the outbox once it says what holds its messages: that has to fit the line too.
fn outbox_page(
    (mut page, delays): (Vec<(String, Message)>, Vec<OutboxDelay>),
    limit: usize,
    doubt: impl FnMut(&Username) -> Answer<Option<Kind>>,
) -> Answer<OutboxPage> {
    // what lies behind the limit only says that there is more
    hold(page.iter_mut().take(limit).map(|(_, message)| message), doubt)?;
    let taken = serde_json::to_string(&delays).map_or(0, |text| text.len());
    let (messages, cursor) = cut_to(page, limit, MAX_PAGE_BYTES.saturating_sub(taken));
    Ok(OutboxPage { messages, cursor, delays })
}

/// Adds why those that wait do not leave by themselves. Nobody's identity is asked for twice.
fn hold<'m>(
    messages: impl Iterator<Item = &'m mut Message>,
    mut doubt: impl FnMut(&Username) -> Answer<Option<Kind>>,
) -> Answer<()> {
    let mut known: BTreeMap<Username, Option<Kind>> = BTreeMap::new();
    for message in messages.filter(|message| message.state == Some(MessageState::Queued)) {
        let Some(user) = history::peer(message.chat.as_str()) else { continue };
        let doubt = match known.entry(user) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let doubt = doubt(new.key())?;
                *new.insert(doubt)
            }
        };
        message.held = doubt;
    }
    Ok(())
}

pub(super) fn message_status(rows: &dyn Rows, id: &MessageId) -> Answer<MessageStatus> {
    let (_, message) = history::get(rows, id).map_err(failed)?.ok_or_else(|| not_found("message"))?;
    status_of(&message)
}

pub(super) fn status_of(message: &history::Message) -> Answer<MessageStatus> {
    let state = message.state.ok_or_else(|| not_found("sent message"))?;
    let recipients = history::peer(&message.chat).map(|user| Recipient {
        user,
        device: None,
        sent_ms: message.accepted.map(|at| at.as_millis()),
        delivered_ms: message.delivered.map(|at| at.as_millis()),
        read_ms: message.read.map(|at| at.as_millis()),
        error: message.error,
    });
    Ok(MessageStatus { id: message.id, state, recipients: recipients.into_iter().collect() })
}

pub(super) fn own_identity(rows: &dyn Rows) -> Answer<OwnIdentity> {
    let account = account(rows)?;
    let known = peers::get(rows, &account.user).map_err(failed)?.map(|peer| peer.pinned.log);
    let log = known.or_else(|| account.log.clone()).ok_or_else(|| errors::idle(Some(&account)))?;
    Ok(OwnIdentity {
        device_id: account.device(),
        fingerprint: log.fingerprint(),
        head: LogHead::from(log.head()),
        qr: IdentityCode::of(&log),
        user: account.user,
    })
}

pub(super) fn devices(rows: &dyn Rows) -> Answer<Devices> {
    let account = account(rows)?;
    let this = account.device();
    let known = peers::get(rows, &account.user).map_err(failed)?.map(|own| own.pinned.log);
    let devices = match known.or_else(|| account.log.clone()) {
        Some(log) => devices::list(rows, &log, &this).map_err(failed)?,
        None => vec![Device {
            digits: account.digits(),
            confirmed: account.wait.as_ref().map(|wait| wait.acceptance.is_some()),
            ..devices::device_view(&account.cert, DeviceState::Waiting, &this)
        }],
    };
    Ok(Devices { devices })
}

pub(super) fn profile(rows: &dyn Rows, user: Option<&Username>) -> Answer<Profile> {
    let me = account(rows)?.user;
    match user.filter(|user| **user != me) {
        None => profile::own(rows, &me).map_err(failed),
        Some(user) => profile::of(rows, user).map_err(failed)?.ok_or_else(|| {
            RpcError::new(Kind::NotFound, format!("no profile of {user} came here yet")).with_hint(format!(
                "{user} tells one with `chatctl profile set`, and it comes with what {user} writes; `chatctl contact \
                 show @{user}` shows what you noted"
            ))
        }),
    }
}

pub(super) fn opened(rows: &dyn Rows, user: &Username, chat: ChatId) -> Answer<OpenedChat> {
    let mut devices = Vec::new();
    if let Some(table) = peers::table_of(rows, user).map_err(failed)? {
        for device in table.devices() {
            let known = sessions::standings(rows, &device).map_err(failed)?;
            let session = match known.sending().map(|standing| standing.stage) {
                None => SessionState::None,
                Some(Stage::Confirmed) => SessionState::Confirmed,
                Some(_) => SessionState::Starting,
            };
            devices.push(DeviceSession { device, session });
        }
    }
    Ok(OpenedChat { chat, devices, identity: view::identity_state(rows, user).map_err(failed)? })
}

pub(super) fn events_after(rows: &dyn Rows, seq: u64, max: usize) -> Answer<EventPage> {
    let events = events::after(rows, seq, max).map_err(failed)?;
    Ok(EventPage { events, oldest_seq: events::oldest(rows).map_err(failed)? })
}

#[cfg(test)]
mod tests {
    use chat_protocol::fixtures::first_device;
    use serde_json::json;

    use super::*;
    use crate::api::MAX_ANSWER_BYTES;
    use crate::clock;
    use crate::engine::store::MemoryRows;
    use crate::engine::{Engine, Local, chats as chat_settings};

    /// Rows with chats, the lowest number last; every fourth is archived.
    fn with_chats(count: u32) -> MemoryRows {
        let user: Username = "alice".parse().unwrap();
        let device = first_device(&user, 0, clock::now());
        let (cert, keys, log) = (device.cert, device.keys, device.log);
        let mut engine = Engine::new(Local { user, device: cert.id(), cert, keys, log });
        let mut rows = MemoryRows::new();
        let known = engine.txn(&mut rows, clock::read(), &mut rand::rng(), |txn| {
            (0..count).rev().try_for_each(|n| {
                let wanted = serde_json::from_value(json!({"to": name(n), "archived": n.is_multiple_of(4)})).unwrap();
                chat_settings::set(txn, &name(n), &wanted)
            })
        });
        known.unwrap();
        rows
    }

    fn name(n: u32) -> String {
        format!("@user{n}")
    }

    /// A page of chats, and how many rows it took.
    fn page_of(rows: &MemoryRows, params: serde_json::Value) -> (Vec<String>, Option<String>, u64) {
        let before = rows.rows_read();
        let page = chats(rows, &serde_json::from_value(params).unwrap()).unwrap();
        let names = page.chats.iter().map(|chat| chat.id.to_string()).collect();
        (names, page.cursor, rows.rows_read() - before)
    }

    #[test]
    fn a_page_of_chats_reads_no_more_rows_however_many_there_are() {
        let (few, many) = (with_chats(20), with_chats(500));
        let asked = json!({"limit": 10, "archived": true});
        let (names, cursor, read) = page_of(&many, asked.clone());
        assert_eq!(names, (0..10).map(name).collect::<Vec<_>>());
        assert_eq!(read, page_of(&few, asked).2);
        let next = json!({"limit": 10, "archived": true, "cursor": cursor});
        assert_eq!(read, page_of(&many, next).2);
    }

    #[test]
    fn pages_of_chats_have_all_that_are_wanted_once_and_in_order() {
        let rows = with_chats(100);
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let (names, next, _) = page_of(&rows, json!({"limit": 7, "cursor": cursor}));
            found.extend(names);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, (0..100).filter(|n| n % 4 != 0).map(name).collect::<Vec<_>>());
        let (names, next, read) = page_of(&rows, json!({"limit": 1, "unread": true}));
        assert_eq!((names.len(), next, read), (0, None, 100), "each is looked at once");
    }

    #[test]
    fn a_full_page_is_an_answer_that_fits_its_line() {
        let page: Vec<_> = (0..1000).map(|place: u32| (place.to_string(), "x".repeat(2_000))).collect();
        let (messages, cursor) = cut(page, 1000);
        assert_eq!(cursor, Some((messages.len() - 1).to_string()));
        let answer = serde_json::json!({ "messages": messages, "cursor": cursor }).to_string();
        assert!(answer.len() <= MAX_ANSWER_BYTES && answer.len() > MAX_ANSWER_BYTES - 4 * 1024, "{}", answer.len());
    }

    #[test]
    fn a_page_of_the_outbox_fits_its_line_also_with_what_holds_its_messages() {
        let waits = |place: u64| {
            let message = serde_json::json!({
                "id": MessageId::from_uuid("00000000-0000-7000-8000-000000000000").unwrap(),
                "chat": "@bob", "from": "alice", "outgoing": true, "text": "x".repeat(2_000),
                "sent_ms": 1_700_000_000_000_u64, "stored_ms": 1_700_000_000_000_u64, "state": "queued",
            });
            (place.to_string(), serde_json::from_value(message).unwrap())
        };
        let limit = usize::try_from(MAX_PAGE).unwrap();
        let mut asked = 0;
        let held = |_: &Username| {
            asked += 1;
            Ok(Some(Kind::IdentityChanged))
        };
        let chat = |n| Some(ChatId::from(&Target::User(format!("{n:0>140}").parse().unwrap())));
        let delay = |n| OutboxDelay { why: Kind::MailboxFull, chat: chat(n), until_ms: n };
        let all = ((0..=u64::from(MAX_PAGE)).map(waits).collect(), (0..65).map(delay).collect());
        let page = outbox_page(all, limit, held).unwrap();
        assert!(page.delays.len() == 65 && page.delays[0].chat.is_some());
        assert!(page.messages.iter().all(|message| message.held == Some(Kind::IdentityChanged)));
        assert!(page.messages.len() < limit && page.cursor.is_some(), "the line is what ends it");
        let bytes = serde_json::to_string(&page).unwrap().len();
        assert!(bytes <= MAX_ANSWER_BYTES, "{bytes}");
        assert_eq!(asked, 1, "of everybody once");
    }
}
