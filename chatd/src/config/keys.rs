//! The table of settings: one row for each key, from which files are read, options compared and documents written.
//!
//! Options and variables are not repeated here: a key `http.listen` is the option `--http-listen`, if there is one,
//! and clap knows its variable.

use clap::{Arg, CommandFactory};

use crate::cli::Cli;

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A path, whole or from `~/`.
    Path,
    /// A text.
    Text,
    /// An IP address with a port.
    Address,
    /// Some texts.
    Texts,
}

impl Kind {
    /// What such a value looks like in a file.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Path => "a path in quotes",
            Self::Text => "a text in quotes",
            Self::Address => "an address with a port, in quotes",
            Self::Texts => "a list of texts",
        }
    }
}

/// When a changed file has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At the next SIGHUP.
    Reload,
    /// At the next start.
    Restart,
}

/// A setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name in files, `table.key`.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// When a change has an effect.
    pub effect: Effect,
    /// What it is for, a line each.
    pub about: &'static [&'static str],
    /// What holds when nobody says anything.
    pub unset: &'static str,
    /// A value as a file may have it.
    pub example: &'static str,
}

/// See [`KEYS`].
pub const DATA_DIR: Key = Key {
    name: "data_dir",
    kind: Kind::Path,
    effect: Effect::Restart,
    about: &["Where keys, history and queue are kept. Not in /etc: every profile has a directory of its own."],
    unset: "`chatd/<profile>` in $XDG_DATA_HOME, which is ~/.local/share",
    example: r#""~/.local/share/chatd/default""#,
};
/// See [`KEYS`].
pub const SOCKET: Key = Key {
    name: "socket",
    kind: Kind::Path,
    effect: Effect::Restart,
    about: &[
        "Where callers find the daemon; chatctl looks here too. Not in /etc, and without effect where another",
        "data directory is named by option or variable, or where systemd hands a socket over.",
    ],
    unset: "`chatd/<profile>.sock` in $XDG_RUNTIME_DIR; `chat.sock` in a data directory that was named",
    example: r#""~/.local/share/chatd/default/chat.sock""#,
};
/// See [`KEYS`].
pub const KEY_FILE: Key = Key {
    name: "key_file",
    kind: Kind::Path,
    effect: Effect::Restart,
    about: &[
        "The file that opens the store, of mode 0600; made if missing. On a stick, the data is closed without it.",
    ],
    unset: "`key` in the data directory",
    example: r#""/media/stick/chatd.key""#,
};
/// See [`KEYS`].
pub const PASSPHRASE_FILE: Key = Key {
    name: "passphrase_file",
    kind: Kind::Path,
    effect: Effect::Restart,
    about: &["A file of mode 0600 whose first line is the passphrase that opens the store, instead of a key file."],
    unset: "no passphrase; `chatd --passphrase` asks for one",
    example: r#""~/.config/chatd/passphrase""#,
};
/// See [`KEYS`].
pub const IMPORT_KEY: Key = Key {
    name: "import_key",
    kind: Kind::Path,
    effect: Effect::Restart,
    about: &["A private key of the first application, a plain PEM, taken over when the account is entered."],
    unset: "a new key is made",
    example: r#""~/private_key.pem""#,
};
/// See [`KEYS`].
pub const LOG: Key = Key {
    name: "log",
    kind: Kind::Text,
    effect: Effect::Reload,
    about: &["What goes to standard error: error, warn, info, debug, trace, or filters as `info,chat_engine=debug`."],
    unset: "`info`",
    example: r#""info""#,
};
/// See [`KEYS`].
pub const HTTP_LISTEN: Key = Key {
    name: "http.listen",
    kind: Kind::Address,
    effect: Effect::Restart,
    about: &[
        "Also offer the calls over HTTP and WebSocket, at an address of this machine alone: tokens travel in the",
        "clear. Port 0 takes a free one.",
    ],
    unset: "off",
    example: r#""127.0.0.1:8898""#,
};
/// See [`KEYS`].
pub const HTTP_HOSTS: Key = Key {
    name: "http.hosts",
    kind: Kind::Texts,
    effect: Effect::Reload,
    about: &["Names, besides those of this machine, under which callers may reach HTTP: `chat.example` of a proxy."],
    unset: "only localhost and its addresses",
    example: "[]",
};
/// See [`KEYS`].
pub const HTTP_ORIGINS: Key = Key {
    name: "http.origins",
    kind: Kind::Texts,
    effect: Effect::Reload,
    about: &["Web pages that may call, by their origin: `https://chat.example`. Each still needs a token."],
    unset: "none",
    example: "[]",
};

/// Every setting, in the order in which it is shown.
pub const KEYS: [&Key; 9] =
    [&DATA_DIR, &SOCKET, &KEY_FILE, &PASSPHRASE_FILE, &IMPORT_KEY, &LOG, &HTTP_LISTEN, &HTTP_HOSTS, &HTTP_ORIGINS];

impl Key {
    /// The key of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KEYS.into_iter().find(|key| key.name == name)
    }

    /// The known key that looks most like `name`, if any does.
    #[must_use]
    pub fn nearest(name: &str) -> Option<&'static Self> {
        // whoever left out the table meant the last part
        let last = |key: &Self| key.name.rsplit('.').next().unwrap_or_default();
        let like = strsim::normalized_damerau_levenshtein;
        let likeness = |key: &Self| like(key.name, name).max(like(last(key), name));
        let nearest = KEYS.into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))?;
        (likeness(nearest) >= ALIKE).then_some(nearest)
    }

    /// Whether it decides where the profile lives, which chatctl must find out without the daemon.
    #[must_use]
    pub fn is_place(&self) -> bool {
        *self == DATA_DIR || *self == SOCKET
    }

    /// Whether it decides what opens the store: one layer's word on that replaces all of the layers below.
    #[must_use]
    pub fn opens(&self) -> bool {
        *self == KEY_FILE || *self == PASSPHRASE_FILE
    }

    /// Its option.
    #[must_use]
    pub fn option(&self) -> Option<Arg> {
        let id = self.option_id();
        Cli::command().get_arguments().find(|option| option.get_id() == id.as_str()).cloned()
    }

    /// What clap calls its option, if there is one.
    #[must_use]
    pub fn option_id(&self) -> String {
        self.name.replace('.', "_")
    }

    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        self.option()?.get_env().map(|name| name.to_string_lossy().into_owned())
    }
}

/// Likeness from which on a name is a slip and not another word: six letters of ten are right, or two of three.
const ALIKE: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_with_a_variable_is_a_key_and_has_the_same_name_everywhere() {
        let command = Cli::command();
        for option in command.get_arguments() {
            let Some(variable) = option.get_env() else { continue };
            let id = option.get_id().as_str();
            assert_eq!(variable.to_str(), Some(format!("CHATD_{}", id.to_uppercase()).as_str()));
            // these two say which file is read, so they cannot be in it
            let key = KEYS.iter().any(|key| key.option_id() == id);
            assert!(key || ["profile", "config"].contains(&id), "{id} cannot be said in a file");
        }
    }

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        for (slip, meant) in [
            ("sokcet", "socket"),
            ("http.lisen", "http.listen"),
            ("listen", "http.listen"),
            ("keyfile", "key_file"),
            ("lgo", "log"),
        ] {
            assert_eq!(Key::nearest(slip).map(|key| key.name), Some(meant), "{slip}");
        }
        assert_eq!(Key::nearest("colour"), None);
    }

    #[test]
    fn every_key_is_in_the_readme() {
        let readme = include_str!("../../README.md");
        for key in KEYS {
            assert!(readme.contains(&format!("`{}`", key.name)), "{}", key.name);
        }
    }
}
