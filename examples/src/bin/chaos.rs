//! Pushes messages through real processes while they are killed, and counts: `make chaos`.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;

use chat_stories::chaos::{self, Kind, Plan};
use clap::{Parser, Subcommand, ValueEnum};

/// Push messages while everything is killed, and count what is lost, repeated or out of order
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    /// The server's database
    #[arg(long, default_value = "sqlite")]
    database: Database,
    /// Messages to send
    #[arg(long, default_value_t = 50_000)]
    messages: u64,
    /// Processes to kill meanwhile
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// Where the schedule of faults comes from [default: a new one]
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Be one of the readers
    #[command(hide = true)]
    Read {
        /// The daemon's socket
        socket: PathBuf,
        /// Where to write down what was handled
        notes: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Database {
    Sqlite,
    Mariadb,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(Part::Read { socket, notes }) = cli.part {
        return if chaos::read(&socket, &notes).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let database = match cli.database {
        Database::Sqlite => Kind::Sqlite,
        Database::Mariadb => Kind::Mariadb,
    };
    let seed = cli.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed}");
    let figures = chaos::run(Plan { database, messages: cli.messages, kills: cli.kills, seed });
    println!("{figures}");
    if figures.verdict.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
