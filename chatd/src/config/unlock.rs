//! What opens the store: a key file, or a passphrase from a private file or from the terminal.
//!
//! Passphrases never come from the command line or the environment.

use std::io;
use std::path::{Path, PathBuf};

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
    /// The first line of this file.
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
    let bytes = dirs::read_named(path, MAX_PASSPHRASE_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| PassphraseError::NotText)?;
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    Ok(Unlock::Passphrase(line.as_str().into()))
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
}
