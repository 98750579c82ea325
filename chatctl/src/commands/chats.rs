//! How chats are kept: what is unread, quiet or put away.

use chat_programs::clock;
use chat_protocol::rpc::types::{self, ChatSet, ChatUnread};

use super::known::in_chat;
use crate::cli::chats::{Archive, Mute, Quiet, Unread};
use crate::error::Failure;
use crate::output::text::{escape, time};
use crate::session::Session;

/// `chatctl unread`
pub(super) async fn unread(unread: &Unread, session: &mut Session) -> Result<(), Failure> {
    let human = |count: &types::Unread| {
        let numbers = [("{messages}", count.messages), ("{chats}", count.chats), ("{mentions}", count.mentions)];
        let fill = |text: String, (name, number): (&str, u64)| text.replace(name, &number.to_string());
        vec![numbers.into_iter().fold(unread.format.clone(), fill)]
    };
    session.simple(&ChatUnread {}, human).await
}

/// `chatctl mute TARGET TIME`
pub(super) async fn mute(mute: Mute, session: &mut Session) -> Result<(), Failure> {
    let until = match mute.how_long {
        Quiet::Off => 0,
        Quiet::Forever => u64::MAX,
        Quiet::For(time) => (clock::now() + time).as_millis(),
    };
    let params = ChatSet { to: mute.to, muted_until_ms: Some(until), ttl_s: None, archived: None };
    let human = |chat: &types::Chat| {
        vec![match chat.muted_until_ms {
            None => format!("{} makes itself heard", escape(chat.id.as_str())),
            Some(u64::MAX) => format!("{} is quiet", escape(chat.id.as_str())),
            Some(until) => format!("{} is quiet until {}", escape(chat.id.as_str()), time(until)),
        }]
    };
    in_chat(&params.to, &params, human, session).await
}

/// `chatctl archive TARGET`
pub(super) async fn archive(archive: Archive, session: &mut Session) -> Result<(), Failure> {
    let params = ChatSet { to: archive.to, muted_until_ms: None, ttl_s: None, archived: Some(!archive.undo) };
    let human = |chat: &types::Chat| {
        let what = if chat.archived { "put away until somebody writes" } else { "back" };
        vec![format!("{} is {what}", escape(chat.id.as_str()))]
    };
    in_chat(&params.to, &params, human, session).await
}
