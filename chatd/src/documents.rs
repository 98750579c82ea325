//! `completions` and `man`: what packages and shells want.

use chat_programs::documents::{ManualError, Shell, Wanted};
use clap::CommandFactory;

use crate::cli::Cli;

/// The completions of a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    chat_programs::documents::completions(Cli::command(), shell)
}

/// The manual page that is wanted.
///
/// # Errors
/// As [`chat_programs::documents::manual`].
pub(crate) fn man(wanted: &Wanted) -> Result<Vec<u8>, ManualError> {
    chat_programs::documents::manual(Cli::command(), wanted)
}
