//! `msg.export`: the history in a file of its own, for people or programs; `msg.export.page`: the same in pieces, for
//! callers that write it somewhere else.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use chat_programs::private::create_new;
use chat_protocol::rpc::types::{ExportFormat, ExportPage, Exported, Message, MsgExport, MsgExportPage};
use chat_protocol::rpc::{Kind, MAX_LINE_BYTES, RpcError, Target};

use super::{errors, reads};

use crate::api::Answer;
use crate::engine::{history, view};
use crate::store::{Direction, Reader};

/// Messages read at once: between two pages others read and write.
const PAGE: usize = 256;
/// A piece as JSON is at most so long before the last message is added to it, which is shorter than the rest of a line:
/// of a text of 60 KiB a control character takes 7 bytes.
const PIECE_BYTES: usize = MAX_LINE_BYTES / 2;

/// Writes what was asked for to a new file; what fails half-way is removed again.
pub(super) fn run(reader: &Reader, asked: &MsgExport) -> Answer<Exported> {
    let path = Path::new(&asked.out);
    if !path.is_absolute() {
        return Err(RpcError::invalid("out", "must be an absolute path"));
    }
    let chats = chats(reader, asked.to.as_ref())?;
    let file = create_new(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => RpcError::new(Kind::AlreadyExists, "there is a file of that name already"),
        _ => RpcError::invalid("out", format!("cannot be written: {error}")),
    })?;
    let written = write(reader, asked, &chats, file);
    if written.is_err() {
        // What is left is no export; that it cannot be removed is the smaller trouble.
        let _ = fs::remove_file(path);
    }
    written.map(|messages| Exported { out: asked.out.clone(), messages })
}

/// What follows the piece before, whose cursor names the chat and the place in it.
pub(super) fn page(reader: &Reader, asked: &MsgExportPage) -> Answer<ExportPage> {
    let chats = chats(reader, asked.to.as_ref())?;
    let (begun, mut from) = asked.cursor.as_deref().map(place).transpose()?.unwrap_or(("", 0));
    let (mut piece, mut messages) = (Piece::default(), 0);
    for chat in chats.iter().filter(|chat| chat.as_str() >= begun) {
        if chat != begun {
            piece.add(|out| heading(out, asked.format, chat))?;
            from = 0;
        }
        loop {
            let found = read(reader, chat, from)?;
            let Some((last, _)) = found.last() else { break };
            from = last.saturating_add(1);
            for (position, message) in &found {
                if piece.bytes > PIECE_BYTES {
                    let cursor = Some(format!("{position} {chat}"));
                    return Ok(ExportPage { text: piece.text()?, messages, cursor });
                }
                let shown = view::message(message).filter(|message| wanted(asked.since_ms, message));
                if let Some(message) = shown {
                    piece.add(|out| one(out, asked.format, &message))?;
                    messages += 1;
                }
            }
        }
    }
    Ok(ExportPage { text: piece.text()?, messages, cursor: None })
}

/// The chat and the position that a cursor names.
fn place(cursor: &str) -> Answer<(&str, u64)> {
    let refuse = || RpcError::invalid("cursor", "not a cursor of this daemon");
    let (position, chat) = cursor.split_once(' ').ok_or_else(refuse)?;
    Ok((chat, position.parse().map_err(|_| refuse())?))
}

/// Text that is being gathered, and how long it is as JSON.
#[derive(Default)]
struct Piece {
    text: Vec<u8>,
    bytes: usize,
}

impl Piece {
    fn add(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Answer<()> {
        let before = self.text.len();
        write(&mut self.text).map_err(failed)?;
        let added = self.text.get(before..).and_then(|added| std::str::from_utf8(added).ok()).unwrap_or_default();
        self.bytes += serde_json::to_string(added).map_or(usize::MAX, |json| json.len());
        Ok(())
    }

    fn text(self) -> Answer<String> {
        String::from_utf8(self.text).map_err(|_| RpcError::new(Kind::Internal, "a message is not UTF-8"))
    }
}

fn wanted(since_ms: Option<u64>, message: &Message) -> bool {
    since_ms.is_none_or(|since| message.stored_ms >= since)
}

fn read(reader: &Reader, chat: &str, from: u64) -> Answer<Vec<(u64, history::Message)>> {
    let page = reader.read(|rows| -> Result<_, errors::Reading> {
        Ok(history::page(rows, chat, from..=u64::MAX, Direction::Ascending, PAGE)?)
    });
    page.map_err(RpcError::from)
}

fn heading(out: &mut impl Write, format: ExportFormat, chat: &str) -> io::Result<()> {
    if format == ExportFormat::Md { writeln!(out, "# {}\n", line(chat)) } else { Ok(()) }
}

fn chats(reader: &Reader, to: Option<&Target>) -> Answer<Vec<String>> {
    let read = reader.read(|rows| -> Result<Vec<String>, errors::Reading> {
        if let Some(to) = to {
            return Ok(vec![reads::chat_of(rows, to)?]);
        }
        let known = history::chats(rows, usize::MAX)?;
        Ok(known.into_iter().map(|chat| chat.id).collect())
    });
    let mut chats = read.map_err(RpcError::from)?;
    chats.sort();
    Ok(chats)
}

fn write(reader: &Reader, asked: &MsgExport, chats: &[String], file: File) -> Answer<u64> {
    let mut out = BufWriter::new(file);
    let mut count = 0;
    for chat in chats {
        heading(&mut out, asked.format, chat).map_err(failed)?;
        let mut from = 0;
        loop {
            let page = read(reader, chat, from)?;
            let Some((last, _)) = page.last() else { break };
            from = last.saturating_add(1);
            for message in page.iter().filter_map(|(_, message)| view::message(message)) {
                if wanted(asked.since_ms, &message) {
                    one(&mut out, asked.format, &message).map_err(failed)?;
                    count += 1;
                }
            }
        }
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(count)
}

fn one(out: &mut impl Write, format: ExportFormat, message: &Message) -> io::Result<()> {
    match format {
        ExportFormat::Ndjson => {
            serde_json::to_writer(&mut *out, message)?;
            out.write_all(b"\n")
        }
        ExportFormat::Md => {
            let text = if message.deleted { "*deleted*".to_owned() } else { quoted(&message.text) };
            writeln!(out, "**{}**, {}:\n\n{text}\n", line(message.from.as_str()), time(message.sent_ms))
        }
    }
}

/// A text as a block quote of its own lines, in which nothing means anything: it can neither end the quote, nor look
/// like a heading, nor fetch a picture from wherever its author wants to see who reads it.
fn quoted(text: &str) -> String {
    let shown = |line: &str| format!("> {}", plain(&printable(line)));
    text.lines().map(shown).collect::<Vec<_>>().join("  \n")
}

/// As RFC 3339 says it; peers may name times that no calendar has.
fn time(millis: u64) -> String {
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "at no known time".to_owned(), |time| time.to_string())
}

fn line(text: &str) -> String {
    plain(&printable(&text.replace(['\n', '\r'], " ")))
}

/// With every character that Markdown could read escaped, as CommonMark allows for its punctuation.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\`*_[]<>&!#|~".contains(character) {
            shown.push('\\');
        }
        shown.push(character);
    }
    shown
}

/// Without what a terminal would obey, and what turns a line around.
fn printable(text: &str) -> String {
    let obeyed =
        |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if obeyed(c) { '\u{fffd}' } else { c }).collect()
}

fn failed(error: io::Error) -> RpcError {
    RpcError::new(Kind::QuotaExceeded, format!("the export could not be written: {error}"))
        .with_hint("make room there, or name another place")
}
