//! `completions` and `man`: what packages and shells want.

use clap::CommandFactory;

use crate::Session;
use crate::cli::Cli;
use crate::error::Failure;

/// `chatctl completions SHELL`
pub(super) fn completions(shell: clap_complete::Shell, session: &mut Session) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chatctl", &mut script);
    session.out.raw(&script)
}

/// `chatctl man`
pub(super) fn man(session: &mut Session) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    session.out.raw(&page)
}
