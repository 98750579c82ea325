//! What opens the store: a key file, or a passphrase from a private file, standard input or the terminal.
//!
//! Passphrases never come from the command line or the environment.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use chat_programs::named::is_standard;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::cli::ChangeKey;
use crate::dirs::{self, DirError};
use crate::store::Unlock;

/// Name of the key file in the data directory.
pub(super) const KEY_NAME: &str = "key";
/// Longer than anybody types.
const MAX_PASSPHRASE_BYTES: u64 = 4096;

/// Why there is nothing to open the store with.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// The passphrase file.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// Standard input.
    #[error("the passphrase cannot be read from standard input")]
    Input(#[source] io::Error),
    /// Standard input has no such line, or one that is too long.
    #[error("standard input has no line with the passphrase")]
    NoLine,
    /// It is not text.
    #[error("the passphrase is not UTF-8")]
    NotText,
    /// No terminal to ask on.
    #[error("cannot ask for the passphrase; without a terminal use --passphrase-file")]
    NoTerminal(#[source] io::Error),
    /// Typed differently the second time.
    #[error("the two passphrases differ")]
    Differ,
}

/// Where what opens the store comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opener {
    /// This file, made if missing.
    KeyFile(PathBuf),
    /// The first line of this file; `-` is standard input.
    PassphraseFile(PathBuf),
    /// Whoever sits at the terminal.
    Asking,
}

impl Opener {
    /// Fetches it; asks on the terminal if so told.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn fetch(&self) -> Result<Unlock, PassphraseError> {
        match self {
            Self::KeyFile(path) => Ok(Unlock::KeyFile(path.clone())),
            Self::PassphraseFile(path) => read_passphrase(path),
            Self::Asking => Ok(Unlock::Passphrase(ask("Passphrase: ")?)),
        }
    }
}

/// What shall open the store from now on; a typed passphrase is asked for twice.
///
/// # Errors
/// [`PassphraseError`].
pub fn new_unlock(wanted: &ChangeKey) -> Result<Unlock, PassphraseError> {
    if let Some(path) = &wanted.new_key_file {
        return Ok(Unlock::KeyFile(absolute(path)));
    }
    if let Some(path) = &wanted.new_passphrase_file {
        return read_passphrase(path);
    }
    let (first, second) = (ask("New passphrase: ")?, ask("The same again: ")?);
    if first.expose_secret() != second.expose_secret() {
        return Err(PassphraseError::Differ);
    }
    Ok(Unlock::Passphrase(first))
}

fn ask(prompt: &str) -> Result<SecretString, PassphraseError> {
    rpassword::prompt_password(prompt).map(SecretString::from).map_err(PassphraseError::NoTerminal)
}

/// The first line, without its end.
fn read_passphrase(path: &Path) -> Result<Unlock, PassphraseError> {
    if is_standard(path) {
        return from_input();
    }
    let bytes = dirs::read_named(path, MAX_PASSPHRASE_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| PassphraseError::NotText)?;
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    Ok(Unlock::Passphrase(line.as_str().into()))
}

/// The next line of standard input, which a person is asked for.
fn from_input() -> Result<Unlock, PassphraseError> {
    let input = io::stdin();
    if input.is_terminal() {
        return Ok(Unlock::Passphrase(ask("Passphrase: ")?));
    }
    let input = input.as_fd().try_clone_to_owned().map_err(PassphraseError::Input)?;
    let line = next_line(File::from(input))?;
    let text = std::str::from_utf8(&line).map_err(|_| PassphraseError::NotText)?;
    Ok(Unlock::Passphrase(text.strip_suffix('\r').unwrap_or(text).into()))
}

/// Byte by byte: what is behind the line belongs to whoever reads next, as the calls of `chatd stdio`.
fn next_line(mut input: impl Read) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    let most = usize::try_from(MAX_PASSPHRASE_BYTES).unwrap_or(usize::MAX);
    let (mut line, mut byte) = (Zeroizing::new(Vec::with_capacity(most)), Zeroizing::new([0]));
    while line.len() < most {
        match input.read(&mut *byte) {
            Ok(0) if line.is_empty() => return Err(PassphraseError::NoLine),
            Ok(0) => return Ok(line),
            Ok(_) if *byte == *b"\n" => return Ok(line),
            Ok(_) => line.extend_from_slice(&*byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(PassphraseError::Input(error)),
        }
    }
    Err(PassphraseError::NoLine)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_first_line_of_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        dirs::write_private(&path, b"correct horse \r\nnot this").unwrap();
        match Opener::PassphraseFile(path).fetch().unwrap() {
            Unlock::Passphrase(text) => assert_eq!(text.expose_secret(), "correct horse "),
            Unlock::KeyFile(path) => panic!("{path:?}"),
        }
    }

    #[test]
    fn a_line_of_standard_input_leaves_the_rest_to_who_reads_next() {
        let mut input = &b"correct horse\nbattery\n{\"jsonrpc\""[..];
        for wanted in ["correct horse", "battery"] {
            assert_eq!(next_line(&mut input).unwrap().as_slice(), wanted.as_bytes());
        }
        assert_eq!(input, b"{\"jsonrpc\"");
        assert!(matches!(next_line(io::empty()), Err(PassphraseError::NoLine)), "an empty input is no passphrase");
        assert!(matches!(next_line(io::repeat(b'a')), Err(PassphraseError::NoLine)), "nor is one without end");
    }
}
