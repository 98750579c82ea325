//! `history`: the messages of a chat, oldest first.

use chat_protocol::rpc::types::{Chat, ChatGet, IdentityState, MsgList};

use crate::Session;
use crate::cli::History;
use crate::error::Failure;

/// `chatctl history TARGET`
pub(super) async fn run(history: History, session: &mut Session) -> Result<(), Failure> {
    let History { to, limit, ids, before, after } = history;
    let params = MsgList { to: to.clone(), before, after, limit: Some(limit) };
    let client = session.client().await?;
    let page = client.call(&params).await?;
    if let Ok(Chat { identity: Some(IdentityState::Changed), peer: Some(user), .. }) =
        client.call(&ChatGet { to }).await
    {
        session.out.talk(&format!("the identity of @{user} has changed, nothing leaves: chatctl verify @{user}"));
    }
    session.out.messages(&page.messages, ids)?;
    match (page.more, after, page.messages.first(), page.messages.last()) {
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
