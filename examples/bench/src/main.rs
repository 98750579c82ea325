//! Load for chat-server and for servers of its kind, and what it costs them: the generator of `make bench`.
//!
//! One thread; peers speak TLS 1.3, chat-server its own transport. Each workload prints one line of JSON. CPU is that of
//! the server under test (`--pid`, all threads, in nanoseconds): it hardly depends on what else the machine does. Latencies
//! are one way, from just before the write to the read of the receiver: one process, one clock.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the figures are what it is for, and a benchmark that cannot go on ends with the reason"
)]

mod connection;
mod fsync;
mod histogram;
mod loads;
mod protocols;
mod usage;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use loads::Context;
use protocols::ours::Ours;
use protocols::{Peer, Protocol};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Load for chat-server and its peers; prints what it cost them as JSON
#[derive(Debug, Parser)]
#[command(name = "chat-bench")]
struct Cli {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// One room: messages that are not yet at every member, at most so many
    Room {
        #[command(flatten)]
        target: Target,
        /// Members
        #[arg(long, default_value_t = 100)]
        members: usize,
        /// Messages under way at once; 1 leaves no room for batching
        #[arg(long, default_value_t = 1)]
        window: u64,
    },
    /// One to one: paced, or with so many under way in each pair
    Pairs {
        #[command(flatten)]
        target: Target,
        /// Pairs
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// Messages under way in each pair; 0: paced
        #[arg(long, default_value_t = 0)]
        window: u64,
        /// Messages a second in each pair, where they are paced
        #[arg(long, default_value_t = 5.0)]
        rate: f64,
    },
    /// Logins, so many at a time, which then stay connected
    Idle {
        #[command(flatten)]
        target: Target,
        /// Connections
        #[arg(long, default_value_t = 1000)]
        connections: usize,
        /// Logins at a time
        #[arg(long, default_value_t = 32)]
        at_once: usize,
    },
    /// Acknowledged messages for users who are offline; then they come and it is counted what is there
    Store {
        #[command(flatten)]
        target: Target,
        /// Messages
        #[arg(long, default_value_t = 1000)]
        messages: u64,
        /// Unacknowledged at once
        #[arg(long, default_value_t = 1)]
        window: u64,
        /// Users
        #[arg(long, default_value_t = 10)]
        users: usize,
        /// The first of them
        #[arg(long)]
        first: usize,
    },
    /// Accounts of chat-server with a device each; prints a line of the file that --devices takes for each
    Register {
        #[command(flatten)]
        target: Target,
        /// First user
        #[arg(long)]
        from: usize,
        /// Behind the last
        #[arg(long)]
        to: usize,
        /// Every how manyth of them
        #[arg(long, default_value_t = 1)]
        step: usize,
    },
    /// How many bytes one message of chat-server is, from text to wire
    Sizes {
        #[command(flatten)]
        target: Target,
    },
    /// How long one fdatasync of an append takes here
    Fsync {
        /// Where
        #[arg(long)]
        directory: PathBuf,
        /// Bytes appended before each
        #[arg(long, default_value_t = 4096)]
        bytes: usize,
        /// How long to try, in seconds
        #[arg(long, default_value_t = 1.0)]
        seconds: f64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Irc,
    /// Quality of service 1
    Mqtt,
    Nats,
    Ours,
}

/// The server under test.
#[derive(Args, Debug)]
struct Target {
    /// What it speaks
    #[arg(long, value_enum)]
    protocol: Kind,
    /// Where it listens
    #[arg(long)]
    address: String,
    /// Its processes
    #[arg(long, value_delimiter = ',')]
    pid: Vec<i32>,
    /// Of chat-server: its invite
    #[arg(long, default_value = "invite")]
    invite: PathBuf,
    /// Of chat-server: what `register` printed
    #[arg(long, default_value = "devices")]
    devices: PathBuf,
    /// Bytes of text in a message
    #[arg(long, default_value_t = 200)]
    bytes: usize,
    /// How long to measure, in seconds
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How long to load it before, in seconds
    #[arg(long, default_value_t = 1.0)]
    warm: f64,
    /// Silence after which what did not arrive is lost, in seconds; long, for a machine that is busy with more
    #[arg(long, default_value_t = 15.0)]
    quiet: f64,
}

impl Target {
    fn context(self) -> Fallible<Context> {
        let protocol = match self.protocol {
            Kind::Irc => Protocol::Irc,
            Kind::Mqtt => Protocol::Mqtt,
            Kind::Nats => Protocol::Nats,
            Kind::Ours => Protocol::Ours(Box::new(Ours::load(&self.invite, &self.devices, self.bytes)?)),
        };
        let peer = Peer::new(protocol, self.address, self.bytes)?;
        Ok(Context {
            peer: Rc::new(peer),
            server: usage::Processes(self.pid),
            seconds: self.seconds,
            warm: self.warm,
            quiet: Duration::from_secs_f64(self.quiet),
        })
    }
}

async fn work(work: Work) -> Fallible<Value> {
    match work {
        Work::Room { target, members, window } => loads::room::run(&target.context()?, members, window).await,
        Work::Pairs { target, pairs, window, rate } => loads::pairs::run(&target.context()?, pairs, window, rate).await,
        Work::Idle { target, connections, at_once } => loads::idle::run(&target.context()?, connections, at_once).await,
        Work::Store { target, messages, window, users, first } => {
            loads::store::run(&target.context()?, messages, window, first..first + users).await
        }
        Work::Register { target, from, to, step } => {
            let context = target.context()?;
            let ours = context.peer.protocol.ours().ok_or("only accounts of chat-server are registered")?;
            for user in (from..to).step_by(step) {
                println!("{}", ours.register(&context.peer.address, user).await?);
            }
            Ok(Value::Null)
        }
        Work::Sizes { target } => {
            let context = target.context()?;
            Ok(context.peer.protocol.ours().map_or(json!({}), |ours| ours.sizes(context.peer.bytes)))
        }
        Work::Fsync { directory, bytes, seconds } => fsync::run(&directory, bytes, seconds),
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Into::into).and_then(|runtime| {
            let tasks = tokio::task::LocalSet::new();
            let done = tasks.block_on(&runtime, work(cli.work));
            // readers wait for ever: they are not waited for
            runtime.shutdown_background();
            std::mem::forget(tasks);
            done
        });
    match done {
        Ok(Value::Null) => ExitCode::SUCCESS,
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("chat-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
