//! What is shown above the line that is being typed.
//!
//! Everything shown is an entry of known height. As long as an entry is still on the screen it can be shown anew where
//! it stands: the terminal is told to go up so many rows, and all from there on is written again. That is how a
//! message gets its `(delivered)`. What was scrolled away, or was shown in another width, stays as it is.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::mpsc::Sender;

use chat_protocol::ids::MessageId;

/// Entries remembered: more never fit on a screen.
const REMEMBERED: usize = 300;

/// Columns and rows.
pub(super) type Size = (usize, usize);

struct Entry {
    id: Option<MessageId>,
    lines: Vec<String>,
}

/// The entries, the newest last, and the way to the terminal.
pub(super) struct Screen {
    entries: VecDeque<Entry>,
    size: Size,
    out: Sender<String>,
}

impl Screen {
    /// An empty screen that is written to `out`.
    pub(super) const fn new(out: Sender<String>) -> Self {
        Self { entries: VecDeque::new(), size: (0, 0), out }
    }

    /// Shows lines below all others. Each has to fit in the terminal's width.
    pub(super) fn show(&mut self, id: Option<MessageId>, lines: Vec<String>, size: Size) {
        if size != self.size {
            // Where the rows are now only the terminal knows.
            self.forget();
            self.size = size;
        }
        self.write(&lines.iter().fold(String::new(), |text, line| text + line + "\n"));
        self.entries.push_back(Entry { id, lines });
        if self.entries.len() > REMEMBERED {
            self.entries.pop_front();
        }
    }

    /// Shows a message anew where it stands; says whether that could be done.
    ///
    /// `below` is the number of rows that are taken by the line being typed.
    pub(super) fn renew(&mut self, id: MessageId, lines: &[String], size: Size, below: usize) -> bool {
        if size != self.size {
            return false;
        }
        let Some(place) = self.entries.iter().rposition(|entry| entry.id == Some(id)) else { return false };
        let height: usize = self.entries.iter().skip(place).map(|entry| entry.lines.len()).sum();
        if height + below >= size.1 {
            return false;
        }
        if let Some(entry) = self.entries.get_mut(place) {
            if entry.lines == lines {
                return true;
            }
            entry.lines = lines.to_vec();
        }
        let mut text = format!("\u{1b}[{height}A\r\u{1b}[J");
        for line in self.entries.iter().skip(place).flat_map(|entry| &entry.lines) {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        self.write(&text);
        true
    }

    /// Nothing that is on the screen can be changed any more.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
    }

    fn write(&self, text: &str) {
        // Whoever reads the terminal may have left already.
        let _ = self.out.send(text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const SIZE: Size = (80, 10);

    fn screen() -> (Screen, Receiver<String>) {
        let (out, shown) = channel();
        (Screen::new(out), shown)
    }

    fn id(number: u8) -> MessageId {
        MessageId::new([number; 16])
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn an_entry_is_shown_anew_with_all_that_follows_it() {
        let (mut screen, shown) = screen();
        screen.show(None, lines(&["hello"]), SIZE);
        screen.show(Some(id(1)), lines(&["one (waiting)"]), SIZE);
        screen.show(Some(id(2)), lines(&["two", "  lines"]), SIZE);
        assert!(screen.renew(id(1), &lines(&["one (sent)"]), SIZE, 1));
        assert!(screen.renew(id(1), &lines(&["one (sent)"]), SIZE, 1), "nothing to do is done");
        assert_eq!(shown.try_iter().last().unwrap(), "\u{1b}[3A\r\u{1b}[Jone (sent)\ntwo\n  lines\n");
    }

    #[test]
    fn what_may_have_moved_stays_as_it_is() {
        let (mut screen, _shown) = screen();
        screen.show(Some(id(1)), lines(&["one"]), SIZE);
        assert!(!screen.renew(id(2), &lines(&["x"]), SIZE, 1), "never shown");
        assert!(!screen.renew(id(1), &lines(&["x"]), (79, 10), 1), "another width");
        assert!(!screen.renew(id(1), &lines(&["x"]), SIZE, 9), "the typed line takes the room");
        for _ in 0..9 {
            screen.show(None, lines(&["more"]), SIZE);
        }
        assert!(!screen.renew(id(1), &lines(&["x"]), SIZE, 1), "scrolled away");
    }
}
