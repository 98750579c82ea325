//! `completions` and `man`: what packages and shells want.

use chat_programs::documents::{ManualError, Shell, Wanted};
use clap::CommandFactory;

use super::shells;
use crate::cli::Cli;
use crate::error::Failure;
use crate::session::Session;

/// `chatctl completions SHELL`
pub(super) fn completions(shell: Shell, session: &mut Session) -> Result<(), Failure> {
    session.out.raw(shells::script(shell).as_bytes())
}

/// `chatctl man [VERB…]`, `chatctl man --all DIR`
pub(super) fn man(wanted: &Wanted, session: &mut Session) -> Result<(), Failure> {
    let page = chat_programs::documents::manual(Cli::command(), wanted).map_err(|error| match error {
        ManualError::NoVerb(_) => Failure::Usage(error.to_string()),
        ManualError::Io(error) => error.into(),
    })?;
    session.out.raw(&page)
}
