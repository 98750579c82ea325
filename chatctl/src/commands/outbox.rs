//! `outbox`: what waits to be sent, and what did not arrive.

use chat_protocol::rpc::types::{Message, MessageState, MsgOutbox};

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
    let (mut messages, mut cursor) = (Vec::new(), None);
    loop {
        let page = client.call(&MsgOutbox { limit: Some(PAGE), cursor }).await?;
        messages.extend(page.messages);
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    if session.out.is_json() {
        return messages.iter().try_for_each(|message| session.out.object(message));
    }
    session.out.table(&messages, |all| all.iter().map(line).collect(), |all| table(all))?;
    if let Some(advice) = advice(&messages) {
        session.out.talk(&advice);
    }
    Ok(())
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
