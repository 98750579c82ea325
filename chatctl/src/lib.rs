//! The command line of chatd: each verb is one or two calls on its local socket.
//!
//! stdout is data, stderr is talk. Secrets come from a prompt without echo, from standard input or from a file, never
//! from an argument or the environment. Text of others is escaped before a terminal sees it. The
//! exit code says what kind of failure it was; `chatctl help` lists them.

pub mod cli;
mod commands;
pub mod error;
mod hints;
mod input;
mod output;
mod places;
mod secrets;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::paths::Paths;
use chat_protocol::rpc::types::Hello;
use chat_protocol::rpc::{Method, Secret};
use clap::Parser;

use cli::{Cli, Options};
use error::Failure;
use hints::Case;
use output::Output;

/// Reads the arguments, does what they say, and tells how it went.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => act(cli),
        Err(usage) => {
            // Nothing is left to tell a closed terminal.
            let _ = usage.print();
            if usage.use_stderr() { ExitCode::from(error::USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

fn act(cli: Cli) -> ExitCode {
    let (json, case) = (cli.options.json, Case::of(&cli.verb));
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(commands::run(cli.verb, &mut Session::new(cli.options))));
    match outcome {
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut std::io::stderr().lock(), json, case);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// One run: where the daemon is, and where the output goes.
pub(crate) struct Session {
    options: Options,
    pub(crate) out: Output,
}

impl Session {
    fn new(options: Options) -> Self {
        let out = Output::new(options.json, options.color);
        Self { options, out }
    }

    /// Whether a person can be asked.
    pub(crate) fn has_terminal() -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Connects to the daemon.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        self.way()?.connect().await
    }

    /// The way to the daemon, for whoever goes it more than once.
    pub(crate) fn way(&self) -> Result<Way, Failure> {
        let token = self.token_file().map(|file| secrets::from_file(file, "token")).transpose()?;
        Ok(Way { token, ..self.way_of_owner()? })
    }

    /// The same without a token.
    pub(crate) fn way_of_owner(&self) -> Result<Way, Failure> {
        // what is wrong with the options is said before anything else
        self.paths()?;
        Ok(Way { options: self.options.clone(), token: None })
    }

    /// Where the token is, if one is to be used.
    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.options.token_file.as_deref()
    }

    /// Whether the daemon is found by a place that was named, and not by its profile.
    pub(crate) const fn names_a_place(&self) -> bool {
        self.options.data_dir.is_some() || self.options.socket.is_some() || self.options.config.is_some()
    }

    /// Connects, makes one call, and prints its answer as JSON or as `human` has it.
    pub(crate) async fn simple<M: Method>(
        &mut self,
        params: &M,
        human: impl FnOnce(&M::Answer) -> Vec<String>,
    ) -> Result<(), Failure> {
        let answer = self.client().await?.call(params).await?;
        self.out.answer(&answer, human)
    }

    /// Where the profile lives.
    pub(crate) fn paths(&self) -> Result<Paths, Failure> {
        places::find(&self.options)
    }
}

/// The command that starts the daemon.
fn starts_it(options: &Options) -> String {
    let Options { data_dir, config, profile, .. } = options;
    match (data_dir, config, profile) {
        (Some(dir), ..) => format!("start it with `chatd --data-dir {}`", dir.display()),
        (None, Some(file), _) => format!("start it with `chatd --config {}`", file.display()),
        (None, None, Some(profile)) => format!("start it with `chatd --profile {profile}`"),
        (None, None, None) => "start it with `chatd`, or `systemctl --user start chatd`".to_owned(),
    }
}

/// The way to the daemon, looked for each time: it may listen elsewhere after it was started anew.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    options: Options,
    /// Whose rights the connection has; the owner's without one.
    token: Option<Secret>,
}

impl Way {
    /// Connects to the daemon.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let paths = places::find(&self.options)?;
        let client = Client::connect(&paths.socket).await.map_err(|error| Failure::NotRunning {
            path: error.path,
            source: error.source,
            hint: places::help(&paths).unwrap_or_else(|| starts_it(&self.options)),
        })?;
        if let Some(token) = &self.token {
            let client_name = concat!("chatctl/", env!("CARGO_PKG_VERSION")).to_owned();
            client.call(&Hello { api: "1".to_owned(), client: client_name, token: Some(token.clone()) }).await?;
        }
        Ok(client)
    }
}
