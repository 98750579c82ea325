//! `completions` and `man`: what packages and shells want.

use chat_documents::{ManualError, Shell, Wanted};
use clap::CommandFactory;

use crate::Session;
use crate::cli::Cli;
use crate::error::Failure;

/// `chatctl completions SHELL`
pub(super) fn completions(shell: Shell, session: &mut Session) -> Result<(), Failure> {
    let script = chat_documents::completions(Cli::command(), shell);
    session.out.raw(&script)
}

/// `chatctl man [VERB…]`, `chatctl man --all DIR`
pub(super) fn man(wanted: &Wanted, session: &mut Session) -> Result<(), Failure> {
    let page = chat_documents::manual(Cli::command(), wanted).map_err(|error| match error {
        ManualError::NoVerb(_) => Failure::Usage(error.to_string()),
        ManualError::Io(error) => error.into(),
    })?;
    session.out.raw(&page)
}
