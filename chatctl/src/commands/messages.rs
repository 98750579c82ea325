//! What can be done about a message after it was sent, and how messages are found again.

use chat_protocol::rpc::types::{
    DeleteScope, ExportFormat, MsgCancel, MsgDelete, MsgEdit, MsgExport, MsgReact, MsgResend, MsgSearch,
};

use crate::Session;
use crate::cli::messages::{Delete, Edit, Export, Format, OneMessage, React, Search};
use crate::error::Failure;
use crate::output::progress::during;
use crate::output::{self, escape, word};

/// `chatctl edit ID TEXT`
pub(super) async fn edit(edit: Edit, session: &mut Session) -> Result<(), Failure> {
    let Edit { id, text } = edit;
    session.simple(&MsgEdit { id, text }, |message| vec![output::message(message)]).await
}

/// `chatctl delete ID`
pub(super) async fn delete(delete: &Delete, session: &mut Session) -> Result<(), Failure> {
    let scope = if delete.everywhere { DeleteScope::All } else { DeleteScope::Myself };
    session.simple(&MsgDelete { id: delete.id, scope }, |_| vec!["deleted".to_owned()]).await
}

/// `chatctl react ID EMOJI`
pub(super) async fn react(react: React, session: &mut Session) -> Result<(), Failure> {
    let React { id, emoji, remove } = react;
    let params = MsgReact { id, emoji, remove: remove.then_some(true) };
    session.simple(&params, |message| vec![output::message(message)]).await
}

/// `chatctl cancel ID`
pub(super) async fn cancel(message: &OneMessage, session: &mut Session) -> Result<(), Failure> {
    session.simple(&MsgCancel { id: message.id }, |status| vec![word(&status.state)]).await
}

/// `chatctl resend ID`
pub(super) async fn resend(message: &OneMessage, session: &mut Session) -> Result<(), Failure> {
    let human = |sent: &chat_protocol::rpc::types::Sent| {
        vec![format!("{} to {}: {}", word(&sent.state), escape(sent.chat.as_str()), sent.id.to_uuid())]
    };
    session.simple(&MsgResend { id: message.id }, human).await
}

/// `chatctl search WORDS…`
pub(super) async fn search(search: Search, session: &mut Session) -> Result<(), Failure> {
    let Search { words, chat, from, limit } = search;
    let params = MsgSearch {
        query: words.join(" "),
        to: chat,
        from,
        since_ms: None,
        until_ms: None,
        limit: Some(limit),
        cursor: None,
    };
    let client = session.client().await?;
    let page = during("Searching", session.out.is_json(), client.call(&params)).await?;
    session.out.messages(&page.messages, false)?;
    if page.cursor.is_some() {
        session.out.talk("there are more: name more words, or raise --limit");
    }
    Ok(())
}

/// `chatctl export FILE`
pub(super) async fn export(export: Export, session: &mut Session) -> Result<(), Failure> {
    let out = std::path::absolute(&export.out)?;
    let Some(out) = out.to_str() else { return Err(Failure::Usage("the file's name is not UTF-8".to_owned())) };
    let format = match export.format {
        Format::Ndjson => ExportFormat::Ndjson,
        Format::Md => ExportFormat::Md,
    };
    let params = MsgExport { to: export.chat, since_ms: None, format, out: out.to_owned() };
    let client = session.client().await?;
    let done = during("Exporting", session.out.is_json(), client.call(&params)).await?;
    session.out.answer(&done, |done| vec![format!("{} messages in {}", done.messages, escape(&done.out))])
}
