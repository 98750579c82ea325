//! `outbox`: what waits to be sent, and what did not arrive.

use std::collections::BTreeSet;

use chat_protocol::limits::MAX_PAGE;
use chat_protocol::rpc::Kind;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{Message, MessageState, MsgOutbox, OutboxDelay};
use serde::Serialize;

use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::text::{escape, state_in_words, time, word};
use crate::session::Session;

/// Characters of a text shown in a column.
const SHOWN: usize = 40;

/// Why the messages to a chat do not leave, and what decides it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    chat: String,
    kind: Kind,
}

impl Held {
    fn of(message: &Message) -> Option<Self> {
        Some(Self { chat: message.chat.as_str().to_owned(), kind: message.held? })
    }

    /// `messages to @bob are held: the identity of @bob has changed`
    pub(super) fn what(&self) -> String {
        let Self { chat, kind } = self;
        let why = match kind {
            Kind::IdentityChanged => format!("the identity of {chat} has changed"),
            Kind::IdentityUnverified => format!("{chat} has devices that nobody compared, and the policy is strict"),
            _ => word(kind),
        };
        format!("messages to {chat} are held: {why}")
    }

    /// The command that decides, or shows what there is to decide.
    pub(super) fn fix(&self) -> String {
        let verb = if self.kind == Kind::IdentityUnverified { "verify" } else { "trust show" };
        format!("chatctl {verb} {}", self.chat)
    }
}

/// A message with the command that helps it on, as `--json` prints it.
#[derive(Serialize)]
struct Helped<'a> {
    #[serde(flatten)]
    message: &'a Message,
    /// Why the server puts it off, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<&'a OutboxDelay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Own messages, and what the server put off of those that wait.
struct Outbox {
    messages: Vec<Message>,
    delays: Vec<OutboxDelay>,
}

impl Outbox {
    /// What a message that leaves by itself waits for.
    fn delay(&self, message: &Message) -> Option<&OutboxDelay> {
        let is_of = |delay: &&OutboxDelay| delay.chat.as_ref().is_none_or(|chat| *chat == message.chat);
        self.delays.iter().filter(|_| leaves(message)).find(is_of)
    }

    /// Those that any message waits for, in words.
    fn delayed(&self) -> Vec<String> {
        let waited_for = |delay: &&OutboxDelay| {
            self.messages.iter().any(|message| self.delay(message).is_some_and(|known| known == *delay))
        };
        self.delays.iter().filter(waited_for).map(said).collect()
    }
}

/// Whether a message waits for nobody's decision, and not for its own time.
fn leaves(message: &Message) -> bool {
    message.state == Some(MessageState::Queued) && message.held.is_none() && message.at_ms.is_none()
}

/// `messages to @bob wait: their mailbox is full; the next try is at 2026-11-22 23:25:04Z`
fn said(delay: &OutboxDelay) -> String {
    let whose = delay.chat.as_ref().map(|chat| format!(" to {chat}")).unwrap_or_default();
    let why = match delay.why {
        Kind::RateLimited => "the server limits how much is sent, or is busy".to_owned(),
        Kind::MailboxFull => "the mailbox is full until they fetch what waits there".to_owned(),
        Kind::ServerRejected => "the server failed to store them".to_owned(),
        other => word(&other),
    };
    format!("messages{whose} wait: {why}; the next try is at {}", time(delay.until_ms))
}

/// `chatctl outbox`
pub(super) async fn run(session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let outbox = all(&client).await?;
    let messages = &outbox.messages;
    if session.out.is_json() {
        let hint = |message| Held::of(message).map(|held| held.fix());
        let helped = |message| Helped { message, delay: outbox.delay(message), hint: hint(message) };
        return messages.iter().try_for_each(|message| session.out.object(&helped(message)));
    }
    session.out.table(messages, |all| all.iter().map(line).collect(), |all| table(all))?;
    advice(messages).into_iter().for_each(|line| session.out.talk(&line));
    outbox.delayed().iter().for_each(|line| session.out.talk(line));
    for held in held(messages) {
        session.out.talk(&format!("{}; see `{}`", held.what(), held.fix()));
    }
    Ok(())
}

/// Every page of it.
async fn all(client: &Client) -> Result<Outbox, Failure> {
    let (mut messages, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.call(&MsgOutbox { limit: Some(MAX_PAGE), cursor }).await?;
        messages.extend(page.messages);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(Outbox { messages, delays: page.delays });
        }
    }
}

/// What waits until somebody decides, a chat at a time.
pub(super) async fn held_now(client: &Client) -> Result<BTreeSet<Held>, Unasked> {
    all(client).await.map(|outbox| held(&outbox.messages)).map_err(|failure| Unasked::of(&failure))
}

/// Nobody knows whether messages are held.
pub(super) struct Unasked {
    /// The token may show how chatd is, and not what is written: nothing is wrong.
    pub(super) forbidden: bool,
    pub(super) what: String,
}

impl Unasked {
    /// The command that says more than `what` does.
    pub(super) const FIX: &'static str = "chatctl outbox";

    fn of(failure: &Failure) -> Self {
        let (kind, why) = match failure {
            Failure::Refused(refusal) => (Some(refusal.kind), format!(": {}", escape(&refusal.message))),
            _ => (None, String::new()),
        };
        Self {
            forbidden: kind == Some(Kind::ForbiddenScope),
            what: format!("it could not be asked whether messages are held{why}"),
        }
    }
}

fn held(messages: &[Message]) -> BTreeSet<Held> {
    messages.iter().filter_map(Held::of).collect()
}

fn line(message: &Message) -> String {
    let (id, at, chat) = (message.id.to_uuid(), time(since(message)), escape(message.chat.as_str()));
    format!("{id}  {at}  {chat}  {}  {}", state(message), escape(&message.text))
}

fn table(messages: &[Message]) -> Table {
    Table::new(&["ID", "WHEN", "TO", "STATE", "TEXT"]).rows(messages, |message| {
        let waits = message.state == Some(MessageState::Queued) && message.held.is_none();
        let look = if waits { Look::Faint } else { Look::Bad };
        vec![
            message.id.to_uuid().into(),
            Cell::new(Look::Faint, time(since(message))),
            Cell::new(Look::Name, message.chat.as_str()),
            Cell::new(look, state(message)),
            message.text.chars().take(SHOWN).collect::<String>().into(),
        ]
    })
}

/// When it was sent, or is to be.
fn since(message: &Message) -> u64 {
    message.at_ms.unwrap_or(message.sent_ms)
}

fn state(message: &Message) -> String {
    match (&message.held, message.at_ms) {
        (Some(why), _) => format!("held: {}", word(why)),
        (None, Some(_)) if message.state == Some(MessageState::Queued) => "put off".to_owned(),
        _ => message.state.map(|state| state_in_words(state, message.error)).unwrap_or_default(),
    }
}

/// What can be done about them.
fn advice(messages: &[Message]) -> Option<String> {
    let waits = messages.iter().any(|message| message.state == Some(MessageState::Queued));
    let failed = messages.iter().any(|message| message.state != Some(MessageState::Queued));
    match (waits, failed) {
        (false, false) => None,
        (true, false) => Some("take one back with `chatctl cancel ID`".to_owned()),
        (false, true) => Some("send one again with `chatctl resend ID`, or let it go with `chatctl delete ID`".to_owned()),
        (true, true) => Some(
            "those that wait: `chatctl cancel ID`; those that did not arrive: `chatctl resend ID` or `chatctl delete ID`"
                .to_owned(),
        ),
    }
}
