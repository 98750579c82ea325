//! `outbox`: what waits to be sent, and what did not arrive.

use std::collections::BTreeSet;

use chat_protocol::ids::Username;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{ChatCanSend, Message, MessageState, MsgOutbox};
use chat_protocol::rpc::{ChatId, Kind, Target};

use crate::Session;
use crate::error::Failure;
use crate::output::style::Look;
use crate::output::table::{Cell, Table};
use crate::output::{escape, state_in_words, time};

/// Characters of a text shown in a column.
const SHOWN: usize = 40;
/// Messages of one answer.
const PAGE: u32 = 500;

/// `chatctl outbox`
pub(super) async fn run(session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let messages = all(&client).await?;
    if session.out.is_json() {
        return messages.iter().try_for_each(|message| session.out.object(message));
    }
    session.out.table(&messages, |all| all.iter().map(line).collect(), |all| table(all))?;
    advice(&messages).into_iter().for_each(|line| session.out.talk(&line));
    for user in held(&client, &messages).await? {
        session.out.talk(&format!("what waits for @{user} does not leave: {}", why_held(&user)));
    }
    Ok(())
}

/// Every page of it.
async fn all(client: &Client) -> Result<Vec<Message>, Failure> {
    let (mut messages, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.call(&MsgOutbox { limit: Some(PAGE), cursor }).await?;
        messages.extend(page.messages);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(messages);
        }
    }
}

/// Those for whom something waits that leaves only once somebody decided about their changed identity.
pub(super) async fn held_now(client: &Client) -> Result<Vec<Username>, Failure> {
    held(client, &all(client).await?).await
}

async fn held(client: &Client, messages: &[Message]) -> Result<Vec<Username>, Failure> {
    let waiting = messages.iter().filter(|message| message.state == Some(MessageState::Queued));
    let peers: BTreeSet<Username> = waiting.filter_map(|message| peer(&message.chat)).collect();
    let mut held = Vec::new();
    for user in peers {
        let may = client.call(&ChatCanSend { to: Target::User(user.clone()) }).await?;
        if may.reasons.iter().any(|reason| reason == Kind::IdentityChanged.as_str()) {
            held.push(user);
        }
    }
    Ok(held)
}

fn peer(chat: &ChatId) -> Option<Username> {
    match chat.as_str().parse() {
        Ok(Target::User(user)) => Some(user),
        _ => None,
    }
}

/// Why, and what helps.
pub(super) fn why_held(user: &Username) -> String {
    format!("the identity of @{user} has changed; see `chatctl trust show @{user}`")
}

fn line(message: &Message) -> String {
    let (id, at, chat) = (message.id.to_uuid(), time(since(message)), escape(message.chat.as_str()));
    format!("{id}  {at}  {chat}  {}  {}", state(message), escape(&message.text))
}

fn table(messages: &[Message]) -> Table {
    Table::new(&["ID", "WHEN", "TO", "STATE", "TEXT"]).rows(messages, |message| {
        let look = if message.state == Some(MessageState::Queued) { Look::Faint } else { Look::Bad };
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
    match message.at_ms {
        Some(_) if message.state == Some(MessageState::Queued) => "put off".to_owned(),
        _ => message.state.map(|state| state_in_words(state, message.error.as_deref())).unwrap_or_default(),
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
