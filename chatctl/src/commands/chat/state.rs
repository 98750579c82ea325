//! What the threads of the line and the conversation share: the line, what was typed before, and what is pasted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use unicode_width::UnicodeWidthStr as _;

use super::edits::Put;
use super::paste::Paste;
use crate::output::page::columns;

/// Lines remembered for the arrow keys.
const REMEMBERED: usize = 500;

/// What the threads and the conversation share.
#[derive(Debug, Default)]
pub(super) struct ChatState {
    /// Lines typed before, the newest last.
    lines: Vec<String>,
    /// Which of them is shown, counted from the newest; 0 is none.
    back: usize,
    /// What was being typed when the arrow key was pressed.
    draft: String,
    /// What the next completion puts in place of the whole line.
    pub(super) put: Option<Put>,
    /// Names that can be completed.
    pub(super) names: Vec<String>,
    /// Text of the newest own message, which `/edit` brings back.
    pub(super) own: Option<String>,
    /// What stands before the line.
    pub(super) prompt: String,
    /// What stands behind the line, for help.
    pub(super) hint: String,
    /// No text may leave: Enter keeps it on the line.
    pub(super) held: bool,
    /// What is on the line.
    pub(super) line: String,
    /// The longest that ever was there, in bytes.
    pub(super) widest: usize,
    /// What is being pasted.
    pub(super) paste: Option<Paste>,
    /// Keys that came behind the line faster than it can be drawn.
    pub(super) burst: String,
    /// That the line is full was said.
    pub(super) full: bool,
}

/// The state, shared.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<ChatState>>);

impl Shared {
    /// A thread that panicked leaves nothing half done here.
    pub(super) fn lock(&self) -> MutexGuard<'_, ChatState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChatState {
    /// Rows that the line takes on the screen.
    pub(super) fn rows(&self) -> usize {
        let columns = columns().max(1);
        let shown = format!("{}{}{}", self.prompt, self.line, self.hint);
        shown.split('\n').map(|part| part.width() / columns + 1).sum()
    }

    /// What was typed and not handed over.
    pub(super) fn typed(&mut self) -> String {
        std::mem::take(&mut self.line) + &std::mem::take(&mut self.burst)
    }

    /// Keeps a line for the arrow keys.
    pub(super) fn remember(&mut self, line: &str) {
        self.back = 0;
        if !line.trim().is_empty() && self.lines.last().is_none_or(|last| last != line) {
            self.lines.push(line.to_owned());
        }
        let surplus = self.lines.len().saturating_sub(REMEMBERED);
        self.lines.drain(..surplus);
    }

    /// The line before the one shown; `None` inside a text of several lines, where arrows move the cursor.
    pub(super) fn older(&mut self, shown: &str) -> Option<String> {
        if self.back == 0 {
            if shown.contains('\n') {
                return None;
            }
            shown.clone_into(&mut self.draft);
        }
        let place = self.lines.len().checked_sub(self.back + 1)?;
        let line = self.lines.get(place)?.clone();
        self.back += 1;
        Some(line)
    }

    /// The line after the one shown, at last what was being typed.
    pub(super) fn newer(&mut self, _: &str) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        match self.back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => self.lines.get(self.lines.len().checked_sub(back)?).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_typed_before_come_back_and_so_does_the_draft() {
        let mut state = ChatState::default();
        assert_eq!(state.older("dra"), None);
        for line in ["one", "two", "two", "  "] {
            state.remember(line);
        }
        assert_eq!(state.older("dra").as_deref(), Some("two"));
        assert_eq!(state.older("two").as_deref(), Some("one"));
        assert_eq!(state.older("one"), None);
        assert_eq!(state.newer("").as_deref(), Some("two"));
        assert_eq!(state.newer("").as_deref(), Some("dra"));
        assert_eq!(state.newer(""), None);
    }

    #[test]
    fn only_so_many_lines_are_remembered() {
        let mut state = ChatState::default();
        (0..REMEMBERED + 5).for_each(|number| state.remember(&number.to_string()));
        assert_eq!((state.lines.len(), state.lines[0].as_str()), (REMEMBERED, "5"));
    }
}
