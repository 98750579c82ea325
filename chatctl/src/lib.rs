//! The command line of chatd: each verb is one or two calls on its local socket.
//!
//! stdout is data, stderr is talk. Secrets come from a prompt without echo, from standard input or from a file, never
//! from an argument or the environment. Text of others is escaped before a terminal sees it. The
//! exit code says what kind of failure it was; `chatctl help` lists them.
//!
//! `cli` is what can be said, a file in `commands` what a verb does; `session` finds the daemon by `places` and calls
//! it; `input` and `secrets` read, `output` writes; `error` and `hints` say what went wrong and what helps.

pub mod cli;
mod commands;
pub mod error;
mod hints;
mod input;
mod output;
mod places;
mod secrets;
mod session;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use cli::Cli;
use error::Failure;
use hints::{Case, Doing};
use session::Session;

/// Reads the arguments, does what they say, and tells how it went.
#[must_use]
pub fn run() -> ExitCode {
    // passwords are typed here; what `--exec` starts has limits of its own
    if let Err(error) = chat_programs::process::hide_memory() {
        return end(Err(Failure::from(error)), false, &Doing::nothing());
    }
    match understood() {
        Ok((cli, verb)) => act(cli, &verb),
        Err(usage) if usage.use_stderr() => {
            misunderstood(&usage);
            ExitCode::from(error::USAGE)
        }
        // Help is data like any other: what cannot be written was not given.
        Err(help) => end(help.print().map_err(Failure::from), false, &Doing::nothing()),
    }
}

/// The command line, and the words of its verb: `device approve`.
fn understood() -> Result<(Cli, String), clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    let (mut words, mut at) = (Vec::new(), &matches);
    while let Some((word, below)) = at.subcommand() {
        words.push(word);
        at = below;
    }
    Ok((Cli::from_arg_matches(&matches)?, words.join(" ")))
}

/// Says what is wrong with the command line, in the form that it asks for as far as it could be read.
fn misunderstood(usage: &clap::Error) {
    if std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json") {
        let text = usage.render().to_string();
        let mut why = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        why.extend(cli::hyphen_hint(usage).into_iter().flat_map(|hint| [". ", hint]));
        return Failure::Usage(why).report(&mut std::io::stderr().lock(), true, &Doing::nothing());
    }
    // Nothing is left to tell a closed terminal.
    let _ = usage.print();
    if let Some(hint) = cli::hyphen_hint(usage) {
        let _ = writeln!(std::io::stderr().lock(), "{hint}");
    }
}

fn act(cli: Cli, verb: &str) -> ExitCode {
    let (json, doing) = (cli.options.json, Doing::new(Case::of(&cli.verb), verb));
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(commands::run(cli.verb, &mut Session::new(cli.options))));
    end(outcome, json, &doing)
}

/// Tells what went wrong, if anything did.
fn end(outcome: Result<(), Failure>, json: bool, doing: &Doing) -> ExitCode {
    match outcome {
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut std::io::stderr().lock(), json, doing);
            ExitCode::from(failure.exit_code())
        }
    }
}
