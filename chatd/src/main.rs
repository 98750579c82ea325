//! `chatd`: reads the command line, runs the daemon, turns the outcome into words and an exit code.

use std::process::ExitCode;

use chat_programs::log;
use chatd::cli::{Cli, Exit};
use chatd::report::Lines;

fn main() -> ExitCode {
    log::end_on_panic(Exit::Internal as u8);
    let (cli, said) = match Cli::read(std::env::args_os()) {
        Ok(read) => read,
        Err(error) => return usage(&error),
    };
    match chatd::run::run(&cli, &said) {
        Ok(()) => {
            log::flush();
            ExitCode::from(Exit::Done as u8)
        }
        Err(error) => {
            // when even this cannot be told, the exit code still says it
            log::last_words(&Lines(&error).to_string());
            ExitCode::from(error.exit() as u8)
        }
    }
}

/// Help and version are no failure.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    let exit = match printed {
        _ if error.use_stderr() => Exit::Usage,
        Err(unwritten) if unwritten.kind() != std::io::ErrorKind::BrokenPipe => Exit::Io,
        _ => Exit::Done,
    };
    ExitCode::from(exit as u8)
}
