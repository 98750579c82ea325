//! What the process was told, worked out: where things are, what opens the store, what is offered to whom.
//!
//! Command line over environment over the profile's file over the machine's file over defaults, key by key.
//! [`Sources`] keeps who may say something, so that files can be read again while the daemon runs; [`Config`] is
//! what counts, each value with its origin. chatctl finds data and socket by the same rules: [`Given`] is shared.

pub mod file;
pub mod http;
pub mod keys;
pub mod layers;
pub mod show;
pub mod unlock;

use std::path::{Path, PathBuf};

use chat_programs::private::is_own_directory;
use chat_protocol::rpc::paths::{Given, Paths, PathsError};
use clap::ArgMatches;
use thiserror::Error;
use tracing_subscriber::EnvFilter;

use self::file::{FileError, Source, Whose};
pub use self::http::HttpConfig;
use self::keys::{
    DATA_DIR, HTTP_HOSTS, HTTP_LISTEN, HTTP_ORIGINS, IMPORT_KEY, KEY_FILE, KEYS, Key, LOG, PASSPHRASE_FILE,
};
use self::layers::{Layer, Origin, Value, choose, said};
pub use self::unlock::{Opener, PassphraseError};
use crate::cli::Options;
use crate::dirs::Quoted;

/// The file that every daemon of the machine reads.
const SYSTEM_FILE: &str = "/etc/chatd/chatd.toml";
/// What is logged when nobody says.
const DEFAULT_LOG: &str = "info";

/// Why the settings make no sense.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Profile or directories.
    #[error(transparent)]
    Paths(#[from] PathsError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file that was named is not there.
    #[error("there is no file {0}; `chatd config --defaults` prints one to begin with")]
    Missing(Quoted),
    /// A value that cannot be used.
    #[error("`{key}` ({origin}): {why}")]
    Value {
        /// Its key.
        key: &'static str,
        /// Who said it.
        origin: Origin,
        /// Why not.
        why: String,
    },
    /// What is to open the store.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
}

/// Who may say something about the settings of this process.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Command line, then environment.
    said: [Layer; 2],
    given: Given,
    system_file: PathBuf,
    named_file: Option<PathBuf>,
}

/// A setting with its value and where that came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Which.
    pub key: &'static Key,
    /// What counts; absent means off, or that something else takes its place.
    pub value: Option<Value>,
    /// Who said so.
    pub origin: Origin,
}

/// What counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where everything of the profile is.
    pub paths: Paths,
    /// What opens the store.
    pub opener: Opener,
    /// A private key of the first application to take over.
    pub import_key: Option<PathBuf>,
    /// What is logged, as a filter that was understood.
    pub log: String,
    /// HTTP.
    pub http: HttpConfig,
    /// All of it, key by key, as people are shown it.
    pub settings: Vec<Setting>,
    /// Files that were read.
    pub files: Vec<PathBuf>,
}

impl Sources {
    /// Who may say something, for a command line that was read by [`crate::cli::Cli::read`].
    #[must_use]
    pub fn new(options: &Options, matches: &ArgMatches) -> Self {
        let said = said(matches);
        let place = |key| said.iter().find_map(|layer| layer.path(key)).map(Path::to_owned);
        let homes = directories::BaseDirs::new();
        let given = Given {
            profile: options.profile.clone(),
            data_dir: place(&DATA_DIR),
            socket: place(&keys::SOCKET),
            // `su` leaves that of another user behind, and a logout one that is no more
            runtime_home: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|home| is_own_directory(home)),
            data_home: homes.as_ref().map(|homes| homes.data_dir().to_owned()),
            config_home: homes.as_ref().map(|homes| homes.config_dir().to_owned()),
            home: homes.as_ref().map(|homes| homes.home_dir().to_owned()),
        };
        Self { said, given, system_file: SYSTEM_FILE.into(), named_file: options.config.clone() }
    }

    /// Reads the files and works out what counts.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(&self) -> Result<Config, ConfigError> {
        let files = [self.user_file()?, Source::read(&self.system_file, Whose::System)?];
        let of_files = files.iter().flatten().map(|file| file.layer(&self.given)).collect::<Result<Vec<_>, _>>()?;
        let layers: Vec<&Layer> = self.said.iter().chain(&of_files).collect();
        let places = match &files {
            [Some(user), _] => self.given.clone().or_in_file(&user.text)?,
            _ => self.given.clone(),
        };
        let files = files.into_iter().flatten().map(|file| file.path).collect();
        Choice { layers, places: &places, paths: places.resolve()? }.config(files)
    }

    /// The profile's file, or the one named instead of it, which has to be there.
    fn user_file(&self) -> Result<Option<Source>, ConfigError> {
        if let Some(named) = &self.named_file {
            let source = Source::read(named, Whose::User)?;
            return source.map(Some).ok_or_else(|| ConfigError::Missing(named.as_path().into()));
        }
        let own = self.given.config_file()?;
        Ok(own.map(|path| Source::read(&path, Whose::User)).transpose()?.flatten())
    }
}

/// Everything said, from which each setting is chosen.
struct Choice<'l> {
    /// From the one that counts most.
    layers: Vec<&'l Layer>,
    /// What was said about where the profile lives, the file included.
    places: &'l Given,
    paths: Paths,
}

impl Choice<'_> {
    fn config(self, files: Vec<PathBuf>) -> Result<Config, ConfigError> {
        let opener = self.opener();
        let settings = KEYS.into_iter().map(|key| self.setting(key, &opener)).collect();
        let config = Config {
            opener,
            import_key: self.path(&IMPORT_KEY),
            log: self.text(&LOG).unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            http: HttpConfig {
                listen: match self.value(&HTTP_LISTEN) {
                    Some(Value::Address(address)) => Some(*address),
                    _ => None,
                },
                hosts: self.lower_case(&HTTP_HOSTS),
                origins: self.lower_case(&HTTP_ORIGINS),
            },
            settings,
            files,
            paths: self.paths,
        };
        config.check()?;
        Ok(config)
    }

    fn setting(&self, key: &'static Key, opener: &Opener) -> Setting {
        let place = |path: &PathBuf| Some(Value::Path(path.clone()));
        let (value, origin) = match (key, choose(key, &self.layers)) {
            (key, found) if key.is_place() => {
                let named = if *key == DATA_DIR { &self.places.data_dir } else { &self.places.socket };
                let path = if *key == DATA_DIR { &self.paths.data_dir } else { &self.paths.socket };
                // what the file says may not count here: see `Given::or_in_file`
                let origin = found.filter(|_| named.is_some()).map(|(_, origin)| origin.clone());
                (place(path), origin)
            }
            (_, Some((value, origin))) => (Some(value.clone()), Some(origin.clone())),
            (key, None) => (default(key, opener), None),
        };
        Setting { key, value, origin: origin.unwrap_or(Origin::Default) }
    }

    fn opener(&self) -> Opener {
        let deciding = self.layers.iter().find(|layer| layer.opens());
        if deciding.is_some_and(|layer| layer.asks()) {
            return Opener::Asking;
        }
        match self.path(&PASSPHRASE_FILE) {
            Some(path) => Opener::PassphraseFile(path),
            None => {
                let own = || self.paths.data_dir.join(unlock::KEY_NAME);
                Opener::KeyFile(self.path(&KEY_FILE).unwrap_or_else(own))
            }
        }
    }

    fn value(&self, key: &Key) -> Option<&Value> {
        choose(key, &self.layers).map(|(value, _)| value)
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        match self.value(key) {
            Some(Value::Path(path)) => Some(path.clone()),
            _ => None,
        }
    }

    fn text(&self, key: &Key) -> Option<String> {
        match self.value(key) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn lower_case(&self, key: &Key) -> Vec<String> {
        match self.value(key) {
            Some(Value::Texts(texts)) => texts.iter().map(|text| text.to_ascii_lowercase()).collect(),
            _ => Vec::new(),
        }
    }
}

/// What counts when nobody says anything, where that is a value.
fn default(key: &Key, opener: &Opener) -> Option<Value> {
    match (key, opener) {
        (key, Opener::KeyFile(path)) if *key == KEY_FILE => Some(Value::Path(path.clone())),
        (key, _) if *key == LOG => Some(Value::Text(DEFAULT_LOG.to_owned())),
        _ => None,
    }
}

impl Config {
    /// What was said about a key.
    #[must_use]
    pub fn setting(&self, key: &Key) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// What to log.
    ///
    /// # Errors
    /// [`ConfigError::Value`]; not for a configuration that was read.
    pub fn filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(&self.log).map_err(|error| self.refused(&LOG, error.to_string()))
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.filter()?;
        self.http.check().map_err(|(key, why)| self.refused(key, why))
    }

    fn refused(&self, key: &'static Key, why: String) -> ConfigError {
        let origin = self.setting(key).map_or(Origin::Default, |setting| setting.origin.clone());
        ConfigError::Value { key: key.name, origin, why }
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

        fn origin(&self, args: &[&str], key: &Key) -> Origin {
            self.read(args).unwrap().setting(key).unwrap().origin.clone()
        }
    }

    const USER: &str = "config/chatd/default.toml";

    #[test]
    fn the_command_line_counts_before_the_users_file_before_the_machines_before_the_default() {
        let machine = Machine::new();
        assert_eq!((machine.read(&[]).unwrap().log.as_str(), machine.origin(&[], &LOG)), ("info", Origin::Default));
        let machine = machine.with("etc.toml", "log = \"warn\"\nhttp.hosts = [\"Chat.Example\"]\n");
        let path = machine.path("etc.toml");
        assert_eq!(machine.read(&[]).unwrap().log, "warn");
        assert_eq!(machine.origin(&[], &LOG), Origin::SystemFile(path));
        let machine = machine.with(USER, "log = \"debug\"\n");
        let path = machine.path(USER);
        assert_eq!(machine.read(&[]).unwrap().log, "debug");
        assert_eq!(machine.origin(&[], &LOG), Origin::UserFile(path));
        assert_eq!(machine.read(&[]).unwrap().http.hosts, ["chat.example"]);
        assert_eq!(machine.read(&["--log", "error"]).unwrap().log, "error");
        assert_eq!(machine.origin(&["--log", "error"], &LOG), Origin::CommandLine("--log".into()));
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
        assert_eq!(machine.origin(&[], &keys::SOCKET), Origin::UserFile(path));
        let config = machine.read(&["--data-dir", "/srv/bot"]).unwrap();
        assert_eq!(config.paths.socket, Path::new("/srv/bot/chat.sock"));
        assert_eq!(config.setting(&keys::SOCKET).unwrap().origin, Origin::Default);
        assert_eq!(config.setting(&DATA_DIR).unwrap().origin, Origin::CommandLine("--data-dir".into()));
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
        for key in [&KEY_FILE, &PASSPHRASE_FILE] {
            assert_eq!(asking.setting(key).unwrap().value, None, "{} does not count", key.name);
        }
    }

    #[test]
    fn a_value_that_is_refused_is_named_with_its_origin() {
        let machine = Machine::new().with(USER, "http.listen = \"0.0.0.0:80\"");
        let told = machine.read(&[]).unwrap_err().to_string();
        let begins = format!("`http.listen` (file {}): 0.0.0.0:80: tokens travel", machine.path(USER).display());
        assert!(told.starts_with(&begins), "{told}");
        let told = Machine::new().read(&["--log", "=,="]).unwrap_err().to_string();
        assert!(told.starts_with("`log` (command line --log): "), "{told}");
    }
}
