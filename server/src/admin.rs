//! What the administrator can do: one function per command, from the command line to the exit code.
//!
//! Standard output is data, standard error is talk. Passwords are read from a terminal or from
//! standard input, never from the command line.

mod documents;
mod home;
mod init;
mod mailboxes;
mod run;
mod settings;
mod users;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Failure};
use home::Home;

/// Result of a command.
type Done = Result<(), Failure>;

/// Runs the command line and returns the exit code.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    match perform(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = write!(io::stderr().lock(), "{failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// Help and version are data; everything else is wrong usage.
fn explain(error: &clap::Error) -> ExitCode {
    // a closed pipe is silent
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(Exit::Usage as u8),
    }
}

fn perform(cli: Cli) -> Done {
    start_log(cli.place.log.as_deref().unwrap_or_else(|| usual_log(&cli.command)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Internal, "cannot start the runtime").because(error))?;
    let home = Home::new(cli.place)?;
    runtime.block_on(async {
        match cli.command {
            Command::Init { listen, public } => init::init(&home, listen, public),
            Command::Run { listen } => run::run(&home, listen).await,
            Command::Invite { public } => init::invite(&home, public).await,
            Command::User(command) => users::user(&home, command).await,
            Command::Mailbox(command) => mailboxes::mailbox(&home, command).await,
            Command::Config { defaults } => settings::config(&home, defaults),
            Command::Migrate => run::migrate(&home).await,
            Command::Completions { shell } => documents::completions(shell),
            Command::Man => documents::man(),
        }
    })
}

/// A server tells what it does; a command that ends tells only what is wrong.
const fn usual_log(command: &Command) -> &'static str {
    match command {
        Command::Run { .. } => "info",
        _ => "warn",
    }
}

/// Logs go to standard error.
fn start_log(filter: &str) -> Done {
    let filter = tracing_subscriber::EnvFilter::try_new(filter);
    let filter = filter.map_err(|error| Failure::new(Exit::Usage, "--log is not a log filter").because(error))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // a second log in one process, in tests, keeps the first
    let _ = log.try_init();
    Ok(())
}

/// Prints a line of data.
fn say(line: &str) -> Done {
    print(format!("{line}\n").as_bytes())
}

/// Prints data as it is. Who no longer listens needs no error.
fn print(data: &[u8]) -> Done {
    match io::stdout().lock().write_all(data) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Internal, "cannot write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// Prints a line of talk.
fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
