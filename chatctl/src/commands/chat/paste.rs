//! How much fits on the line, and what is pasted.
//!
//! rustyline takes whatever comes and counts the rows of it in sixteen bits, and it gathers all that is pasted before
//! anybody is asked. So the keys of a paste are gathered here, between the terminal's two marks for it, and put on the
//! line as a whole, if there is room; and no other key makes a line longer than a message may be.

use chat_protocol::limits::MAX_TEXT_BYTES;
use rustyline::{KeyCode, KeyEvent, Modifiers, RepeatCount};

/// Longest line: a text of the longest message behind a command, such as `/reply ^99 `. Each byte takes a row at most,
/// in the narrowest terminal: with the prompt they are fewer than 65,536.
pub(super) const MAX_LINE_BYTES: usize = MAX_TEXT_BYTES + 64;

/// A paste that has begun.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Paste {
    text: String,
    /// All of it, also what there was no room for.
    bytes: usize,
    /// The last key was a carriage return, whose line feed says the same.
    returned: bool,
}

impl Paste {
    /// Takes a key of it. What is no text is left out.
    pub(super) fn take(&mut self, key: KeyEvent) {
        let returned = std::mem::replace(&mut self.returned, key.0 == KeyCode::Enter);
        let Some(character) = character(key).filter(|character| !(returned && *character == '\n' && is_feed(key)))
        else {
            return;
        };
        self.bytes = self.bytes.saturating_add(character.len_utf8());
        if self.bytes <= MAX_LINE_BYTES {
            self.text.push(character);
        }
    }

    /// All of it, if it fits beside `taken` bytes; how long it is if not.
    pub(super) fn fitting(self, taken: usize) -> Result<String, usize> {
        if self.bytes.saturating_add(taken) <= MAX_LINE_BYTES { Ok(self.text) } else { Err(self.bytes) }
    }
}

fn is_feed(KeyEvent(code, modifiers): KeyEvent) -> bool {
    code == KeyCode::Char('J') && modifiers == Modifiers::CTRL
}

/// The character that a key stands for, marked as pasted or not.
pub(super) fn character(key: KeyEvent) -> Option<char> {
    match key {
        KeyEvent(KeyCode::Char(character), Modifiers::NONE) => Some(character),
        KeyEvent(KeyCode::Enter, _) => Some('\n'),
        KeyEvent(KeyCode::Tab, _) => Some('\t'),
        key if is_feed(key) => Some('\n'),
        _ => None,
    }
}

/// How many bytes a key adds at most, pressed `times` times; `widest` is the longest line there was, all of which may
/// have been cut out and be put back.
pub(super) fn growth(key: KeyEvent, times: RepeatCount, widest: usize) -> usize {
    let one = match key {
        KeyEvent(KeyCode::Char(character), Modifiers::NONE) => character.len_utf8(),
        KeyEvent(KeyCode::Char('Y'), Modifiers::CTRL) | KeyEvent(KeyCode::Char('y' | 'Y'), Modifiers::ALT) => widest,
        // The next key as it is.
        KeyEvent(KeyCode::Char('V' | 'Q'), Modifiers::CTRL) => char::MAX.len_utf8(),
        KeyEvent(KeyCode::Enter, Modifiers::ALT) | KeyEvent(KeyCode::Char('M'), Modifiers::CTRL_ALT) => 1,
        _ => 0,
    };
    one.saturating_mul(times.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pasted(text: &str) -> Paste {
        let mut paste = Paste::default();
        text.chars().for_each(|character| paste.take(KeyEvent::new(character, Modifiers::NONE)));
        paste
    }

    #[test]
    fn a_paste_stays_as_it_is_but_for_its_line_ends() {
        assert_eq!(pasted("a\r\nb\rc\n\n\td é👍\u{1}\u{3}").fitting(0).unwrap(), "a\nb\nc\n\n\td é👍");
    }

    #[test]
    fn a_paste_that_is_too_long_is_counted_and_not_kept() {
        let mut paste = pasted(&"x".repeat(MAX_LINE_BYTES));
        assert_eq!(paste.text.len(), MAX_LINE_BYTES);
        (0..1000).for_each(|_| paste.take(KeyEvent::new('é', Modifiers::NONE)));
        assert_eq!(paste.text.len(), MAX_LINE_BYTES, "no more is kept than can be put on the line");
        assert_eq!(paste.fitting(0), Err(MAX_LINE_BYTES + 2000));
        assert_eq!(pasted("abc").fitting(MAX_LINE_BYTES - 2), Err(3), "what is on the line takes room too");
    }

    #[test]
    fn no_key_adds_more_than_is_counted_for_it() {
        let key = |character, modifiers| KeyEvent(KeyCode::Char(character), modifiers);
        assert_eq!(growth(key('é', Modifiers::NONE), 1000, 0), 2000);
        assert_eq!(growth(key('Y', Modifiers::CTRL), 3, 500), 1500);
        assert_eq!(growth(KeyEvent(KeyCode::Enter, Modifiers::ALT), 2, 500), 2);
        assert_eq!(growth(key('A', Modifiers::CTRL), 9, 500), 0);
    }
}
