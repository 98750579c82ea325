//! Verbs about the account, which take secrets from everywhere but their arguments.

use std::path::PathBuf;

use chat_protocol::ids::Username;
use clap::Args;

use super::values::user;

/// Which account, by which way.
#[derive(Debug, Args)]
pub(crate) struct AccountFlags {
    /// Name of the account
    #[arg(value_parser = user)]
    pub(crate) user: Username,
    #[command(flatten)]
    pub(crate) server_flags: ServerFlags,
    #[command(flatten)]
    pub(crate) password: PasswordFlags,
}

/// The way to the server; a prompt asks for the invite when nothing is said.
#[derive(Debug, Args)]
pub(crate) struct ServerFlags {
    /// Read the invite from a file; `-` is stdin
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
    /// Read the password from the first line of a file; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Logout {
    /// Also delete the keys: messages they protect are lost
    #[arg(long)]
    pub(crate) forget_keys: bool,
    /// Do not ask whether the keys are to be deleted
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Passwd {
    /// Read the old password, then the new one, from two lines of stdin
    #[arg(long, conflicts_with_all = ["password_file", "new_password_file"])]
    pub(crate) password_stdin: bool,
    /// Read the old password from the first line of a file; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the new password from the first line of a file; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) new_password_file: Option<PathBuf>,
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
    pub(crate) server_flags: ServerFlags,
    #[command(flatten)]
    pub(crate) password: PasswordFlags,
}
