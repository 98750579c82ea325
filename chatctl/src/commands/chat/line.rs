//! The line that is being typed: a thread that reads keys, and one that prints above it.
//!
//! rustyline reads one line that never ends: Enter hands its text over and empties it. So the terminal stays in one
//! mode from the first key to the last, and whatever is printed is printed by rustyline itself, which takes the line
//! away first and puts it back. Lines typed before are kept in memory and nowhere else. Both threads end with the line.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, EventHandler, KeyCode, KeyEvent, Modifiers, Movement,
    RepeatCount,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::complete::{Assistant, Completion, completion};
use super::edits::{Put, edit};
use super::paste::{MAX_LINE_BYTES, Paste, character, growth};
use super::state::{ChatState, Shared};
use super::typed::Typed;
use super::typed_line::TypedLine;
use crate::error::Failure;
use crate::output::style::Paint;

/// Begins to read: what is typed comes out of one end, what is to be printed goes in at the other.
pub(super) fn open(
    prompt: String,
    paint: Paint,
    state: &Shared,
) -> Result<(UnboundedReceiver<Typed>, Sender<String>), Failure> {
    let mut editor = Editor::<Assistant, MemHistory>::with_history(rustyline::Config::default(), MemHistory::new())
        .map_err(failed)?;
    editor.set_completion_type(rustyline::CompletionType::List);
    editor.set_keyseq_timeout(Some(50));
    state.lock().prompt.clone_from(&prompt);
    let (typed, keys) = unbounded_channel();
    bind(&mut editor, state, &typed);
    let printer = editor.create_external_printer().map_err(failed)?;
    let (out, blocks) = channel();
    // Printing begins when rustyline has the terminal.
    let (ready, begin) = channel();
    editor.set_helper(Some(Assistant::new(state.clone(), paint, ready, typed.clone())));
    thread::spawn(move || print(&begin, &blocks, printer));
    thread::spawn(move || {
        let end = match editor.readline(&prompt) {
            Ok(_) | Err(ReadlineError::Eof | ReadlineError::Interrupted) => None,
            Err(ReadlineError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
                Some("what was typed or pasted is not UTF-8".to_owned())
            }
            Err(error) => Some(error.to_string()),
        };
        // Nobody listens any more: then the person has left already.
        let _ = typed.send(Typed::End(end));
    });
    Ok((keys, out))
}

fn failed(error: ReadlineError) -> Failure {
    match error {
        ReadlineError::Io(error) => Failure::Io(error),
        other => Failure::Io(std::io::Error::other(other)),
    }
}

/// Prints what comes, in order. rustyline takes one block at a time: only this thread waits for it.
fn print(begin: &Receiver<()>, blocks: &Receiver<String>, mut printer: impl rustyline::ExternalPrinter) {
    if begin.recv().is_err() {
        return;
    }
    while let Ok(mut block) = blocks.recv() {
        block.extend(blocks.try_iter());
        if printer.print(block).is_err() {
            return;
        }
    }
}

fn bind(editor: &mut Editor<Assistant, MemHistory>, state: &Shared, typed: &UnboundedSender<Typed>) {
    let keys = [
        (KeyCode::Enter, Modifiers::NONE, Key::Enter),
        (KeyCode::Char('M'), Modifiers::CTRL, Key::Enter),
        (KeyCode::Char('J'), Modifiers::CTRL, Key::Enter),
        (KeyCode::Enter, Modifiers::ALT, Key::Break),
        (KeyCode::Char('M'), Modifiers::CTRL_ALT, Key::Break),
        (KeyCode::Char('C'), Modifiers::CTRL, Key::Leave),
        (KeyCode::Char('L'), Modifiers::CTRL, Key::Clear),
        (KeyCode::PageUp, Modifiers::NONE, Key::Older),
        (KeyCode::PageDown, Modifiers::NONE, Key::Nothing),
        (KeyCode::Up, Modifiers::NONE, Key::Up),
        (KeyCode::Char('P'), Modifiers::CTRL, Key::Up),
        (KeyCode::Down, Modifiers::NONE, Key::Down),
        (KeyCode::Char('N'), Modifiers::CTRL, Key::Down),
        (KeyCode::Char('R'), Modifiers::CTRL, Key::Nothing),
        (KeyCode::Char('S'), Modifiers::CTRL, Key::Nothing),
    ];
    let pressed =
        |key| EventHandler::Conditional(Box::new(Pressed { key, state: state.clone(), typed: typed.clone() }));
    for (code, modifiers, key) in keys {
        editor.bind_sequence(KeyEvent(code, modifiers), pressed(key));
    }
    editor.bind_sequence(Event::Any, pressed(Key::Other));
}

/// Longest burst, in bytes, that is taken for typed and not for pasted, where a terminal does not mark pastes.
const MOST_TYPED: usize = 32;

/// Keys that do something of their own here.
#[derive(Clone, Copy)]
enum Key {
    Enter,
    Break,
    Leave,
    Clear,
    Older,
    Up,
    Down,
    Nothing,
    /// Does what it always does.
    Other,
}

struct Pressed {
    key: Key,
    state: Shared,
    typed: UnboundedSender<Typed>,
}

impl ConditionalEventHandler for Pressed {
    fn handle(&self, event: &Event, times: RepeatCount, _: bool, at: &EventContext<'_>) -> Option<Cmd> {
        if let Event::KeySeq(keys) = event
            && let Some(key) = keys.first()
            && let Some(command) = (self.pasting(*key, at.line()))
                .or_else(|| self.streaming(*key, at))
                .or_else(|| self.bounded(*key, times, at.line()))
        {
            return Some(command);
        }
        Some(match self.key {
            Key::Other => return None,
            Key::Enter => self.enter_with_burst(at),
            Key::Break => Cmd::Newline,
            Key::Leave if at.line().is_empty() => Cmd::Interrupt,
            Key::Leave => Cmd::Kill(Movement::WholeBuffer),
            Key::Clear => {
                self.tell(Typed::Cleared);
                Cmd::ClearScreen
            }
            Key::Older => {
                self.tell(Typed::Older);
                Cmd::Noop
            }
            Key::Up => put(&mut self.state.lock(), at.line(), ChatState::older)?,
            Key::Down => put(&mut self.state.lock(), at.line(), ChatState::newer)?,
            Key::Nothing => Cmd::Noop,
        })
    }
}

impl Pressed {
    fn tell(&self, typed: Typed) {
        // Without a listener the program is about to end.
        let _ = self.typed.send(typed);
    }

    /// What a key does between the marks of a paste: it is part of it, whatever it does elsewhere.
    fn pasting(&self, key: KeyEvent, line: &str) -> Option<Cmd> {
        let mut state = self.state.lock();
        match key.0 {
            KeyCode::BracketedPasteStart => state.paste = Some(Paste::default()),
            KeyCode::BracketedPasteEnd => match state.paste.take()?.fitting(line.len()) {
                Ok(text) if text.is_empty() => {}
                Ok(text) => return Some(Cmd::Insert(1, text)),
                Err(bytes) => self.tell(Typed::TooLong(bytes)),
            },
            _ => state.paste.as_mut()?.take(key),
        }
        Some(Cmd::Noop)
    }

    /// A terminal that marks no paste sends it key by key. While more waits than was read, the keys are gathered, and put
    /// on the line together: drawn with each of them, a long line takes time that grows with its square.
    fn streaming(&self, key: KeyEvent, at: &EventContext<'_>) -> Option<Cmd> {
        let text = match self.key {
            Key::Break => Some('\n'),
            _ => character(key).filter(|character| *character != '\n'),
        };
        let Some(text) = text else { return self.behind_burst(key, at) };
        let mut state = self.state.lock();
        let room = MAX_LINE_BYTES.saturating_sub(at.line().len()).saturating_sub(state.burst.len());
        let (fits, waits) = (text.len_utf8() <= room, more_waits());
        if state.burst.is_empty() && !(fits && waits) {
            return None;
        }
        let typed = state.burst.len() <= MOST_TYPED && !state.burst.contains(['\t', '\n']);
        if text == '\t' && !waits && typed {
            return Some(self.complete_behind_burst(&mut state, at));
        }
        if !fits {
            self.tell_full(&mut state);
            return Some(Cmd::Insert(1, std::mem::take(&mut state.burst)));
        }
        state.full = false;
        state.burst.push(text);
        Some(if waits { Cmd::Noop } else { Cmd::Insert(1, std::mem::take(&mut state.burst)) })
    }

    /// Tab inside a burst is text; as the last key of it, it is what somebody pressed after typing faster than the line
    /// was drawn, and completes the word that the burst ends with.
    fn complete_behind_burst(&self, state: &mut ChatState, at: &EventContext<'_>) -> Cmd {
        let (mut text, mut cursor) = with_burst(at, &std::mem::take(&mut state.burst));
        match completion(text.get(..cursor).unwrap_or_default(), &state.names) {
            Completion::Certain { start, word } => {
                text.replace_range(start..cursor, &word);
                cursor = start + word.len();
            }
            Completion::Choices(choices) => self.tell(Typed::Choices(choices)),
            Completion::Unknown => {}
        }
        state.put = Some(Put { text, cursor, edit: None });
        Cmd::Complete
    }

    /// What a key that is no text does while a burst waits: it comes behind it, and neither is lost to the other.
    fn behind_burst(&self, key: KeyEvent, at: &EventContext<'_>) -> Option<Cmd> {
        let mut state = self.state.lock();
        if state.burst.is_empty() {
            return None;
        }
        match self.key {
            // Enter takes the burst along; what clears the screen, or is not known, leaves it for the next key
            Key::Enter | Key::Clear => return None,
            Key::Other => {
                let edit = edit(key)?;
                let (text, cursor) = with_burst(at, &std::mem::take(&mut state.burst));
                state.put = Some(Put { text, cursor, edit: Some(edit) });
                return Some(Cmd::Complete);
            }
            Key::Leave => {
                state.burst.clear();
                return Some(Cmd::Kill(Movement::WholeBuffer));
            }
            Key::Up | Key::Down => {
                let choose = if matches!(self.key, Key::Up) { ChatState::older } else { ChatState::newer };
                let (shown, _) = with_burst(at, &state.burst);
                if let Some(command) = put(&mut state, &shown, choose) {
                    state.burst.clear();
                    return Some(command);
                }
            }
            Key::Older => self.tell(Typed::Older),
            Key::Break | Key::Nothing => {}
        }
        Some(Cmd::Insert(1, std::mem::take(&mut state.burst)))
    }

    /// Hands the line over with what is to be put where the cursor is.
    fn enter_with_burst(&self, at: &EventContext<'_>) -> Cmd {
        let burst = std::mem::take(&mut self.state.lock().burst);
        if burst.is_empty() {
            return self.enter(at.line());
        }
        match self.enter(&with_burst(at, &burst).0) {
            // it stays on the line, and so does the rest of it
            Cmd::Noop => Cmd::Insert(1, burst),
            command => command,
        }
    }

    /// Nothing makes the line longer than it may be.
    fn bounded(&self, key: KeyEvent, times: RepeatCount, line: &str) -> Option<Cmd> {
        let mut state = self.state.lock();
        let grows = growth(key, times, state.widest);
        if grows == 0 || line.len().saturating_add(state.burst.len()).saturating_add(grows) <= MAX_LINE_BYTES {
            state.full &= grows == 0;
            return None;
        }
        self.tell_full(&mut state);
        Some(Cmd::Noop)
    }

    /// Once for each time that it is.
    fn tell_full(&self, state: &mut ChatState) {
        if !std::mem::replace(&mut state.full, true) {
            self.tell(Typed::Full);
        }
    }

    /// Hands the line over, and empties it; `/edit` alone brings back what it is about. What cannot be understood, or
    /// may not leave, stays.
    fn enter(&self, line: &str) -> Cmd {
        let said = TypedLine::parse(line);
        let mut state = self.state.lock();
        if line.trim() == "/edit"
            && let Some(own) = state.own.clone()
        {
            state.put = Some(Put::whole(format!("/edit {own}")));
            return Cmd::Complete;
        }
        if state.held && said.is_text() {
            self.tell(Typed::Held);
            return Cmd::Noop;
        }
        if !matches!(said, TypedLine::Wrong(_)) {
            state.remember(line);
        }
        drop(state);
        match said {
            TypedLine::Quit => Cmd::Interrupt,
            TypedLine::Wrong(_) => {
                self.tell(Typed::Line(line.to_owned()));
                Cmd::Noop
            }
            _ => {
                self.tell(Typed::Line(line.to_owned()));
                Cmd::Kill(Movement::WholeBuffer)
            }
        }
    }
}

/// Puts another text in place of the line. Only completion can do that and leave the cursor behind the text.
fn put(state: &mut ChatState, shown: &str, choose: impl Fn(&mut ChatState, &str) -> Option<String>) -> Option<Cmd> {
    let text = choose(state, shown)?;
    if text.is_empty() {
        return Some(Cmd::Kill(Movement::WholeBuffer));
    }
    state.put = Some(Put::whole(text));
    Some(Cmd::Complete)
}

/// The line with a burst where the cursor is, and where the cursor is behind it, in bytes.
fn with_burst(at: &EventContext<'_>, burst: &str) -> (String, usize) {
    let (before, behind) = at.line().split_at_checked(at.pos()).unwrap_or((at.line(), ""));
    (format!("{before}{burst}{behind}"), before.len() + burst.len())
}

/// Whether more is typed, or pasted, than was read.
fn more_waits() -> bool {
    let stdin = rustix::stdio::stdin();
    let mut keyboard = [PollFd::new(&stdin, PollFlags::IN)];
    poll(&mut keyboard, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}
