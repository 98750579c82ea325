//! `history`: the messages of a chat, oldest first.

use chat_protocol::rpc::types::MsgList;

use crate::Session;
use crate::cli::History;
use crate::error::Failure;
use crate::output;

/// `chatctl history TARGET`
pub(super) async fn run(history: History, session: &mut Session) -> Result<(), Failure> {
    let History { to, limit, before } = history;
    let params = MsgList { to, before, after: None, limit: Some(limit) };
    let page = session.client().await?.call(&params).await?;
    for message in &page.messages {
        if session.out.is_json() {
            session.out.object(message)?;
        } else {
            session.out.line(&output::message(message))?;
        }
    }
    if let (true, Some(oldest)) = (page.more, page.messages.first()) {
        session.out.talk(&format!("there are older ones: --before {}", oldest.id.to_uuid()));
    }
    Ok(())
}
