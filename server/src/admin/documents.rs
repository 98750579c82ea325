//! `completions` and `man`: what packages and shells want.

use clap::CommandFactory;

use super::{Done, print};
use crate::cli::Cli;
use crate::failure::{Exit, Failure};

pub(super) fn completions(shell: clap_complete::Shell) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chat-server", &mut script);
    print(&script)
}

pub(super) fn man() -> Done {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
    rendered.map_err(|error| Failure::new(Exit::Internal, "the manual was not written").because(error))?;
    print(&page)
}
