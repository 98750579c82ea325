//! What helps while typing: commands and names are completed, and a command says what follows it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::mpsc::Sender;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::line_buffer::LineBuffer;
use rustyline::validate::Validator;
use rustyline::{Changeset, Context, Helper};
use tokio::sync::mpsc::UnboundedSender;

use super::edits::Put;
use super::state::Shared;
use super::typed::Typed;
use super::typed_line::COMMANDS;
use crate::output::style::{Look, Paint};

/// Knows the commands, and from the state the names.
pub(super) struct Assistant {
    state: Shared,
    paint: Paint,
    /// Taken when the line is drawn for the first time.
    ready: RefCell<Option<Sender<()>>>,
    typed: UnboundedSender<Typed>,
}

impl Assistant {
    pub(super) const fn new(state: Shared, paint: Paint, ready: Sender<()>, typed: UnboundedSender<Typed>) -> Self {
        Self { state, paint, ready: RefCell::new(Some(ready)), typed }
    }

    /// Notes what is on the line, and the hint behind it. This is done for every key, and so measures nothing.
    fn note(&self, line: &str, hint: &str) {
        let mut state = self.state.lock();
        state.widest = state.widest.max(line.len());
        line.clone_into(&mut state.line);
        hint.clone_into(&mut state.hint);
    }
}

impl Helper for Assistant {}
impl Validator for Assistant {}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(&self, line: &str, place: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let state = self.state.lock();
        if let Some(put) = &state.put {
            return Ok((0, vec![put.text.clone()]));
        }
        Ok(match completion(line.get(..place).unwrap_or_default(), &state.names) {
            Completion::Certain { start, word } => (start, vec![word]),
            // Never more than one: while rustyline asks which, it prints nothing.
            Completion::Choices(choices) => {
                // Without a listener the program is about to end.
                let _ = self.typed.send(Typed::Choices(choices));
                (place, Vec::new())
            }
            Completion::Unknown => (place, Vec::new()),
        })
    }

    fn update(&self, line: &mut LineBuffer, start: usize, elected: &str, changes: &mut Changeset) {
        if let Some(Put { text, cursor, edit }) = self.state.lock().put.take() {
            line.update(&text, cursor, changes);
            if let Some(edit) = edit {
                edit(line, changes);
            }
        } else {
            line.replace(start..line.pos(), elected, changes);
        }
    }
}

/// What Tab does to the word before the cursor.
pub(super) enum Completion {
    /// What begins at `start`, in bytes, can only be a word that begins like this.
    Certain { start: usize, word: String },
    /// It can become any of these, and all that they have in common is there already.
    Choices(Vec<String>),
    /// Nothing that is known begins like this.
    Unknown,
}

/// What the word at the end of `before` is completed to.
pub(super) fn completion(before: &str, names: &[String]) -> Completion {
    let (start, choices) = candidates(before, names);
    let word = common(&choices);
    if word.is_empty() {
        Completion::Unknown
    } else if choices.len() > 1 && start + word.len() <= before.len() {
        Completion::Choices(choices)
    } else {
        Completion::Certain { start, word }
    }
}

/// Where the word begins, and what it could become.
fn candidates(before: &str, names: &[String]) -> (usize, Vec<String>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
    let word = before.get(start..).unwrap_or_default();
    let fits = |candidate: &String| !word.is_empty() && candidate.starts_with(word);
    if start == 0 && word.starts_with('/') {
        return (0, COMMANDS.iter().map(|(name, usage, _)| spaced(name, usage)).filter(fits).collect());
    }
    let mut fitting: Vec<String> = names.iter().map(|name| format!("@{name} ")).filter(fits).collect();
    fitting.sort();
    (start, fitting)
}

/// What all of them begin with.
fn common(choices: &[String]) -> String {
    let Some((first, others)) = choices.split_first() else { return String::new() };
    let agree = |prefix: &str| others.iter().all(|other| other.starts_with(prefix));
    let ends = first.char_indices().map(|(place, _)| place).chain([first.len()]);
    ends.filter_map(|end| first.get(..end)).take_while(|prefix| agree(prefix)).last().unwrap_or_default().to_owned()
}

fn spaced(name: &str, usage: &str) -> String {
    if usage.is_empty() { name.to_owned() } else { format!("{name} ") }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, place: usize, _: &Context<'_>) -> Option<String> {
        if let Some(ready) = self.ready.take() {
            // The printing thread waits for it; if it is gone there is nothing to print.
            let _ = ready.send(());
        }
        let hint = hint(line).filter(|_| place == line.len());
        self.note(line, hint.as_deref().unwrap_or_default());
        hint
    }
}

/// What follows a command that is typed out.
fn hint(line: &str) -> Option<String> {
    let (_, usage, _) = COMMANDS.iter().find(|(name, usage, _)| !usage.is_empty() && line.trim_end() == *name)?;
    Some(if line.ends_with(' ') { (*usage).to_owned() } else { format!(" {usage}") })
}

impl Highlighter for Assistant {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(self.paint.paint(Look::Name, prompt))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(self.paint.paint(Look::Faint, hint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_names_are_completed() {
        let names = ["bob".to_owned(), "bert".to_owned()];
        assert_eq!(candidates("/re", &names), (0, vec!["/reply ".to_owned(), "/react ".to_owned()]));
        assert_eq!(candidates("ask @b", &names), (4, vec!["@bert ".to_owned(), "@bob ".to_owned()]));
        assert_eq!(candidates("ask bo", &names), (4, vec![]));
        assert_eq!(candidates("", &names), (0, vec![]));
    }

    #[test]
    fn a_word_becomes_what_it_can_only_become_and_never_less_than_it_is() {
        let completed = |before: &str| match completion(before, &["bob".to_owned(), "bolt".to_owned()]) {
            Completion::Certain { start, word } => format!("{}{word}", &before[..start]),
            Completion::Choices(choices) => choices.join("|"),
            Completion::Unknown => String::new(),
        };
        assert_eq!(completed("/del"), "/delete ");
        assert_eq!(completed("ask @b"), "ask @bo");
        assert_eq!(completed("ask @bo"), "@bob |@bolt ");
        assert_eq!(completed("ask @bolt"), "ask @bolt ");
        assert_eq!(completed("ask @x"), "");
    }

    #[test]
    fn what_all_choices_agree_on_is_sure() {
        let choices = ["@bob ".to_owned(), "@bolt ".to_owned()];
        assert_eq!(
            (common(&choices).as_str(), common(&choices[..1]).as_str(), common(&[]).as_str()),
            ("@bo", "@bob ", "")
        );
    }

    #[test]
    fn a_command_says_what_follows_it() {
        assert_eq!(hint("/reply").as_deref(), Some(" [^N] TEXT"));
        assert_eq!(hint("/reply ").as_deref(), Some("[^N] TEXT"));
        assert_eq!((hint("/reply x"), hint("/who"), hint("hi")), (None, None, None));
    }
}
