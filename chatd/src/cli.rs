//! The command line of `chatd`, and what its exit codes mean.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use chat_programs::named::named;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// What the process exits with, after sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Ended because it was asked to.
    Done = 0,
    /// The command line is wrong.
    Usage = 64,
    /// The store is damaged, or of a newer version; nothing was changed.
    Damaged = 65,
    /// The daemon's own failure.
    Internal = 70,
    /// A directory, file or socket is not private, or cannot be made.
    Refused = 73,
    /// Reading or writing failed, or the disk is full.
    Io = 74,
    /// Another daemon uses this data or answers on this socket.
    InUse = 75,
    /// The passphrase or key file does not open the store.
    Locked = 77,
    /// A configuration file, or a setting, is wrong.
    Config = 78,
}

const AFTER_HELP: &str = "\
Exit codes:
   0  asked to end
  64  the command line is wrong
  65  the store is damaged, or of a newer version
  70  a failure of chatd itself
  73  a directory or file is not private, or cannot be made
  74  reading or writing failed, or the disk is full
  75  another chatd has this data
  77  the passphrase or key file does not fit
  78  a configuration file is wrong

Settings come from options, then variables, then ~/.config/chatd/<profile>.toml, then
/etc/chatd/chatd.toml; `chatd config` shows which one counts, and `chatd config --defaults`
explains them all.

SIGTERM and SIGINT end the daemon in good order. SIGHUP has the files read again; it does not end
the daemon, so that closing a terminal does not.";

/// Hold the keys and the connection of one account, and offer it on a local socket
#[derive(Debug, Parser)]
#[command(name = "chatd", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Cli {
    /// Which profile, and what its settings are.
    #[command(flatten)]
    pub options: Options,
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Reads a command line, and who said what in it: option or variable.
    ///
    /// # Errors
    /// What clap finds wrong, and its answers to `--help` and `--version`.
    pub fn read<T: Into<OsString> + Clone>(
        args: impl IntoIterator<Item = T>,
    ) -> clap::error::Result<(Self, ArgMatches)> {
        let matches = Self::command().try_get_matches_from(args)?;
        Ok((Self::from_arg_matches(&matches)?, matches))
    }
}

/// Options of every command. All but the first two, and `--passphrase`, can be said in files too.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Name of the account's profile: one daemon serves one account
    #[arg(long, env = "CHATD_PROFILE", value_name = "NAME", global = true)]
    pub profile: Option<String>,
    /// Read FILE instead of the profile's own [default: ~/.config/chatd/NAME.toml, if it is there]
    #[arg(long, env = "CHATD_CONFIG", value_name = "FILE", global = true, value_parser = named())]
    pub config: Option<PathBuf>,
    /// Keep everything of the profile in DIR
    #[arg(long, env = "CHATD_DATA_DIR", value_name = "DIR", global = true, value_parser = named())]
    pub data_dir: Option<PathBuf>,
    /// Listen on PATH
    #[arg(long, env = "CHATD_SOCKET", value_name = "PATH", global = true, value_parser = named())]
    pub socket: Option<PathBuf>,
    /// Open the store with this file, made if missing [default: `key` in the data directory]
    #[arg(long, env = "CHATD_KEY_FILE", value_name = "FILE", global = true, value_parser = named(),
          conflicts_with_all = ["passphrase", "passphrase_file"])]
    pub key_file: Option<PathBuf>,
    /// Ask for the passphrase that opens the store
    #[arg(long, global = true, conflicts_with = "passphrase_file")]
    pub passphrase: bool,
    /// Read the passphrase from the first line of FILE, or, if that is `-`, of standard input
    #[arg(long, env = "CHATD_PASSPHRASE_FILE", value_name = "FILE", global = true)]
    pub passphrase_file: Option<PathBuf>,
    /// Take over a private key of the first application, a plain PEM, when the account is entered
    #[arg(long, env = "CHATD_IMPORT_KEY", value_name = "FILE", global = true, value_parser = named())]
    pub import_key: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or filters by module [default: info]
    #[arg(long, env = "CHATD_LOG", value_name = "LEVEL", global = true)]
    pub log: Option<String>,
    /// Offer the calls over HTTP too, at an address of this machine alone, as 127.0.0.1:8898 [default: off]
    #[arg(long, env = "CHATD_HTTP_LISTEN", value_name = "ADDRESS", global = true)]
    pub http_listen: Option<SocketAddr>,
}

/// What else the program does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Open the store in another way from now on; rewrites one small file, also while the daemon runs
    ChangeKey(ChangeKey),
    /// Print the calls and events of the socket as an OpenRPC document; needs no running daemon
    Openrpc,
    /// Run, and take calls on standard input too: for a program that starts its own daemon, which ends with it
    Stdio,
    /// Print every setting, its value, and who says so
    Config(ShowConfig),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: chat_programs::documents::Shell,
    },
    /// Print a manual page
    Man(chat_programs::documents::Wanted),
}

/// How settings are shown.
#[derive(Clone, Debug, Args)]
pub struct ShowConfig {
    /// What would count if the daemon started now; the same as without
    #[arg(long)]
    pub effective: bool,
    /// Print one JSON object per setting
    #[arg(long, conflicts_with = "defaults")]
    pub json: bool,
    /// Print a file with every key, explained and commented out, to begin with
    #[arg(long, conflicts_with = "effective")]
    pub defaults: bool,
}

/// The way the store shall be opened from now on.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ChangeKey {
    /// By this file, made if missing
    #[arg(long, value_name = "FILE", value_parser = named())]
    pub new_key_file: Option<PathBuf>,
    /// By a passphrase that is asked for twice
    #[arg(long)]
    pub new_passphrase: bool,
    /// By the passphrase in the first line of FILE, or, if that is `-`, the next one of standard input
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn two_ways_to_open_the_store_are_one_too_many() {
        for both in [["--key-file=k", "--passphrase"], ["--passphrase", "--passphrase-file=p"]] {
            assert!(Cli::try_parse_from(["chatd"].iter().chain(&both)).is_err(), "{both:?}");
        }
        assert!(Cli::try_parse_from(["chatd", "change-key"]).is_err());
        assert!(Cli::try_parse_from(["chatd", "change-key", "--new-passphrase"]).is_ok());
    }

    #[test]
    fn a_dash_is_no_file_where_standard_input_cannot_be_meant() {
        let options = ["config", "data-dir", "socket", "key-file", "import-key"].map(|option| format!("--{option}=-"));
        let verbs = ["change-key --new-key-file -", "man --all -"].map(str::to_owned);
        for line in options.into_iter().chain(verbs) {
            let error = Cli::try_parse_from(format!("chatd {line}").split(' ')).unwrap_err().to_string();
            assert!(error.contains("a file of that name is ./-"), "{line}: {error}");
        }
        for line in ["--key-file=./-", "--passphrase-file=-", "change-key --new-passphrase-file -"] {
            assert!(Cli::try_parse_from(format!("chatd {line}").split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn atk_62_no_option_takes_a_secret() {
        let command = Cli::command();
        let secret = |id: &str| id.contains("pass") || id.contains("secret") || id.contains("invite");
        for option in command.get_arguments().filter(|option| secret(option.get_id().as_str())) {
            let name = option.get_id().as_str();
            assert!(name.ends_with("_file") || !option.get_action().takes_values(), "{name}");
        }
    }
}
