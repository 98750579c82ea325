//! What can be done about a message after it was sent, and how messages are found again.

use chat_protocol::rpc::client::{CallError, Client};
use chat_protocol::rpc::types::{
    DeleteScope, ExportFormat, Message, MsgCancel, MsgDelete, MsgEdit, MsgExport, MsgExportPage, MsgReact, MsgResend,
    MsgSearch,
};
use chat_protocol::rpc::{Kind, Target};

use super::known;
use super::send::text;
use crate::cli::messages::{Delete, Edit, Export, Format, OneMessage, React, Search};
use crate::error::{Failure, OfFile};
use crate::output;
use crate::output::progress::during;
use crate::output::text::{escape, word};
use crate::secrets::is_standard;
use crate::session::Session;

/// `chatctl edit ID TEXT`
pub(super) async fn edit(edit: Edit, session: &mut Session) -> Result<(), Failure> {
    let (id, text) = (edit.id, text(Some(edit.text), session)?);
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
    let client = session.client().await?;
    let named: Vec<_> = search.chat.iter().cloned().chain(search.from.iter().cloned().map(Target::User)).collect();
    let Found { messages, more, partial } = during("Searching", session.out.is_json(), found(&client, search)).await?;
    if messages.is_empty() {
        known::require(&client, &named, &mut session.out).await?;
    }
    session.out.messages(&messages, false)?;
    if messages.is_empty() {
        session.out.talk("no message has all of these words; WORD* matches what begins with it");
    }
    if more {
        session.out.talk("there are more: name more words, or raise --limit");
    }
    if partial {
        session.out.talk("only the newest messages were searched; all of them: chatctl export - | grep -i WORD");
    }
    Ok(())
}

/// What a search brought.
struct Found {
    messages: Vec<Message>,
    /// Whether more fit.
    more: bool,
    /// Whether the oldest messages were left out of the search.
    partial: bool,
}

/// As many messages as are wanted, if there are so many. Long ones do not fit one answer.
async fn found(client: &Client, Search { words, chat, from, limit }: Search) -> Result<Found, Failure> {
    let (query, mut messages, mut cursor) = (words.join(" "), Vec::new(), None);
    loop {
        let left = limit.saturating_sub(u32::try_from(messages.len()).unwrap_or(u32::MAX));
        let params = MsgSearch {
            query: query.clone(),
            to: chat.clone(),
            from: from.clone(),
            since_ms: None,
            until_ms: None,
            limit: Some(left),
            cursor,
        };
        let page = client.call(&params).await?;
        let none = page.messages.is_empty();
        messages.extend(page.messages);
        cursor = page.cursor;
        if none || cursor.is_none() || messages.len() >= limit as usize {
            return Ok(Found { messages, more: cursor.is_some(), partial: page.partial });
        }
    }
}

/// `chatctl export FILE`
pub(super) async fn export(export: Export, session: &mut Session) -> Result<(), Failure> {
    let format = match export.format {
        Format::Ndjson => ExportFormat::Ndjson,
        Format::Md => ExportFormat::Md,
    };
    let client = session.client().await?;
    if let Some(chat) = &export.chat {
        known::require(&client, std::slice::from_ref(chat), &mut session.out).await?;
    }
    if is_standard(&export.out) {
        return print(&client, export.chat, format, session).await;
    }
    let out = std::path::absolute(&export.out)?;
    let Some(out) = out.to_str() else { return Err(Failure::Usage("the file's name is not UTF-8".to_owned())) };
    let params = MsgExport { to: export.chat, since_ms: None, format, out: out.to_owned() };
    let done = during("Exporting", session.out.is_json(), client.call(&params)).await;
    let done = done.map_err(|error| not_made(error, &params.out))?;
    session.out.answer(&done, |done| vec![format!("{} messages in {}", done.messages, escape(&done.out))])
}

/// chatd makes the file; that it cannot is no fault of the command line.
fn not_made(error: CallError, out: &str) -> Failure {
    let made = |why: String, hint: &str| Failure::NotMade(OfFile { what: out.to_owned(), why, hint: hint.to_owned() });
    match error {
        CallError::Refused(refusal) if refusal.kind == Kind::AlreadyExists => {
            made(refusal.message, "name a file that is not there yet, or remove that one first")
        }
        CallError::Refused(refusal) if refusal.path.as_deref() == Some("out") => {
            made(refusal.message, "name a file in a directory that chatd may write to")
        }
        other => other.into(),
    }
}

/// `chatctl export -`: nothing of it touches the disk.
async fn print(
    client: &Client,
    to: Option<Target>,
    format: ExportFormat,
    session: &mut Session,
) -> Result<(), Failure> {
    let mut cursor = None;
    loop {
        let params = MsgExportPage { to: to.clone(), since_ms: None, format, cursor };
        let piece = client.call(&params).await?;
        session.out.raw(piece.text.as_bytes())?;
        cursor = piece.cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
