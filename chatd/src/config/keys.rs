//! The declaration of every setting: `chatd config --defaults` prints what is said here, and files, options and variables
//! are read by it.
//!
//! A key `http.listen` is the option `--http-listen`, if there is one, and clap knows its variable.

use std::net::SocketAddr;
use std::path::PathBuf;

use chat_programs::settings;
use chat_programs::settings::{Key, Settings};
use clap::CommandFactory;

use crate::cli::Cli;

/// Decides where the profile lives, which chatctl must find out without the daemon.
pub const DATA_DIR: &str = "data_dir";
/// As [`DATA_DIR`].
pub const SOCKET: &str = "socket";
/// Decides what opens the store: one layer's word on that replaces all of the layers below.
pub const KEY_FILE: &str = "key_file";
/// As [`KEY_FILE`].
pub const PASSPHRASE_FILE: &str = "passphrase_file";
/// What is logged.
pub const LOG: &str = "log";
/// Keys whose values are paths: in a file they are whole, or begin with `~/`.
pub const PATHS: [&str; 5] = [DATA_DIR, SOCKET, KEY_FILE, PASSPHRASE_FILE, "import_key"];

settings! {
    /// Every setting, as it was said.
    pub Values {
        /// Where keys, history and queue are kept. Not in /etc: every profile has a directory of its own.
        /// Default: `chatd/<profile>` in $XDG_DATA_HOME, which is ~/.local/share.
        #[example("~/.local/share/chatd/default")] #[effect(Restart)]
        data_dir: Option<PathBuf> = None,
        /// Where callers find the daemon; chatctl looks here too. Not in /etc, and without effect where another
        /// data directory is named by option or variable, or where systemd hands a socket over.
        /// Default: `chatd/<profile>.sock` in $XDG_RUNTIME_DIR; `chat.sock` in a data directory that was named.
        #[example("~/.local/share/chatd/default/chat.sock")] #[effect(Restart)]
        socket: Option<PathBuf> = None,
        /// The file that opens the store, of mode 0600; made if missing. On a stick, the data is closed without it.
        /// Default: `key` in the data directory.
        #[example("/media/stick/chatd.key")] #[effect(Restart)]
        key_file: Option<PathBuf> = None,
        /// A file of mode 0600 whose first line is the passphrase that opens the store, instead of a key file.
        /// Default: no passphrase; `chatd --passphrase` asks for one.
        #[example("~/.config/chatd/passphrase")] #[effect(Restart)]
        passphrase_file: Option<PathBuf> = None,
        /// A private key of the first application, a plain PEM, taken over when the account is entered.
        /// Default: a new key is made.
        #[example("~/private_key.pem")] #[effect(Restart)]
        import_key: Option<PathBuf> = None,
        /// What goes to standard error: error, warn, info, debug, trace, or filters as `info,chat_engine=debug`.
        log: String = "info".to_owned(),
        /// The calls over HTTP.
        http: HttpConfig = HttpConfig::default(),
    }
}

settings! {
    /// Whether the calls are offered over HTTP, where, and to whom.
    pub HttpConfig {
        /// Also offer the calls over HTTP and WebSocket, at an address of this machine alone: tokens travel in the
        /// clear. Port 0 takes a free one.
        /// Default: off.
        #[example("127.0.0.1:8898")] #[effect(Restart)]
        listen: Option<SocketAddr> = None,
        /// Names, besides those of this machine, under which callers may reach HTTP: `chat.example` of a proxy.
        /// Default: only localhost and its addresses.
        hosts: Vec<String> = Vec::new(),
        /// Web pages that may call, by their origin: `https://chat.example`. Each still needs a token.
        /// Default: none.
        origins: Vec<String> = Vec::new(),
    }
}

impl Settings for Values {
    const HELP: &'static str = "chatd config --defaults";
}

/// How else a key can be said: `--log, CHATD_LOG.`
#[must_use]
pub fn spoken(key: &Key) -> Option<String> {
    let (command, id) = (Cli::command(), key.option_id());
    let option = command.get_arguments().find(|option| option.get_id() == id.as_str())?;
    Some(format!("--{}, {}.", option.get_long()?, option.get_env()?.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use chat_programs::settings::Effect;

    use super::*;

    #[test]
    fn every_option_with_a_variable_is_a_key_and_has_the_same_name_everywhere() {
        let command = Cli::command();
        for option in command.get_arguments() {
            let Some(variable) = option.get_env() else { continue };
            let id = option.get_id().as_str();
            assert_eq!(variable.to_str(), Some(format!("CHATD_{}", id.to_uppercase()).as_str()));
            // these two say which file is read, so they cannot be in it
            let key = Values::keys().iter().any(|key| key.option_id() == id);
            assert!(key || ["profile", "config"].contains(&id), "{id} cannot be said in a file");
        }
    }

    #[test]
    fn keys_that_are_named_in_the_code_are_declared_and_every_path_is_among_them() {
        let keys = Values::keys();
        let named = |name: &str| keys.iter().any(|key| key.name == name);
        assert!(PATHS.into_iter().chain([LOG, "http.listen", "http.hosts", "http.origins"]).all(named));
        let path = |key: &&Key| key.example.is_some_and(|example| example.starts_with(['~', '/']));
        let paths: Vec<_> = keys.iter().filter(path).map(|key| key.name.as_str()).collect();
        assert_eq!(paths, PATHS);
    }

    #[test]
    fn every_key_is_in_the_readme_and_so_is_what_counts_at_once() {
        let readme = include_str!("../../README.md");
        let (_, at_once) = readme.split_once("has the files read again. ").unwrap();
        let (at_once, _) = at_once.split_once("count at once").unwrap();
        for key in Values::keys() {
            let name = format!("`{}`", key.name);
            assert!(readme.contains(&name), "{name}");
            assert_eq!(at_once.contains(&name), key.effect == Effect::Reload, "{name}: what the README says of SIGHUP");
        }
    }
}
