//! `history`: the messages of a chat, oldest first.

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::Kind;
use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::types::{Chat, ChatGet, IdentityState, Message, MessagePage, MsgList};

use super::known;
use crate::cli::History;
use crate::error::Failure;
use crate::output::Output;
use crate::session::Session;

/// `chatctl history TARGET`
pub(super) async fn run(history: History, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let page = wanted(&client, &history, &session.out).await?;
    if page.messages.is_empty() {
        known::require(&client, std::slice::from_ref(&history.to), &mut session.out).await?;
    }
    if let Ok(Chat { identity: Some(IdentityState::Changed), peer: Some(user), .. }) =
        client.call(&ChatGet { to: history.to }).await
    {
        session.out.talk(&format!("the identity of @{user} has changed, nothing leaves: chatctl verify @{user}"));
    }
    session.out.messages(&page.messages, history.ids)?;
    match (page.more, history.after, page.messages.first(), page.messages.last()) {
        (true, None, Some(oldest), _) => {
            session.out.talk(&format!("there are older ones: --before {}", oldest.id.to_uuid()));
        }
        (true, Some(_), _, Some(newest)) => {
            session.out.talk(&format!("there are newer ones: --after {}", newest.id.to_uuid()));
        }
        _ => {}
    }
    Ok(())
}

/// As many messages that are shown as are wanted, if there are so many. Long ones do not fit one answer of chatd: then it
/// is asked again, for those next to what it gave.
async fn wanted(client: &Client, history: &History, out: &Output) -> Result<MessagePage, Failure> {
    let (mut before, mut after) = (history.before, history.after);
    let mut messages = Vec::new();
    loop {
        let left = history.limit.saturating_sub(u32::try_from(messages.len()).unwrap_or(u32::MAX));
        let page = client.call(&MsgList { to: history.to.clone(), before, after, limit: Some(left) }).await;
        let page = page.map_err(|error| of_edge(error.into(), history))?;
        let more = page.more && !page.messages.is_empty();
        let edge = |message: Option<&Message>| message.map(|message| message.id);
        match after {
            Some(_) => after = edge(page.messages.last()).or(after),
            None => before = edge(page.messages.first()).or(before),
        }
        let shown = page.messages.into_iter().filter(|message| out.shows(message, history.ids)).collect();
        join(&mut messages, shown, after);
        if !more || messages.len() >= history.limit as usize {
            return Ok(MessagePage { messages, more });
        }
    }
}

/// A message that is to be an edge is looked for among those of the chat.
fn of_edge(failure: Failure, history: &History) -> Failure {
    match failure {
        Failure::Refused(refusal)
            if refusal.kind == Kind::NotFound && (history.before.is_some() || history.after.is_some()) =>
        {
            let hint = format!("`chatctl history {} --ids` shows the ids of its messages", history.to);
            Failure::Refused(refusal.with_hint(hint))
        }
        other => other,
    }
}

/// Puts a page where it belongs: behind those that are there when read forwards, before them when read back.
fn join(messages: &mut Vec<Message>, page: Vec<Message>, forwards: Option<MessageId>) {
    let place = if forwards.is_some() { messages.len() } else { 0 };
    messages.splice(place..place, page);
}
