//! `completions` and `man`: what packages and shells want.

use chat_programs::documents::{ManualError, Shell, Wanted};
use clap::CommandFactory;

use super::output::{Done, print};
use crate::cli::Cli;
use crate::failure::{Exit, Failure};

pub(super) fn completions(shell: Shell) -> Done {
    print(&chat_programs::documents::completions(Cli::command(), shell))
}

pub(super) fn man(wanted: &Wanted) -> Done {
    let page = chat_programs::documents::manual(Cli::command(), wanted).map_err(|error| {
        let words = error.to_string();
        match error {
            ManualError::NoVerb(_) => Failure::new(Exit::Usage, words),
            ManualError::Io(source) => Failure::new(Exit::CannotCreate, words).because(source),
        }
    })?;
    print(&page)
}
