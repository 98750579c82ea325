//! Drains a device's backlog and shows what it costs: `make backlog`.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::process::ExitCode;

use chat_stories::backlog::{self, Plan};
use clap::Parser;

/// Let messages wait for a device that is away, have it drain them, and watch the memory of server and daemon
#[derive(Debug, Parser)]
#[command(name = "backlog")]
struct Cli {
    /// Messages that wait
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Bytes of text in each
    #[arg(long, default_value_t = 400)]
    bytes: usize,
    /// Messages under way at once, a setting of the server
    #[arg(long, default_value_t = 1_000)]
    window: u64,
    /// Fail if server or daemon grow by more than this many MiB
    #[arg(long, default_value_t = 48)]
    growth: u64,
    /// Print the figures as one line of JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Cli { messages, bytes, window, growth, json } = Cli::parse();
    let figures = backlog::run(Plan { messages, bytes, window });
    if json {
        println!("{}", figures.json());
    } else {
        println!("{figures}");
    }
    if figures.is_clean() && figures.is_flat(growth << 20) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
