//! `completions` and `man`: what packages and shells want.

use std::path::Path;

use clap::{Command, CommandFactory};

use crate::Session;
use crate::cli::Cli;
use crate::error::Failure;

/// `chatctl completions SHELL`
pub(super) fn completions(shell: clap_complete::Shell, session: &mut Session) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "chatctl", &mut script);
    session.out.raw(&script)
}

/// `chatctl man [VERB…]`, `chatctl man --all DIR`
pub(super) fn man(verb: &[String], all: Option<&Path>, session: &mut Session) -> Result<(), Failure> {
    if let Some(directory) = all {
        std::fs::create_dir_all(directory)?;
        return Ok(clap_mangen::generate_to(Cli::command(), directory)?);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(find(verb)?).render(&mut page)?;
    session.out.raw(&page)
}

/// The command of a verb, named as its page is: `chatctl-contact-set`.
fn find(verb: &[String]) -> Result<Command, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut name = command.get_name().to_owned();
    for word in verb {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| Failure::Usage(format!("there is no verb {}", verb.join(" "))))?;
        name = format!("{name}-{word}");
    }
    Ok(if verb.is_empty() { Cli::command() } else { command.display_name(name) })
}
