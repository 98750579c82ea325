//! The command tree: what can be said, and how it is explained.

pub(crate) mod keep;
pub(crate) mod messages;
pub(crate) mod profile;

use std::path::PathBuf;
use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::rpc::types::{Since, SinceWord};
use chat_protocol::rpc::{Name, Target};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Exit codes, as `chatctl help` and the README list them.
const EXIT_CODES: &str = "\
Exit codes:
   0  success
   1  doctor found something wrong
  64  the command or its parameters are wrong
  65  in conflict with what happened meanwhile
  66  no such user, chat, message or file
  69  chatd is not running, or the server cannot be reached
  70  a failure of chatd itself, or of the command given to --exec
  74  input, output or the event log failed
  75  too often, too large or too full: try later or send less
  76  wrong password, or a peer's identity or keys are not what they should be
  77  not logged in, or not allowed

Targets are `@user`, `room:public` (everybody; the server can read it) and `self`.

Examples:
  chatctl register alice --invite-file invite.txt
  chatctl send @bob \"are you there?\"
  df -h | chatctl send @ops -
  chatctl listen --json --type message.new --count 1";

/// Send, receive and open private chats from a terminal or a script
#[derive(Debug, Parser)]
#[command(name = "chatctl", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// Print one JSON object per line; errors too, on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Talk to the daemon of this profile
    #[arg(long, global = true, value_name = "NAME", env = "CHATD_PROFILE")]
    pub(crate) profile: Option<String>,
    /// Talk to the daemon on this socket
    #[arg(long, global = true, value_name = "PATH", env = "CHATD_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// Talk to the daemon that was started with this data directory
    #[arg(long, global = true, value_name = "DIR", env = "CHATD_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Talk to the daemon that was started with this configuration file
    #[arg(long, global = true, value_name = "FILE", env = "CHATD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Colour the output: on a terminal unless NO_COLOR is set, always, or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(crate) color: Colour,
}

/// When the output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an account and this machine its first device
    Register(Entrance),
    /// Make this machine a device of an existing account
    Login(Entrance),
    /// Disconnect and forget the login
    Logout(Logout),
    /// Show the account and the connection
    Status,
    /// Change the password
    Passwd(Passwd),
    /// Show who is online
    Who,
    /// Send a message
    #[command(after_help = SEND_EXAMPLES)]
    Send(Send),
    /// Show messages as they come
    #[command(after_help = LISTEN_EXAMPLES)]
    Listen(Listen),
    /// Talk: read, write and see who is there, on one screen
    #[command(after_help = CHAT_EXAMPLES)]
    Chat(Chat),
    /// Show the messages of a chat
    History(History),
    /// Find messages by their words
    #[command(after_help = SEARCH_EXAMPLES)]
    Search(messages::Search),
    /// Write messages to a new file
    Export(messages::Export),
    /// Change the text of your message, for everybody
    Edit(messages::Edit),
    /// Delete a message
    Delete(messages::Delete),
    /// React to a message with an emoji
    React(messages::React),
    /// Take a message back that has not left yet
    Cancel(messages::OneMessage),
    /// Send a failed or cancelled message again
    Resend(messages::OneMessage),
    /// Show how much is unread
    #[command(after_help = UNREAD_EXAMPLES)]
    Unread(keep::Unread),
    /// Note something about others, or block them
    #[command(subcommand)]
    Contact(keep::Contact),
    /// Show or change what accounts say of themselves
    #[command(after_help = profile::EXAMPLES)]
    Profile(profile::Profile),
    /// Let a chat make no noise
    Mute(keep::Mute),
    /// Put a chat away until somebody writes
    Archive(keep::Archive),
    /// Show or change the account's settings
    Settings(keep::Settings),
    /// Show the named readers of the event log
    Consumers(keep::Consumers),
    /// Keep small values for bots
    #[command(subcommand)]
    Kv(keep::Kv),
    /// Find what is wrong, and the command that mends it
    Doctor,
    /// Make any call and print its result
    #[command(after_help = RPC_EXAMPLES)]
    Rpc(Rpc),
    /// Start the account's identity anew after all its devices were lost
    Reset(Reset),
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

const SEND_EXAMPLES: &str = "\
A message waits in chatd while the server or the peer is away. Messages to @user are end-to-end
encrypted; what is said in room:public can be read by the server.

Examples:
  chatctl send @bob \"are you there?\"
  chatctl send room:public \"hello everybody\"
  make 2>&1 | tail | chatctl send @alice -
  chatctl send @ops --id backup-2026-11-22 --wait delivered --timeout 1m \"backup done\"
  chatctl send @bob --ttl 1h --file secret.txt
  chatctl send @bob --in 10m \"time to go\"";

const SEARCH_EXAMPLES: &str = "\
The first search after chatd was started reads the whole history.

Examples:
  chatctl search invoice
  chatctl search deploy* failed --chat @ops --limit 5";

const UNREAD_EXAMPLES: &str = "\
Examples:
  chatctl unread
  chatctl unread --format '{messages} in {chats} chats'";

const LISTEN_EXAMPLES: &str = "\
Text goes to stdout a message a line; what else happens is told on stderr. With --json every
event is a line. With --consumer chatd remembers what was handled, also while nobody listens.

--exec runs a shell command for every event, one after the other: its JSON on stdin, and CHAT_SEQ,
CHAT_TYPE, CHAT_CHAT, CHAT_FROM and CHAT_ID in the environment. One that fails is tried 5 times.

Examples:
  chatctl listen
  chatctl listen --chat @bob --count 1
  chatctl listen --json --since 1742 --type message.new
  chatctl listen --consumer deploy --type message.new --exec ./on-message";

const CHAT_EXAMPLES: &str = "\
Enter sends; /help says what else there is. Messages come in while you type, and what became of
yours is written behind them. Whatever is shown is marked as read. Nothing typed is kept on disk.
It goes on by itself when chatd comes back. Ctrl-D, or Ctrl-C on an empty line, leaves.

It needs a terminal: scripts use `chatctl send` and `chatctl listen`.

Examples:
  chatctl chat @bob
  chatctl chat room:public";

const RPC_EXAMPLES: &str = "\
Parameters with passwords or invites are refused as an argument, which other users could see;
write `-` and send them through stdin.

Examples:
  chatctl rpc daemon.info
  chatctl rpc identity.get '{\"user\":\"bob\"}'
  chatctl rpc account.login - < login.json";

/// Which account, by which way.
#[derive(Debug, Args)]
pub(crate) struct Entrance {
    /// Name of the account
    #[arg(value_parser = user)]
    pub(crate) user: Username,
    #[command(flatten)]
    pub(crate) door: DoorFlags,
    #[command(flatten)]
    pub(crate) password: PasswordFlags,
}

/// The way to the server; a prompt asks for the invite when nothing is said.
#[derive(Debug, Args)]
pub(crate) struct DoorFlags {
    /// Read the invite from a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["invite_stdin", "server"])]
    pub(crate) invite_file: Option<PathBuf>,
    /// Read the invite from the first line of stdin
    #[arg(long, conflicts_with = "server")]
    pub(crate) invite_stdin: bool,
    /// Without an invite: the server's address
    #[arg(long, value_name = "HOST:PORT", requires_all = ["server_key", "secret_key_file"])]
    pub(crate) server: Option<String>,
    /// Without an invite: the server's public key
    #[arg(long, value_name = "KEY", requires = "server")]
    pub(crate) server_key: Option<String>,
    /// Without an invite: file with the deployment's secret
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) secret_key_file: Option<PathBuf>,
}

/// Where the password comes from; a prompt without echo when nothing is said.
#[derive(Debug, Args)]
pub(crate) struct PasswordFlags {
    /// Read the password from a line of stdin, behind the invite if that comes from there too
    #[arg(long, conflicts_with = "password_file")]
    pub(crate) password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Also delete the keys: messages they protect are lost
    #[arg(long, requires = "yes")]
    pub(crate) forget_keys: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Passwd {
    /// Read the old password, then the new one, from two lines of stdin
    #[arg(long, conflicts_with_all = ["password_file", "new_password_file"])]
    pub(crate) password_stdin: bool,
    /// Read the old password from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the new password from the first line of a file
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// `@user`, `room:public` or `self`
    pub(crate) to: Target,
    /// What to say; `-`, or nothing, reads it from stdin
    #[arg(allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
    /// A key of your own: sending again with it sends nothing twice
    #[arg(long, value_name = "KEY")]
    pub(crate) id: Option<String>,
    /// Return only once the message got this far
    #[arg(long, value_name = "STATE")]
    pub(crate) wait: Option<Wait>,
    /// How long to wait: 500ms, 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Fail instead of queueing while there is no connection
    #[arg(long)]
    pub(crate) require_online: bool,
    /// Fail unless you have compared the peer's identity
    #[arg(long)]
    pub(crate) require_verified: bool,
    /// Read what to say from a file
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub(crate) file: Option<PathBuf>,
    /// Answer this message of the same chat
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(crate) reply_to: Option<MessageId>,
    /// Mention somebody; may be repeated
    #[arg(long = "mention", value_name = "USER", value_parser = user)]
    pub(crate) mentions: Vec<Username>,
    /// Let it go from both histories after this time: 30s, 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) ttl: Option<Duration>,
    /// Send it after this time and not before
    #[arg(long = "in", value_name = "TIME", value_parser = duration)]
    pub(crate) delay: Option<Duration>,
    /// Tell listeners if it was not delivered after this time
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) overdue_after: Option<Duration>,
}

/// How far a message shall be before `send` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wait {
    /// Stored by the server
    Accepted,
    /// On the peer's devices
    Delivered,
    /// Seen by the peer
    Read,
}

#[derive(Debug, Args)]
pub(crate) struct Listen {
    /// Where to begin: `now`, `start`, or behind the event with this number [default: now, or behind what
    /// --consumer has handled]
    #[arg(long, value_name = "WHERE", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Remember under this name what was handled, and go on there the next time
    #[arg(long, value_name = "NAME")]
    pub(crate) consumer: Option<Name>,
    /// Run this shell command for every event
    #[arg(long, value_name = "CMD")]
    pub(crate) exec: Option<String>,
    /// Only this chat; may be repeated
    #[arg(long = "chat", value_name = "TARGET")]
    pub(crate) chats: Vec<Target>,
    /// Only this type of event; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// End after so many lines on stdout
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Show your own messages too
    #[arg(long)]
    pub(crate) own: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Chat {
    /// `@user`, `room:public` or `self`
    pub(crate) to: Target,
    /// Begin with so many messages [default: what fits on the screen]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// `@user`, `room:public` or `self`
    pub(crate) to: Target,
    /// At most so many messages
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: u32,
    /// Print the id of each message too
    #[arg(long)]
    pub(crate) ids: bool,
    /// Those before the message with this id
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(crate) before: Option<MessageId>,
    /// Those after the message with this id
    #[arg(long, value_name = "ID", value_parser = message_id, conflicts_with = "before")]
    pub(crate) after: Option<MessageId>,
}

#[derive(Debug, Args)]
pub(crate) struct Rpc {
    /// Name of the method
    pub(crate) method: String,
    /// Its parameters, a JSON object; `-` reads them from stdin
    #[arg(default_value = "{}")]
    pub(crate) params: String,
}

#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// Name of the account
    #[arg(value_parser = user, required_unless_present = "cancel")]
    pub(crate) user: Option<Username>,
    /// Stop a reset that somebody started
    #[arg(long, conflicts_with = "user")]
    pub(crate) cancel: bool,
    /// The name once more: your old devices and unread messages will be gone
    #[arg(long, value_name = "USER")]
    pub(crate) confirm: Option<String>,
    #[command(flatten)]
    pub(crate) door: DoorFlags,
    #[command(flatten)]
    pub(crate) password: PasswordFlags,
}

/// Accepts `bob` and `@bob`.
fn user(text: &str) -> Result<Username, String> {
    text.strip_prefix('@').unwrap_or(text).parse().map_err(|error| format!("{error}"))
}

/// Accepts `yes` and `no`, `true` and `false`.
fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("write `yes` or `no`".to_owned()),
    }
}

fn message_id(text: &str) -> Result<MessageId, String> {
    MessageId::from_uuid(text).map_err(|error| error.to_string())
}

fn since(text: &str) -> Result<Since, String> {
    match text {
        "now" => Ok(Since::Word(SinceWord::Now)),
        "start" => Ok(Since::Word(SinceWord::Start)),
        number => number.parse().map(Since::After).map_err(|_| "write `now`, `start` or a number".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || "write a time such as 500ms, 30s, 5m, 2h or 7d".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(60 * 60))),
        "d" => Ok(Duration::from_secs(number.saturating_mul(24 * 60 * 60))),
        _ => Err(refuse()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "5", "s", "-1s", "1w", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn atk_62_no_argument_takes_a_password_or_an_invite() {
        use clap::CommandFactory;
        for verb in Cli::command().get_subcommands() {
            for argument in verb.get_arguments() {
                let name = argument.get_id().as_str();
                let secret = name.contains("password") || name.contains("invite");
                let harmless = name.ends_with("_file") || name.ends_with("_stdin");
                assert!(!secret || harmless, "{} takes {name}", verb.get_name());
                assert!(
                    !secret || argument.get_env().is_none(),
                    "{} reads {name} from the environment",
                    verb.get_name()
                );
            }
        }
    }
}
