//! What the process was told, worked out: where things are, and what opens the store.
//!
//! Command line over environment over defaults. Passphrases come from a private file or from the
//! terminal, never from the command line or the environment.

use std::io;
use std::path::{Path, PathBuf};

use chat_protocol::rpc::paths::{Given, Paths, PathsError};
use secrecy::SecretString;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::cli::{ChangeKey, Options};
use crate::dirs::{self, DirError};
use crate::store::Unlock;

/// Name of the key file in the data directory.
const KEY_NAME: &str = "key";
/// Longer than anybody types.
const MAX_PASSPHRASE_BYTES: u64 = 4096;

/// Why the settings make no sense.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Profile or directories.
    #[error(transparent)]
    Paths(#[from] PathsError),
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
    /// The filter for the log cannot be read.
    #[error("--log: {0}")]
    Log(String),
}

/// Where everything of the profile is.
///
/// # Errors
/// [`ConfigError::Paths`].
pub fn paths(options: &Options) -> Result<Paths, ConfigError> {
    let homes = directories::BaseDirs::new();
    let given = Given {
        profile: options.profile.clone(),
        data_dir: options.data_dir.clone(),
        socket: options.socket.clone(),
        runtime_home: homes.as_ref().and_then(|homes| homes.runtime_dir()).map(Path::to_owned),
        data_home: homes.as_ref().map(|homes| homes.data_dir().to_owned()),
    };
    Ok(given.resolve()?)
}

/// What opens the store; asks on the terminal if so told.
///
/// # Errors
/// [`ConfigError`].
pub fn unlock(options: &Options, data_dir: &Path) -> Result<Unlock, ConfigError> {
    let file = || options.key_file.clone().unwrap_or_else(|| data_dir.join(KEY_NAME));
    match (&options.passphrase_file, options.passphrase) {
        (Some(path), _) => read_passphrase(path),
        (None, true) => Ok(Unlock::Passphrase(ask("Passphrase: ")?)),
        (None, false) => Ok(Unlock::KeyFile(file())),
    }
}

/// What shall open the store from now on; a typed passphrase is asked for twice.
///
/// # Errors
/// [`ConfigError`].
pub fn new_unlock(wanted: &ChangeKey) -> Result<Unlock, ConfigError> {
    use secrecy::ExposeSecret;
    if let Some(path) = &wanted.new_key_file {
        return Ok(Unlock::KeyFile(absolute(path)));
    }
    if let Some(path) = &wanted.new_passphrase_file {
        return read_passphrase(path);
    }
    let (first, second) = (ask("New passphrase: ")?, ask("The same again: ")?);
    if first.expose_secret() != second.expose_secret() {
        return Err(ConfigError::Differ);
    }
    Ok(Unlock::Passphrase(first))
}

fn ask(prompt: &str) -> Result<SecretString, ConfigError> {
    rpassword::prompt_password(prompt).map(SecretString::from).map_err(ConfigError::NoTerminal)
}

/// The first line, without its end.
fn read_passphrase(path: &Path) -> Result<Unlock, ConfigError> {
    let bytes = dirs::read_private(path, MAX_PASSPHRASE_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| ConfigError::NotText)?;
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    Ok(Unlock::Passphrase(line.as_str().into()))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::cli::Cli;

    fn options(args: &[&str]) -> Options {
        Cli::parse_from(["chatd"].iter().chain(args)).options
    }

    #[test]
    fn the_key_file_is_with_the_data_unless_named() {
        let opened = |args: &[&str]| match unlock(&options(args), Path::new("/data")).unwrap() {
            Unlock::KeyFile(path) => path,
            Unlock::Passphrase(_) => panic!("a passphrase"),
        };
        assert_eq!(opened(&[]), Path::new("/data/key"));
        assert_eq!(opened(&["--key-file", "/media/stick/key"]), Path::new("/media/stick/key"));
    }

    #[test]
    fn a_passphrase_is_the_first_line_of_a_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        dirs::write_private(&path, b"correct horse \r\nnot this").unwrap();
        let told = options(&["--passphrase-file", path.to_str().unwrap()]);
        match unlock(&told, Path::new("/data")).unwrap() {
            Unlock::Passphrase(text) => assert_eq!(text.expose_secret(), "correct horse "),
            Unlock::KeyFile(path) => panic!("{path:?}"),
        }
    }

    #[test]
    fn a_named_data_directory_has_its_own_socket() {
        let found = paths(&options(&["--data-dir", "/srv/bot"])).unwrap();
        assert_eq!(
            (found.data_dir.as_path(), found.socket.parent()),
            (Path::new("/srv/bot"), Some(Path::new("/srv/bot")))
        );
    }
}
