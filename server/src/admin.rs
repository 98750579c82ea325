//! What the administrator can do: one function per command, from the command line to the exit code.
//!
//! Standard output is data, standard error is talk. Passwords are read from a terminal or from
//! standard input, never from the command line.

mod backup;
mod documents;
mod home;
mod init;
mod key;
mod log;
mod mailboxes;
mod output;
mod progress;
mod reload;
mod restore;
mod run;
mod seed;
mod settings;
mod users;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure};
use home::Home;
use log::Log;
use output::Done;

/// Runs the command line and returns the exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    match perform(cli) {
        Ok(()) => {
            chat_programs::log::flush();
            ExitCode::SUCCESS
        }
        Err(failure) => {
            chat_programs::log::last_words(&failure.to_string());
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Help and version are data; everything else is wrong usage.
fn explain(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match (error.kind(), printed) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(error))
            if error.kind() != io::ErrorKind::BrokenPipe =>
        {
            ExitCode::from(Exit::Io as u8)
        }
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => ExitCode::SUCCESS,
        _ => ExitCode::from(Exit::Usage as u8),
    }
}

fn perform(cli: Cli) -> Done {
    let log = Log::start(cli.place.log.as_deref().unwrap_or_else(|| usual_log(&cli.command)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Internal, "cannot start the runtime").because(error))?;
    let home = Home::new(cli.place)?;
    if is_of_a_server(&cli.command) {
        home.server()?;
    }
    runtime.block_on(async {
        match cli.command {
            Command::Init { listen, public, offline_key } => init::init(&home, listen, public, offline_key.as_deref()),
            Command::Run { listen } => run::run(&home, &log, listen).await,
            Command::Invite { public } => init::invite(&home, public).await,
            Command::Key(command) => key::key(&home, &command),
            Command::User(command) => users::user(&home, command).await,
            Command::Mailbox(command) => mailboxes::mailbox(&home, command).await,
            Command::Config { defaults } => settings::config(&home, defaults),
            Command::Migrate => run::migrate(&home).await,
            Command::Backup { file } => backup::backup(&home, &file).await,
            Command::Restore { file, force } => restore::restore(&home, &file, force).await,
            Command::Completions { shell } => documents::completions(shell),
            Command::Man(wanted) => documents::man(&wanted),
        }
    })
}

/// Whether a command needs the server that `init` or `restore` made.
const fn is_of_a_server(command: &Command) -> bool {
    match command {
        Command::Init { .. } | Command::Restore { .. } | Command::Completions { .. } | Command::Man(_) => false,
        Command::Config { defaults } => !*defaults,
        Command::Run { .. }
        | Command::Invite { .. }
        | Command::Key(_)
        | Command::User(_)
        | Command::Mailbox(_)
        | Command::Migrate
        | Command::Backup { .. } => true,
    }
}

/// A server tells what it does; a command that ends tells only what is wrong.
const fn usual_log(command: &Command) -> &'static str {
    match command {
        Command::Run { .. } => log::OF_A_SERVER,
        _ => "warn",
    }
}
