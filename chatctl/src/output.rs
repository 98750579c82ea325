//! What goes to stdout: one JSON object a line, or text a terminal can be trusted with.

pub(crate) mod page;
pub(crate) mod progress;
pub(crate) mod reader;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod text;

use std::io::{self, IsTerminal, Write};

use chat_programs::patient::Patient;
use chat_protocol::rpc::types::{Message, MessageState};
use serde::Serialize;

use crate::cli::Colour;
use crate::error::Failure;
use page::Page;
use style::Paint;
use table::Table;
use text::{escape, state_in_words, time};

/// Standard output in the form that was asked for.
pub(crate) struct Output {
    json: bool,
    /// Somebody looks: columns and wrapped texts are for them alone.
    terminal: bool,
    paint: Paint,
}

impl Output {
    pub(crate) fn new(json: bool, colour: Colour) -> Self {
        let terminal = !json && io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|it| it != "dumb");
        Self { json, terminal, paint: Paint::new(colour, terminal) }
    }

    /// How texts are coloured.
    pub(crate) const fn paint(&self) -> Paint {
        self.paint
    }

    /// Prints an answer in columns on a terminal, and elsewhere as the lines that `plain` makes of it.
    pub(crate) fn table<T: Serialize>(
        &mut self,
        answer: &T,
        plain: impl FnOnce(&T) -> Vec<String>,
        table: impl FnOnce(&T) -> Table,
    ) -> Result<(), Failure> {
        let paint = self.paint;
        if self.terminal { self.lines(&table(answer).lines(paint)) } else { self.answer(answer, plain) }
    }

    /// Prints messages: objects, lines, or on a terminal what reads well, with `ids` in front if they are wanted.
    pub(crate) fn messages(&mut self, messages: &[Message], ids: bool) -> Result<(), Failure> {
        if self.json {
            return messages.iter().try_for_each(|message| self.object(message));
        }
        if self.terminal && !ids {
            return self.lines(&Page::here(self.paint).messages(messages));
        }
        let messages = messages.iter().filter(|of| self.shows(of, ids));
        let id = |of: &Message| if ids { format!("{}  ", of.id.to_uuid()) } else { String::new() };
        let lines: Vec<_> = messages.map(|of| format!("{}{}", id(of), message(of))).collect();
        self.lines(&lines)
    }

    /// Whether anything of a message is printed: nothing is left of a deleted one that a line could say. JSON has it, for
    /// whoever counts.
    pub(crate) const fn shows(&self, message: &Message, ids: bool) -> bool {
        self.json || (self.terminal && !ids) || !message.deleted
    }

    fn lines(&mut self, lines: &[String]) -> Result<(), Failure> {
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Whether JSON was asked for.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints an answer: the object itself, or the lines that `human` makes of it.
    pub(crate) fn answer<T: Serialize>(
        &mut self,
        answer: &T,
        human: impl FnOnce(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        if self.json { self.object(answer) } else { human(answer).iter().try_for_each(|line| self.line(line)) }
    }

    /// Prints an object on a line.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(object).map_err(|error| Failure::Malformed(error.to_string()))?;
        self.line(&text)
    }

    /// Prints a line and lets it go at once: a pipe's reader waits for it.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        let mut stdout = Patient(io::stdout().lock());
        writeln!(stdout, "{line}")?;
        Ok(stdout.flush()?)
    }

    /// Prints text as it is.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = Patient(io::stdout().lock());
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Says something on stderr, for people only.
    pub(crate) fn talk(&mut self, text: &str) {
        if !self.json {
            // Talk that nobody hears is no failure.
            let _ = writeln!(Patient(io::stderr().lock()), "{}", escape(text));
        }
    }
}

/// A message on a line: when, where, who, what.
pub(crate) fn message(message: &Message) -> String {
    if message.notice {
        let (at, chat) = (time(message.sent_ms), escape(message.chat.as_str()));
        return format!("{at}  {chat}  * {}", escape(&message.text));
    }
    let doubt = page::doubt(message).map(|doubt| format!(" ({doubt})")).unwrap_or_default();
    let state = match message.state {
        Some(MessageState::Delivered | MessageState::Read) | None => String::new(),
        Some(state) => format!(" ({})", state_in_words(state, message.error)),
    };
    format!(
        "{}  {}  {}: {}{doubt}{state}",
        time(message.sent_ms),
        escape(message.chat.as_str()),
        escape(message.from.as_str()),
        escape(&message.text)
    )
}
