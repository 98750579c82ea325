//! `completions` and `man`: what packages and shells want.

use chat_programs::documents::{ManualError, Shell, Wanted};
use clap::CommandFactory;

use crate::cli::Cli;

/// What bash is told of a profile by clap, and what it asks instead: chatctl, which comes with chatd, knows which there are.
const PROFILE: [&str; 2] = [
    "--profile)\n                    COMPREPLY=(\"${cur}\")",
    "--profile)\n                    COMPREPLY=($(compgen -W \"$(command chatctl complete -- chatctl --profile '' \
     2>/dev/null)\" -- \"${cur}\"))",
];

/// The completions of a shell.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let made = chat_programs::documents::completions(Cli::command(), shell);
    let [told, asked] = PROFILE;
    String::from_utf8_lossy(&made).replace(told, asked).into_bytes()
}

/// The manual page that is wanted.
///
/// # Errors
/// As [`chat_programs::documents::manual`].
pub(crate) fn man(wanted: &Wanted) -> Result<Vec<u8>, ManualError> {
    chat_programs::documents::manual(Cli::command(), wanted)
}
