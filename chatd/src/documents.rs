//! `completions` and `man`: what packages and shells want.

use clap::CommandFactory;

use crate::cli::Cli;

/// The completions of a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chatd", &mut script);
    script
}

/// The manual page: chatd(1).
///
/// # Errors
/// If it cannot be written down, which would be a defect here.
pub(crate) fn man() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}
