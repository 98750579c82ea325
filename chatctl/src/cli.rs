//! The command tree: what can be said, and how it is explained.

pub(crate) mod account;
pub(crate) mod chats;
pub(crate) mod consumers;
pub(crate) mod contacts;
pub(crate) mod devices;
mod help_text;
pub(crate) mod kv;
pub(crate) mod messages;
pub(crate) mod profile;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod tokens;
pub(crate) mod trust;
pub(crate) mod values;

use std::path::PathBuf;
use std::time::Duration;

use chat_protocol::ids::{MessageId, Username};
use chat_protocol::rpc::types::Since;
use chat_protocol::rpc::{Name, Target};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use values::hyphen_hint;
use values::{duration, event_types, life, message_id, rows, since, user};

/// Send, receive and open private chats from a terminal or a script
#[derive(Debug, Parser)]
#[command(name = "chatctl", version, after_help = help_text::EXIT_CODES, max_term_width = 100)]
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
    /// Use the rights of the token in this file, and no others
    #[arg(long, global = true, value_name = "FILE", env = "CHATD_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
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
    #[command(after_help = help_text::REGISTER)]
    Register(account::AccountFlags),
    /// Make this machine a device of an existing account
    #[command(after_help = help_text::LOGIN)]
    Login(account::AccountFlags),
    /// Disconnect and forget the login
    #[command(after_help = help_text::LOGOUT)]
    Logout(account::Logout),
    /// Show the account and the connection
    #[command(after_help = help_text::STATUS)]
    Status,
    /// Change the password
    #[command(after_help = help_text::PASSWD)]
    Passwd(account::Passwd),
    /// Show who is online
    #[command(after_help = help_text::WHO)]
    Who,
    /// Send a message
    #[command(after_help = help_text::SEND)]
    Send(Send),
    /// Show messages as they come
    #[command(after_help = help_text::LISTEN)]
    Listen(Listen),
    /// Talk: read, write and see who is there, on one screen
    #[command(after_help = help_text::CHAT)]
    Chat(Chat),
    /// Show the messages of a chat
    #[command(after_help = help_text::HISTORY)]
    History(History),
    /// Find messages by their words
    #[command(after_help = help_text::SEARCH)]
    Search(messages::Search),
    /// Write messages to a new file
    #[command(after_help = help_text::EXPORT)]
    Export(messages::Export),
    /// Change the text of your message, for everybody
    #[command(after_help = help_text::EDIT)]
    Edit(messages::Edit),
    /// Delete a message
    #[command(after_help = help_text::DELETE)]
    Delete(messages::Delete),
    /// React to a message with an emoji
    #[command(after_help = help_text::REACT)]
    React(messages::React),
    /// Show what waits to be sent, and what did not arrive
    #[command(after_help = help_text::OUTBOX)]
    Outbox,
    /// Take a message back that has not left yet
    #[command(after_help = help_text::CANCEL)]
    Cancel(messages::OneMessage),
    /// Send a failed or cancelled message again
    #[command(after_help = help_text::RESEND)]
    Resend(messages::OneMessage),
    /// Show how much is unread
    #[command(after_help = help_text::UNREAD)]
    Unread(chats::Unread),
    /// Note something about others, or block them
    #[command(subcommand, after_help = help_text::CONTACT)]
    Contact(contacts::Contact),
    /// Show and decide what those ask for whom you do not know
    #[command(after_help = help_text::REQUESTS)]
    Requests(contacts::Requests),
    /// Compare identities: that you talk to whom you think
    #[command(after_help = help_text::VERIFY)]
    Verify(trust::Verify),
    /// Decide whom to trust after a change, and what new devices get
    #[command(subcommand, after_help = help_text::TRUST)]
    Trust(trust::Trust),
    /// Show, let in and end the devices of this account
    #[command(subcommand, after_help = help_text::DEVICE)]
    Device(devices::Device),
    /// Show or change what accounts say of themselves
    #[command(after_help = help_text::PROFILE)]
    Profile(profile::Profile),
    /// Let a chat make no noise
    #[command(after_help = help_text::MUTE)]
    Mute(chats::Mute),
    /// Put a chat away until somebody writes
    #[command(after_help = help_text::ARCHIVE)]
    Archive(chats::Archive),
    /// Show or change the account's settings
    #[command(after_help = help_text::SETTINGS)]
    Settings(settings::Settings),
    /// Show the named readers of the event log
    #[command(after_help = help_text::CONSUMERS)]
    Consumers(consumers::Consumers),
    /// Keep small values for bots
    #[command(subcommand, after_help = help_text::KV)]
    Kv(kv::Kv),
    /// Give programs fewer rights than you have
    #[command(subcommand, after_help = help_text::TOKEN)]
    Token(tokens::Token),
    /// Show what tokens were used for
    #[command(after_help = help_text::AUDIT)]
    Audit(tokens::Audit),
    /// Run chatd as a service of yours, under systemd
    #[command(subcommand, after_help = help_text::SERVICE)]
    Service(service::Service),
    /// Find what is wrong, and the command that mends it
    #[command(after_help = help_text::DOCTOR)]
    Doctor,
    /// Make any call and print its result
    #[command(after_help = help_text::RPC)]
    Rpc(Rpc),
    /// Start the account's identity anew after all its devices were lost
    #[command(after_help = help_text::RESET)]
    Reset(account::Reset),
    /// Print the completions of a shell
    #[command(after_help = help_text::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: chat_programs::documents::Shell,
    },
    /// Print what the last of these words could become: names, profiles, scopes
    #[command(hide = true)]
    Complete {
        /// The words of the command line, the last one unfinished
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Print a manual page
    #[command(after_help = help_text::MAN)]
    Man(chat_programs::documents::Wanted),
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// `@user`, `room:public` or `self`
    pub(crate) to: Target,
    /// What to say; `-`, or nothing, reads it from stdin
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
    /// Read what to say from a file; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub(crate) file: Option<PathBuf>,
    /// Answer this message of the same chat
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub(crate) reply_to: Option<MessageId>,
    /// Mention somebody; may be repeated
    #[arg(long = "mention", value_name = "USER", value_parser = user)]
    pub(crate) mentions: Vec<Username>,
    /// Let it go from both histories after this time: 30s, 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = life)]
    pub(crate) ttl: Option<u32>,
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
    #[arg(long = "type", value_name = "TYPE", value_parser = event_types(), hide_possible_values = true)]
    pub(crate) types: Vec<String>,
    /// End after so many lines on stdout
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..))]
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
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = rows())]
    pub(crate) limit: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct History {
    /// `@user`, `room:public` or `self`
    pub(crate) to: Target,
    /// So many messages, if there are so many; at most 500
    #[arg(long, value_name = "N", default_value_t = 50, allow_negative_numbers = true, value_parser = rows())]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn atk_62_no_argument_takes_a_password_or_an_invite() {
        use clap::CommandFactory;
        for verb in Cli::command().get_subcommands() {
            for argument in verb.get_arguments() {
                let name = argument.get_id().as_str();
                let secret = ["password", "invite", "token"].iter().any(|word| name.contains(word));
                let harmless = name.ends_with("_file") || name.ends_with("_stdin");
                assert!(!secret || harmless, "{} takes {name}", verb.get_name());
                assert!(
                    !secret || name.ends_with("_file") || argument.get_env().is_none(),
                    "{} reads {name} from the environment",
                    verb.get_name()
                );
            }
        }
    }
}
