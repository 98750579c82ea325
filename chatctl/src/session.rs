//! One run of a command: the way to the daemon, standard input and the output, as the options have them.

use std::cell::OnceCell;
use std::io::StdinLock;
use std::path::Path;

use chat_protocol::rpc::client::Client;
use chat_protocol::rpc::paths::Paths;
use chat_protocol::rpc::types::Hello;
use chat_protocol::rpc::{Method, Secret};

use crate::cli::Options;
use crate::error::Failure;
use crate::output::Output;
use crate::places;
use crate::secrets::{self, StdinLines};

/// One run: where the daemon is, and where the output goes.
pub(crate) struct Session {
    options: Options,
    pub(crate) out: Output,
    stdin: StdinLines,
    /// Read once: standard input cannot be read again.
    token: OnceCell<Option<Secret>>,
}

impl Session {
    pub(crate) fn new(options: Options) -> Self {
        let out = Output::new(options.json, options.color);
        Self { options, out, stdin: StdinLines::default(), token: OnceCell::new() }
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
        let paths = self.paths()?;
        connect(&paths, &self.options, self.token()?.as_ref()).await
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
        connect(&places::find(&self.options)?, &self.options, self.token.as_ref()).await
    }
}

/// Connects to the daemon that listens there, with the rights of a token or, without one, with the owner's.
async fn connect(paths: &Paths, options: &Options, token: Option<&Secret>) -> Result<Client, Failure> {
    let client = Client::connect(&paths.socket).await.map_err(|error| {
        let help = places::help(paths, options.socket.is_some());
        let gone = help.is_none();
        let hint = help.unwrap_or_else(|| starts_it(options));
        Failure::NotRunning { path: error.path, source: error.source, hint, gone }
    })?;
    if let Some(token) = token {
        let client_name = concat!("chatctl/", env!("CARGO_PKG_VERSION")).to_owned();
        client.call(&Hello { api: "1".to_owned(), client: client_name, token: Some(token.clone()) }).await?;
    }
    Ok(client)
}
