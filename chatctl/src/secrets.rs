//! Where passwords and invites come from: a prompt without echo, lines of stdin, private files. A file named `-` is the
//! next line of stdin.
//!
//! Never an argument and never the environment: other users and crash reports can see both.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(crate) use chat_programs::named::is_standard;
use chat_programs::private::{Kind, NotPrivate, judge};
use chat_protocol::message::client::Password;
use chat_protocol::rpc::{RpcError, Secret};
use zeroize::Zeroizing;

use crate::error::{Failure, OfFile};
use crate::input::{self, TextError};

/// Most bytes read from a file or stdin: an invite has some 300.
const MAX_BYTES: usize = 16 * 1024;

/// Lines of standard input, read once and handed out in order.
#[derive(Default)]
pub(crate) struct StdinLines(RefCell<Option<std::vec::IntoIter<Zeroizing<String>>>>);

impl StdinLines {
    /// The next line, which holds `what`.
    pub(crate) fn next(&self, what: &str) -> Result<Secret, Failure> {
        let mut known = self.0.borrow_mut();
        let lines = match known.as_mut() {
            Some(lines) => lines,
            None => known.insert(read_lines(io::stdin().lock(), "stdin")?.into_iter()),
        };
        let missing = || Failure::Usage(format!("stdin has no line with the {what}: send it on a line of its own"));
        lines.next().map(Secret::from).ok_or_else(missing)
    }
}

/// First line of a file.
pub(crate) fn from_file(path: &Path, what: &str) -> Result<Secret, Failure> {
    let name = path.display().to_string();
    let failed = |error: io::Error| {
        let hint = format!("name a file with the {what} in its first line");
        Failure::Input(OfFile { what: name.clone(), why: error.to_string(), hint })
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    let closed = !meta.is_file() || meta.mode() & 0o077 == 0;
    if !closed && let Err(error) = judge(path, &meta, Kind::File) {
        let why = format!("other users can read the {what} in it");
        let hint = match &error {
            NotPrivate::Open { remedy, .. } => {
                remedy.command().map_or_else(|| remedy.to_string(), |command| format!("protect it with `{command}`"))
            }
            other => other.to_string(),
        };
        return Err(Failure::Open(OfFile { hint, what: name, why }));
    }
    let first = read_lines(file, &name)?.into_iter().next();
    first.map(Secret::from).ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))
}

/// Asks a person.
pub(crate) fn ask(what: &str, flag: &str) -> Result<Secret, Failure> {
    if !input::has_terminal() {
        return Err(Failure::Usage(format!("there is no terminal to ask for the {what}: use {flag}")));
    }
    Ok(Secret::new(rpassword::prompt_password(format!("{}: ", capital(what)))?))
}

/// Asks a person twice for a new password. One that would be refused is not worth typing again.
pub(crate) fn ask_password(what: &str, flag: &str) -> Result<Secret, Failure> {
    let first = ask(what, flag)?;
    let checked = Password::new(first.expose().to_owned()).and_then(|password| password.check_new());
    checked.map_err(|error| RpcError::invalid("password", error.to_string()))?;
    if ask(&format!("{what} again"), flag)? == first {
        Ok(first)
    } else {
        Err(Failure::Usage(format!("the two entries of the {what} differ")))
    }
}

/// All lines, without their ends and without empty ones at the end.
fn read_lines(input: impl Read, name: &str) -> Result<Vec<Zeroizing<String>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    let refuse = |why: &str| {
        let hint = "send UTF-8 text of a few lines".to_owned();
        Failure::Input(OfFile { what: name.to_owned(), why: why.to_owned(), hint })
    };
    match input::text(input, MAX_BYTES, &mut bytes) {
        Err(TextError::NotUtf8) => Err(refuse("it is not UTF-8")),
        Err(TextError::Io(error)) => Err(error.into()),
        Err(TextError::TooLong(_)) => Err(refuse(&format!("it is longer than {MAX_BYTES} bytes"))),
        Ok(text) => Ok(text.lines().map(|line| Zeroizing::new(line.to_owned())).collect()),
    }
}

fn capital(what: &str) -> String {
    let mut letters = what.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let lines = read_lines("in vite\r\n pass word \n".as_bytes(), "stdin").unwrap();
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
        assert_eq!(lines, ["in vite", " pass word "]);
    }

    #[test]
    fn atk_62_a_refused_input_is_not_quoted() {
        let canary = [b"canary-".as_slice(), &[0xff]].concat();
        let failure = read_lines(canary.as_slice(), "stdin").unwrap_err();
        assert!(!format!("{failure:?}").contains("canary"));
    }
}
