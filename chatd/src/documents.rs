//! `completions` and `man`: what packages and shells want.

use chat_documents::{ManualError, Shell, Wanted};
use clap::CommandFactory;

use crate::cli::Cli;

/// The completions of a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    chat_documents::completions(Cli::command(), shell)
}

/// The manual page that is wanted.
///
/// # Errors
/// As [`chat_documents::manual`].
pub(crate) fn man(wanted: &Wanted) -> Result<Vec<u8>, ManualError> {
    chat_documents::manual(Cli::command(), wanted)
}
