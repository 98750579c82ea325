//! What goes to stdout: one JSON object a line, or text a terminal can be trusted with.

pub(crate) mod page;
pub(crate) mod progress;
pub(crate) mod reader;
pub(crate) mod style;
pub(crate) mod table;

use std::io::{self, IsTerminal, Write};

use chat_programs::patient::Patient;
use chat_protocol::rpc::types::{Message, MessageState};
pub(crate) use chat_protocol::text::escape;
use serde::Serialize;

use crate::cli::Colour;
use crate::error::Failure;
use page::Page;
use style::Paint;
use table::Table;

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
        Some(state) => format!(" ({})", state_in_words(state, message.error.as_deref())),
    };
    format!(
        "{}  {}  {}: {}{doubt}{state}",
        time(message.sent_ms),
        escape(message.chat.as_str()),
        escape(message.from.as_str()),
        escape(&message.text)
    )
}

/// What became of a message, and why: `failed: not found`.
pub(crate) fn state_in_words(state: MessageState, error: Option<&str>) -> String {
    let why = error.map(|error| format!(": {}", escape(&error.replace('_', " ")))).unwrap_or_default();
    format!("{}{why}", word(&state))
}

/// The wire's own word for a value of a few words.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}

/// `2026-11-22 23:25:04Z`; peers may name times that no calendar has.
pub(crate) fn time(millis: u64) -> String {
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    let Ok(at) = jiff::Timestamp::from_second(seconds) else { return "(no known time)".to_owned() };
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!(time(951_782_399_000), "2000-02-28 23:59:59Z");
        assert_eq!(time(951_868_799_999), "2000-02-29 23:59:59Z");
        assert_eq!(time(1_700_000_000_000), "2023-11-14 22:13:20Z");
        assert_eq!(time(u64::MAX), "(no known time)");
    }
}
