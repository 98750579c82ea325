//! What the process was told, worked out: where things are, what opens the store, what is offered to whom.
//!
//! Command line over environment over the profile's file over the machine's file over defaults, key by key.
//! [`Sources`] keeps who may say something, so that files can be read again while the daemon runs; [`Config`] is
//! what counts, each value with its origin. chatctl finds data and socket by the same rules: [`Given`] is shared.

pub mod http;
pub mod keys;
pub mod unlock;

use std::path::{Path, PathBuf};

use chat_programs::private::{self, FileError, is_own_directory};
use chat_programs::settings::{self, Entry, Key, Layer, Layered, Origin, Problem, Setting, Source, Wrong};
use chat_protocol::rpc::paths::{Given, Paths, PathsError};
use clap::ArgMatches;
use thiserror::Error;
use toml::Value;
use tracing_subscriber::EnvFilter;

pub use self::keys::HttpConfig;
use self::keys::{DATA_DIR, KEY_FILE, LOG, PASSPHRASE_FILE, PATHS, SOCKET, Values};
pub use self::unlock::{Opener, PassphraseError};
use crate::cli::Options;
use crate::dirs::Quoted;

/// The file that every daemon of the machine reads.
const SYSTEM_FILE: &str = "/etc/chatd/chatd.toml";

/// Why the settings make no sense.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Profile or directories.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// A file that cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file that was named is not there.
    #[error("there is no file {0}; `chatd config --defaults` prints one to begin with")]
    Missing(Quoted),
    /// What was said, and where.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// What is to open the store.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
}

/// Who may say something about the settings of this process.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Command line, then environment.
    said: [Layer; 2],
    /// The passphrase is to be asked for.
    asks: bool,
    given: Given,
    system_file: PathBuf,
    named_file: Option<PathBuf>,
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// Of every daemon of the machine.
    System,
    /// Of one profile.
    User,
}

/// What counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where everything of the profile is.
    pub paths: Paths,
    /// What opens the store.
    pub opener: Opener,
    /// A private key of the first application to take over.
    pub import_key: Option<PathBuf>,
    /// What is logged, as a filter that was understood.
    pub log: String,
    /// HTTP, names in lower case.
    pub http: HttpConfig,
    /// All of it, key by key, as people are shown it.
    pub settings: Vec<Entry>,
    /// Files that were read.
    pub files: Vec<PathBuf>,
}

impl Sources {
    /// Who may say something, for a command line that was read by [`crate::cli::Cli::read`].
    #[must_use]
    pub fn new(options: &Options, matches: &ArgMatches) -> Self {
        let homes = directories::BaseDirs::new();
        let given = Given {
            profile: options.profile.clone(),
            data_dir: options.data_dir.clone(),
            socket: options.socket.clone(),
            // `su` leaves that of another user behind, and a logout one that is no more
            runtime_home: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|home| is_own_directory(home)),
            data_home: homes.as_ref().map(|homes| homes.data_dir().to_owned()),
            config_home: homes.as_ref().map(|homes| homes.config_dir().to_owned()),
            home: homes.as_ref().map(|homes| homes.home_dir().to_owned()),
        };
        Self {
            said: Layer::options::<Values>(matches, "CHATD_"),
            asks: options.passphrase,
            given,
            system_file: SYSTEM_FILE.into(),
            named_file: options.config.clone(),
        }
    }

    /// Reads the files and works out what counts.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(&self) -> Result<Config, ConfigError> {
        let (user, system) = (self.user_file()?, source(&self.system_file)?);
        let mut layers = self.said.to_vec();
        layers.extend(user.as_ref().map(|file| layer(file, Whose::User, &self.given)).transpose()?);
        layers.extend(system.as_ref().map(|file| layer(file, Whose::System, &self.given)).transpose()?);
        leave_one_opener(self.asks, &mut layers);
        let layered = settings::read(&layers.iter().collect::<Vec<_>>())?;
        let places = match &user {
            Some(user) => self.given.clone().or_in_file(&user.text)?,
            None => self.given.clone(),
        };
        let files = user.into_iter().chain(system).map(|file| file.path).collect();
        Config::new(layered, self.asks, &places, files)
    }

    /// The profile's file, or the one named instead of it, which has to be there.
    fn user_file(&self) -> Result<Option<Source>, ConfigError> {
        if let Some(named) = &self.named_file {
            return source(named)?.map(Some).ok_or_else(|| ConfigError::Missing(named.as_path().into()));
        }
        let own = self.given.config_file()?;
        Ok(own.map(|path| source(&path)).transpose()?.flatten())
    }
}

/// Reads a file, if there is one. Whoever may write it decides what the daemon does.
fn source(path: &Path) -> Result<Option<Source>, ConfigError> {
    match private::read_trusted(path, Source::MAX_BYTES) {
        Err(error) if error.is_missing() => Ok(None),
        read => Ok(Some(Source::new(path, &read?)?)),
    }
}

/// What a file says; `given` knows the home directory.
fn layer(file: &Source, whose: Whose, given: &Given) -> Result<Layer, Wrong> {
    let layer = file.layer::<Values>(|key, value| meant(key, value, whose, given))?;
    match (layer.get(KEY_FILE), layer.get(PASSPHRASE_FILE)) {
        (Some(_), Some((_, origin))) => {
            let words = format!("`{KEY_FILE}` and `{PASSPHRASE_FILE}` exclude each other");
            Err(Wrong { origin: origin.clone(), problem: Problem::Words(words) })
        }
        _ => Ok(layer),
    }
}

/// What a value of a file stands for.
fn meant(key: &Key, value: Value, whose: Whose, given: &Given) -> Result<Value, Problem> {
    if whose == Whose::System && is_place(&key.name) {
        let why = "belongs in the file of one profile: this one is read by every daemon of the machine";
        return Err(Problem::Words(format!("`{}` {why}", key.name)));
    }
    match value.as_str() {
        Some(path) if PATHS.contains(&key.name.as_str()) => {
            let whole = given.whole(&key.name, Path::new(path));
            let whole = whole.map_err(|error| Problem::Words(error.to_string()))?;
            Ok(Value::String(whole.to_string_lossy().into_owned()))
        }
        _ => Ok(value),
    }
}

/// Whether it decides where the profile lives.
fn is_place(key: &str) -> bool {
    [DATA_DIR, SOCKET].contains(&key)
}

/// One layer's word on what opens the store replaces all of the layers below; `asks` is the command line's.
fn leave_one_opener(asks: bool, layers: &mut [Layer]) {
    let opens = |layer: &Layer| [KEY_FILE, PASSPHRASE_FILE].into_iter().any(|key| layer.get(key).is_some());
    let deciding = if asks { Some(0) } else { layers.iter().position(opens).map(|at| at + 1) };
    for layer in layers.iter_mut().skip(deciding.unwrap_or(usize::MAX)) {
        layer.forget(KEY_FILE);
        layer.forget(PASSPHRASE_FILE);
    }
}

impl Config {
    /// What counts of `layered`; `places` is what was said about where the profile lives, the file included.
    fn new(layered: Layered<Values>, asks: bool, places: &Given, files: Vec<PathBuf>) -> Result<Self, ConfigError> {
        let (paths, mut values) = (places.resolve()?, layered.config);
        for names in [&mut values.http.hosts, &mut values.http.origins] {
            names.iter_mut().for_each(|name| name.make_ascii_lowercase());
        }
        let mut settings = settings::entries(&values, &layered.origins);
        let opener = match (values.passphrase_file, values.key_file) {
            _ if asks => Opener::Asking,
            (Some(path), _) => Opener::PassphraseFile(path),
            (None, path) => Opener::KeyFile(path.unwrap_or_else(|| paths.data_dir.join(unlock::KEY_NAME))),
        };
        for entry in &mut settings {
            match (entry.key.name.as_str(), &opener) {
                (DATA_DIR, _) => place(entry, &paths.data_dir, places.data_dir.is_some()),
                (SOCKET, _) => place(entry, &paths.socket, places.socket.is_some()),
                (KEY_FILE, Opener::KeyFile(path)) => entry.value = path.shown(),
                _ => {}
            }
        }
        let (import_key, log, http) = (values.import_key, values.log, values.http);
        let config = Self { paths, opener, import_key, log, http, settings, files };
        config.filter()?;
        config.http.check().map_err(|(key, why)| config.refused(key, why))?;
        Ok(config)
    }

    /// What was said about a key.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Entry> {
        self.settings.iter().find(|entry| entry.key.name == key)
    }

    /// What to log.
    ///
    /// # Errors
    /// [`Wrong`]; not for a configuration that was read.
    pub fn filter(&self) -> Result<EnvFilter, Wrong> {
        EnvFilter::try_new(&self.log).map_err(|error| self.refused(LOG, error.to_string()))
    }

    fn refused(&self, key: &str, why: String) -> Wrong {
        let origin = self.setting(key).map_or(Origin::Default, |entry| entry.origin.clone());
        Wrong { origin, problem: Problem::Refused { key: key.to_owned(), why } }
    }
}

/// Shows where it is; what the file says may not count here: see [`Given::or_in_file`].
fn place(entry: &mut Entry, path: &PathBuf, named: bool) {
    entry.value = path.shown();
    if !named {
        entry.origin = Origin::Default;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::Cli;

    /// A machine with a file for all, one for the profile, and a command line.
    struct Machine {
        dir: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn with(self, name: &str, text: &str) -> Self {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            crate::dirs::write_private(&path, text.as_bytes()).unwrap();
            self
        }

        fn read(&self, args: &[&str]) -> Result<Config, ConfigError> {
            let (cli, matches) = Cli::read(["chatd"].iter().chain(args)).unwrap();
            let mut sources = Sources::new(&cli.options, &matches);
            sources.system_file = self.path("etc.toml");
            let given = &mut sources.given;
            (given.home, given.config_home) = (Some(self.path("")), Some(self.path("config")));
            (given.data_home, given.runtime_home) = (Some(self.path("share")), Some(self.path("run")));
            sources.read()
        }

        fn origin(&self, args: &[&str], key: &str) -> Origin {
            self.read(args).unwrap().setting(key).unwrap().origin.clone()
        }
    }

    const USER: &str = "config/chatd/default.toml";

    #[test]
    fn the_command_line_counts_before_the_users_file_before_the_machines_before_the_default() {
        let machine = Machine::new();
        assert_eq!((machine.read(&[]).unwrap().log.as_str(), machine.origin(&[], LOG)), ("info", Origin::Default));
        let machine = machine.with("etc.toml", "log = \"warn\"\nhttp.hosts = [\"Chat.Example\"]\n");
        let path = machine.path("etc.toml");
        assert_eq!(machine.read(&[]).unwrap().log, "warn");
        assert_eq!(machine.origin(&[], LOG), Origin::File { path, line: 1 });
        let machine = machine.with(USER, "log = \"debug\"\n");
        let path = machine.path(USER);
        assert_eq!(machine.read(&[]).unwrap().log, "debug");
        assert_eq!(machine.origin(&[], LOG), Origin::File { path, line: 1 });
        assert_eq!(machine.read(&[]).unwrap().http.hosts, ["chat.example"]);
        assert_eq!(machine.read(&["--log", "error"]).unwrap().log, "error");
        assert_eq!(machine.origin(&["--log", "error"], LOG), Origin::CommandLine("--log".into()));
    }

    #[test]
    fn each_profile_reads_its_own_file_and_a_named_file_replaces_it() {
        let machine = Machine::new().with(USER, "log = \"debug\"").with("other.toml", "log = \"trace\"");
        assert_eq!(machine.read(&["--profile", "bot"]).unwrap().log, "info");
        let other = machine.path("other.toml");
        let config = machine.read(&["--config", other.to_str().unwrap()]).unwrap();
        assert_eq!((config.log.as_str(), config.files), ("trace", vec![other]));
        let told = machine.read(&["--config", "/nowhere.toml"]).unwrap_err().to_string();
        assert!(told.starts_with("there is no file /nowhere.toml; "), "{told}");
    }

    #[test]
    fn a_socket_in_the_file_counts_only_with_the_data_directory_it_belongs_to() {
        let machine = Machine::new().with(USER, "socket = \"~/s.sock\"");
        let path = machine.path(USER);
        assert_eq!(machine.read(&[]).unwrap().paths.socket, machine.path("s.sock"));
        assert_eq!(machine.origin(&[], SOCKET), Origin::File { path, line: 1 });
        let config = machine.read(&["--data-dir", "/srv/bot"]).unwrap();
        assert_eq!(config.paths.socket, Path::new("/srv/bot/chat.sock"));
        assert_eq!(config.setting(SOCKET).unwrap().origin, Origin::Default);
        assert_eq!(config.setting(DATA_DIR).unwrap().origin, Origin::CommandLine("--data-dir".into()));
    }

    #[test]
    fn what_opens_the_store_is_decided_by_whoever_speaks_first() {
        let machine = Machine::new();
        let own = machine.path("share/chatd/default/key");
        assert_eq!(machine.read(&[]).unwrap().opener, Opener::KeyFile(own));
        let machine = machine.with("etc.toml", "key_file = \"/stick/key\"").with(USER, "passphrase_file = \"~/p\"");
        let asked = machine.path("p");
        assert_eq!(machine.read(&[]).unwrap().opener, Opener::PassphraseFile(asked));
        assert_eq!(machine.read(&["--key-file", "/k"]).unwrap().opener, Opener::KeyFile("/k".into()));
        let asking = machine.read(&["--passphrase"]).unwrap();
        assert_eq!(asking.opener, Opener::Asking);
        for key in [KEY_FILE, PASSPHRASE_FILE] {
            assert_eq!(asking.setting(key).unwrap().value, None, "{key} does not count");
        }
    }

    #[test]
    fn a_value_that_is_refused_is_named_with_its_origin() {
        let machine = Machine::new().with(USER, "http.listen = \"0.0.0.0:80\"");
        let told = machine.read(&[]).unwrap_err().to_string();
        let begins = format!("{}, line 1: `http.listen`: 0.0.0.0:80: tokens travel", machine.path(USER).display());
        assert!(told.starts_with(&begins), "{told}");
        let told = Machine::new().read(&["--log", "=,="]).unwrap_err().to_string();
        assert!(told.starts_with("command line --log: `log`: "), "{told}");
    }
    #[test]
    fn paths_of_a_file_are_whole_or_from_home() {
        let machine = Machine::new().with(USER, "import_key = \"~/old.pem\"");
        assert_eq!(machine.read(&[]).unwrap().import_key, Some(machine.path("old.pem")));
        let told = Machine::new().with(USER, "\nkey_file = \"key\"").read(&[]).unwrap_err().to_string();
        assert!(told.contains("default.toml, line 2: `key_file` must be a whole path"), "{told}");
    }

    #[test]
    fn one_file_names_one_way_to_open_the_store() {
        let machine = Machine::new().with(USER, "key_file = \"/a\"\npassphrase_file = \"/b\"");
        let told = machine.read(&[]).unwrap_err().to_string();
        assert!(told.ends_with("line 2: `key_file` and `passphrase_file` exclude each other"), "{told}");
    }

    #[test]
    fn the_file_of_all_users_names_no_place_of_one_profile() {
        let told = Machine::new().with("etc.toml", "data_dir = \"/srv/chatd\"").read(&[]).unwrap_err().to_string();
        assert!(told.contains("etc.toml, line 1: `data_dir` belongs in the file of one profile"), "{told}");
        assert!(Machine::new().with("etc.toml", "log = \"warn\"").read(&[]).is_ok());
    }
}
