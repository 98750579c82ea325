//! The words of `chatctl profile`.

use clap::{Args, Subcommand};

use super::contacts::Who;
use super::values::yes;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Profile {
    #[command(subcommand)]
    pub(crate) what: Option<ProfileVerb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileVerb {
    /// Show what a user told you of themselves
    Show(Who),
    /// Say something of yourself; an empty text takes it away
    Set(ProfileSet),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct ProfileSet {
    /// What you would like to be called
    #[arg(long, value_name = "NAME", value_parser = super::values::no_input)]
    pub(crate) name: Option<String>,
    /// A line about yourself; `-` is read from stdin
    #[arg(long, value_name = "TEXT")]
    pub(crate) about: Option<String>,
    /// Whether a program writes here: `yes` or `no`
    #[arg(long, value_name = "YES", value_parser = yes)]
    pub(crate) bot: Option<bool>,
}
