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

use std::cell::OnceCell;
use std::io::{IsTerminal, StdinLock, Write as _};
use std::path::Path;
use std::process::ExitCode;

use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::paths::Paths;
use chat_protocol::rpc::types::Hello;
use chat_protocol::rpc::{Method, Secret};
use clap::{CommandFactory, FromArgMatches};

use cli::{Cli, Options};
use error::Failure;
use hints::{Case, Doing};
use output::Output;
use secrets::StdinLines;

/// Reads the arguments, does what they say, and tells how it went.
#[must_use]
pub fn run() -> ExitCode {
    match understood() {
        Ok((cli, verb)) => act(cli, &verb),
        Err(usage) if usage.use_stderr() => {
            misunderstood(&usage);
            ExitCode::from(error::USAGE)
        }
        // Help is data like any other: what cannot be written was not given.
        Err(help) => end(help.print().map_err(Failure::from), false, &Doing::nothing()),
    }
}

/// The command line, and the words of its verb: `device approve`.
fn understood() -> Result<(Cli, String), clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    let (mut words, mut at) = (Vec::new(), &matches);
    while let Some((word, below)) = at.subcommand() {
        words.push(word);
        at = below;
    }
    Ok((Cli::from_arg_matches(&matches)?, words.join(" ")))
}

/// Says what is wrong with the command line, in the form that it asks for as far as it could be read.
fn misunderstood(usage: &clap::Error) {
    if std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json") {
        let text = usage.render().to_string();
        let mut why = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        why.extend(cli::hyphen_hint(usage).into_iter().flat_map(|hint| [". ", hint]));
        return Failure::Usage(why).report(&mut std::io::stderr().lock(), true, &Doing::nothing());
    }
    // Nothing is left to tell a closed terminal.
    let _ = usage.print();
    if let Some(hint) = cli::hyphen_hint(usage) {
        let _ = writeln!(std::io::stderr().lock(), "{hint}");
    }
}

fn act(cli: Cli, verb: &str) -> ExitCode {
    let (json, doing) = (cli.options.json, Doing::new(Case::of(&cli.verb), verb));
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(commands::run(cli.verb, &mut Session::new(cli.options))));
    end(outcome, json, &doing)
}

/// Tells what went wrong, if anything did.
fn end(outcome: Result<(), Failure>, json: bool, doing: &Doing) -> ExitCode {
    match outcome {
        Ok(()) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(&mut std::io::stderr().lock(), json, doing);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// One run: where the daemon is, and where the output goes.
pub(crate) struct Session {
    options: Options,
    pub(crate) out: Output,
    stdin: StdinLines,
    /// Read once: standard input cannot be read again.
    token: OnceCell<Option<Secret>>,
}

impl Session {
    fn new(options: Options) -> Self {
        let out = Output::new(options.json, options.color);
        Self { options, out, stdin: StdinLines::default(), token: OnceCell::new() }
    }

    /// Whether a person can be asked.
    pub(crate) fn has_terminal() -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Looks for the daemon where an option of this name says, for words that are not this command's own.
    pub(crate) fn look_at(&mut self, option: &str, value: String) {
        match option {
            "profile" => self.options.profile = Some(value),
            "socket" => self.options.socket = Some(value.into()),
            "data_dir" => self.options.data_dir = Some(value.into()),
            "config" => self.options.config = Some(value.into()),
            _ => {}
        }
    }

    /// Connects to the daemon.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        self.way()?.connect().await
    }

    /// The way to the daemon, for whoever goes it more than once.
    pub(crate) fn way(&self) -> Result<Way, Failure> {
        Ok(Way { token: self.token()?, ..self.way_of_owner()? })
    }

    /// The same without a token.
    pub(crate) fn way_of_owner(&self) -> Result<Way, Failure> {
        // what is wrong with the options is said before anything else
        self.paths()?;
        Ok(Way { options: self.options.clone(), token: None })
    }

    /// The token that is to be used.
    fn token(&self) -> Result<Option<Secret>, Failure> {
        if let Some(known) = self.token.get() {
            return Ok(known.clone());
        }
        let read = |file: &Path| match secrets::is_standard(file) {
            true => self.stdin.next("token"),
            false => secrets::from_file(file, "token"),
        };
        let token = self.token_file().map(read).transpose()?;
        Ok(self.token.get_or_init(|| token).clone())
    }

    /// The next line of standard input, which holds `what`; a token that comes from there is the first.
    pub(crate) fn line(&self, what: &str) -> Result<Secret, Failure> {
        self.token()?;
        self.stdin.next(what)
    }

    /// A secret out of a file that was named, which `-` says is standard input.
    pub(crate) fn secret(&self, file: &Path, what: &str) -> Result<Secret, Failure> {
        if secrets::is_standard(file) { self.line(what) } else { secrets::from_file(file, what) }
    }

    /// Standard input, for what is read to its end: nothing else may come from there.
    pub(crate) fn stdin(&self) -> Result<StdinLock<'static>, Failure> {
        if self.token_file().is_some_and(secrets::is_standard) {
            let why = "standard input cannot hold the token and a text too: put the token into a file";
            return Err(Failure::Usage(why.to_owned()));
        }
        Ok(std::io::stdin().lock())
    }

    /// Where the token is, if one is to be used.
    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.options.token_file.as_deref()
    }

    /// Whether the daemon is found by a place that was named, and not by its profile.
    pub(crate) const fn names_a_place(&self) -> bool {
        self.options.data_dir.is_some() || self.options.socket.is_some() || self.options.config.is_some()
    }

    /// Whether the options say with which data the daemon runs: another one beside it is meant to be there.
    pub(crate) const fn names_data(&self) -> bool {
        self.options.data_dir.is_some() || self.options.config.is_some()
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
        let client = Client::connect(&paths.socket).await.map_err(|error| {
            let help = places::help(&paths, self.options.socket.is_some());
            let gone = help.is_none();
            let hint = help.unwrap_or_else(|| starts_it(&self.options));
            Failure::NotRunning { path: error.path, source: error.source, hint, gone }
        })?;
        if let Some(token) = &self.token {
            let client_name = concat!("chatctl/", env!("CARGO_PKG_VERSION")).to_owned();
            client.call(&Hello { api: "1".to_owned(), client: client_name, token: Some(token.clone()) }).await?;
        }
        Ok(client)
    }
}
