//! What keys change on a line that rustyline does not show yet.
//!
//! rustyline does one thing for a key. When a key has to put a burst on the line first, what it does itself is done here
//! along with that, as rustyline would.

use rustyline::line_buffer::LineBuffer;
use rustyline::{At, Changeset, KeyCode, KeyEvent, Modifiers, Word};

/// Changes a line, or moves the cursor, and returns whether there was anything to do.
pub(super) type Edit = fn(&mut LineBuffer, &mut Changeset) -> bool;

/// What is to be put in place of the whole line.
#[derive(Clone, Debug)]
pub(super) struct Put {
    pub(super) text: String,
    /// Where the cursor stands, in bytes.
    pub(super) cursor: usize,
    /// What is done to it then.
    pub(super) edit: Option<Edit>,
}

impl Put {
    /// With the cursor behind it.
    pub(super) const fn whole(text: String) -> Self {
        Self { cursor: text.len(), text, edit: None }
    }
}

/// What a key does to a line, if it does that without asking for anything else.
pub(super) fn edit(KeyEvent(code, modifiers): KeyEvent) -> Option<Edit> {
    match modifiers {
        Modifiers::NONE => plain(code),
        Modifiers::CTRL => with_ctrl(code),
        Modifiers::ALT => with_alt(code),
        _ => None,
    }
}

fn plain(code: KeyCode) -> Option<Edit> {
    Some(match code {
        KeyCode::Backspace => |line, changes| line.backspace(1, changes),
        KeyCode::Delete => |line, changes| line.delete(1, changes).is_some(),
        KeyCode::Left => |line, _| line.move_backward(1),
        KeyCode::Right => |line, _| line.move_forward(1),
        KeyCode::Home => |line, _| line.move_home(),
        KeyCode::End => |line, _| line.move_end(),
        KeyCode::Esc | KeyCode::UnknownEscSeq => |_, _| false,
        _ => return None,
    })
}

fn with_ctrl(code: KeyCode) -> Option<Edit> {
    Some(match code {
        KeyCode::Char('A') => return plain(KeyCode::Home),
        KeyCode::Char('B') => return plain(KeyCode::Left),
        KeyCode::Char('D') => return plain(KeyCode::Delete),
        KeyCode::Char('E') => return plain(KeyCode::End),
        KeyCode::Char('F') => return plain(KeyCode::Right),
        KeyCode::Char('G') => return plain(KeyCode::Esc),
        KeyCode::Char('H') => return plain(KeyCode::Backspace),
        KeyCode::Char('K') => |line, changes| line.kill_line(changes),
        KeyCode::Char('T') => |line, changes| line.transpose_chars(changes),
        KeyCode::Char('U') => |line, changes| line.discard_line(changes),
        KeyCode::Char('W') => |line, changes| line.delete_prev_word(Word::Big, 1, changes),
        KeyCode::Left | KeyCode::Right => return with_alt(code),
        _ => return None,
    })
}

fn with_alt(code: KeyCode) -> Option<Edit> {
    Some(match code {
        KeyCode::Backspace => |line, changes| line.delete_prev_word(Word::Emacs, 1, changes),
        KeyCode::Char('B' | 'b') | KeyCode::Left => |line, _| line.move_to_prev_word(Word::Emacs, 1),
        KeyCode::Char('F' | 'f') | KeyCode::Right => |line, _| line.move_to_next_word(At::AfterEnd, Word::Emacs, 1),
        KeyCode::Char('D' | 'd') => |line, changes| line.delete_word(At::AfterEnd, Word::Emacs, 1, changes),
        KeyCode::Char('T' | 't') => |line, changes| line.transpose_words(1, changes),
        _ => return None,
    })
}
