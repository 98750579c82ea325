//! How a conversation looks on a terminal: days, times, names, and texts that stay inside their margins.
//!
//! Whatever somebody writes, it begins to the right of the margin, also behind a line break and where a long line is
//! broken: nobody can make up the beginning of somebody else's message.

use chat_protocol::rpc::types::{Message, MessageState};

use super::style::{Look, Paint};
use super::text::{escape, time, word};

/// Columns when the terminal does not say how many it has.
const USUAL_COLUMNS: usize = 80;
/// Rows then.
const USUAL_ROWS: usize = 24;
/// Narrower, and texts are broken as if it were this wide.
const FEWEST_COLUMNS: usize = 24;
/// Before every line of a text but the first.
const MARGIN: &str = "         ";
/// Characters shown of a message that is answered.
const QUOTED: usize = 24;

/// A terminal of a width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    paint: Paint,
    columns: usize,
}

impl Page {
    /// A page of that many columns.
    pub(crate) const fn new(paint: Paint, columns: usize) -> Self {
        // The last column stays empty: terminals disagree about what follows it.
        Self { paint, columns: if columns > FEWEST_COLUMNS { columns - 1 } else { FEWEST_COLUMNS } }
    }

    /// The terminal behind standard output.
    pub(crate) fn here(paint: Paint) -> Self {
        Self::new(paint, columns())
    }

    /// Messages with a heading for each day.
    pub(crate) fn messages(self, messages: &[Message]) -> Vec<String> {
        let mut day = String::new();
        let mut lines = Vec::new();
        for message in messages {
            if day != date(message.sent_ms) {
                day = date(message.sent_ms);
                lines.push(self.day(message.sent_ms));
            }
            let answered = message.reply_to.and_then(|id| messages.iter().find(|other| other.id == id));
            lines.extend(self.message(message, answered));
        }
        lines
    }

    /// The heading of a day.
    pub(crate) fn day(self, millis: u64) -> String {
        self.rule(&format!("{}, times are UTC", date(millis)))
    }

    /// A line that divides.
    pub(crate) fn rule(self, text: &str) -> String {
        self.paint.paint(Look::Faint, &format!("-- {text} --"))
    }

    /// Something that is no message.
    pub(crate) fn notice(self, look: Look, text: &str) -> Vec<String> {
        let text = format!("* {}", escape(text));
        let wrapped = textwrap::wrap(&text, textwrap::Options::new(self.columns).subsequent_indent("  "));
        wrapped.iter().map(|line| self.paint.paint(look, line)).collect()
    }

    /// A message: when, who, what, and what became of it.
    pub(crate) fn message(self, message: &Message, answered: Option<&Message>) -> Vec<String> {
        if message.notice {
            return self.notice(Look::Warn, &message.text);
        }
        let (time, name) = (clock(message.sent_ms), escape(message.from.as_str()));
        let bot = if message.from_bot { " (bot)" } else { "" };
        let head = format!("{time} {name}{bot}{}: ", answered.map(quote).unwrap_or_default());
        let tail = tail(message);
        let mut lines = self.wrap(&format!("{head}{}", body(message)), &tail);
        let look = if message.outgoing { Look::Own } else { Look::Name };
        if let Some(first) = lines.first_mut()
            && let Some(rest) = first.strip_prefix(&format!("{time} {name}"))
        {
            *first = format!("{} {}{rest}", self.paint.paint(Look::Faint, &time), self.paint.paint(look, &name));
        }
        lines
    }

    /// The lines of a text, and behind the last one its faint tail.
    fn wrap(self, text: &str, tail: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = escape(line);
            let indent = if number == 0 { "" } else { MARGIN };
            let options = textwrap::Options::new(self.columns).initial_indent(indent).subsequent_indent(MARGIN);
            lines.extend(textwrap::wrap(&line, options).into_iter().map(std::borrow::Cow::into_owned));
        }
        if !tail.is_empty() {
            self.append(&mut lines, tail);
        }
        lines
    }

    /// Puts the tail where there is room.
    fn append(self, lines: &mut Vec<String>, tail: &str) {
        let faint = self.paint.paint(Look::Faint, tail);
        match lines.last_mut() {
            Some(last) if textwrap::core::display_width(last) + 1 + tail.len() <= self.columns => {
                last.push(' ');
                last.push_str(&faint);
            }
            _ => lines.push(format!("{MARGIN}{faint}")),
        }
    }
}

/// Columns of the terminal behind standard output.
pub(crate) fn columns() -> usize {
    size().0
}

/// Columns and rows of the terminal behind standard output.
pub(crate) fn size() -> (usize, usize) {
    let known = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok();
    let (columns, rows) = known.map_or((0, 0), |size| (size.ws_col.into(), size.ws_row.into()));
    (if columns == 0 { USUAL_COLUMNS } else { columns }, if rows == 0 { USUAL_ROWS } else { rows })
}

fn body(message: &Message) -> String {
    if message.deleted { "(deleted)".to_owned() } else { message.text.clone() }
}

/// What follows a text: that it was changed, signs, and how far it came.
fn tail(message: &Message) -> String {
    let mut parts = Vec::new();
    parts.extend(doubt(message).map(|doubt| format!("({doubt})")));
    if message.edited_ms.is_some() && !message.deleted {
        parts.push("(edited)".to_owned());
    }
    for reaction in &message.reactions {
        let users: Vec<_> = reaction.users.iter().map(|user| escape(user.as_str())).collect();
        parts.push(format!("[{} {}]", escape(&reaction.emoji), users.join(" ")));
    }
    if let Some(state) = message.state.filter(|_| !message.deleted) {
        parts.push(format!("({})", state_word(state)));
    }
    parts.join(" ")
}

/// Why it may not be from whom it seems.
pub(crate) const fn doubt(message: &Message) -> Option<&'static str> {
    match (message.unverified_log, message.unverified_device) {
        (true, _) => Some("UNVERIFIED: the server keeps back the author's log"),
        (false, true) => Some("UNVERIFIED: from a new device of the author"),
        (false, false) => None,
    }
}

fn state_word(state: MessageState) -> String {
    match state {
        MessageState::Queued => "waiting".to_owned(),
        MessageState::Accepted => "sent".to_owned(),
        MessageState::Failed => "FAILED".to_owned(),
        state => word(&state),
    }
}

/// ` (to "are you there")`
fn quote(answered: &Message) -> String {
    let text = body(answered);
    let mut short: String = text.chars().take(QUOTED).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if short.len() < text.len() {
        short.push_str("..");
    }
    format!(" (to \"{}\")", escape(&short))
}

/// `2026-11-22`
pub(crate) fn date(millis: u64) -> String {
    time(millis).split(' ').next().unwrap_or_default().to_owned()
}

/// `23:25Z`
fn clock(millis: u64) -> String {
    time(millis).get(11..16).map_or_else(|| "--:--".to_owned(), |clock| format!("{clock}Z"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(text: &str, more: serde_json::Value) -> Message {
        let mut all = json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057", "chat": "@bob", "from": "bob", "outgoing": false,
            "text": text, "sent_ms": 1_700_000_000_000_u64, "stored_ms": 0
        });
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn page() -> Page {
        Page::new(Paint::off(), 41)
    }

    #[test]
    fn a_message_says_when_who_what_and_how_far_it_came() {
        let own = json!({"outgoing": true, "from": "alice", "state": "delivered", "edited_ms": 1});
        assert_eq!(page().message(&message("hi", own), None), ["22:13Z alice: hi (edited) (delivered)"]);
        let signs = json!({"reactions": [{"emoji": "👍", "users": ["alice", "carol"]}]});
        assert_eq!(page().message(&message("hi", signs), None), ["22:13Z bob: hi [👍 alice carol]"]);
        let question = message("how many sheep are there on the hill?", json!({}));
        assert_eq!(
            page().message(&message("12", json!({})), Some(&question)),
            ["22:13Z bob (to \"how many sheep are", "         there..\"): 12"]
        );
        assert_eq!(page().message(&message("hi", json!({"from_bot": true})), None), ["22:13Z bob (bot): hi"]);
        assert_eq!(page().message(&message("gone", json!({"deleted": true})), None), ["22:13Z bob: (deleted)"]);
    }

    #[test]
    fn atk_61_no_text_can_begin_where_messages_begin() {
        let spaces = " ".repeat(60);
        for hostile in ["yes\n22:13Z alice: no", &format!("yes{spaces}22:13Z alice: no"), &"x".repeat(200)] {
            let lines = page().message(&message(hostile, json!({})), None);
            assert!(lines.len() > 1 && lines[1..].iter().all(|line| line.starts_with(MARGIN)), "{lines:#?}");
        }
        let lines = page().message(&message("\u{1b}[2J\u{202e}x\r\nb", json!({})), None);
        assert_eq!(lines, ["22:13Z bob: \\u{1b}[2J\\u{202e}x", "         b"]);
        let sign = json!({"reactions": [{"emoji": "\u{1b}[2J", "users": ["carol"]}]});
        assert_eq!(page().message(&message("hi", sign), None), ["22:13Z bob: hi [\\u{1b}[2J carol]"]);
    }

    #[test]
    fn what_may_not_be_from_its_author_says_so() {
        let device = page().message(&message("hi", json!({"unverified_device": true})), None).join(" ");
        assert!(device.contains("UNVERIFIED: from a new device"), "{device}");
        let log = page().message(&message("hi", json!({"unverified_log": true})), None).join(" ");
        assert!(log.contains("UNVERIFIED: the server"), "{log}");
        let notice = page().message(&message("bob has a new device", json!({"notice": true})), None);
        assert_eq!(notice, ["* bob has a new device"]);
    }

    #[test]
    fn a_day_has_its_heading() {
        let lines =
            page().messages(&[message("one", json!({})), message("two", json!({"sent_ms": 1_700_100_000_000_u64}))]);
        assert_eq!(
            lines,
            [
                "-- 2023-11-14, times are UTC --",
                "22:13Z bob: one",
                "-- 2023-11-16, times are UTC --",
                "02:00Z bob: two"
            ]
        );
    }
}
