//! The data directory of a server and what is in it: keys, settings, the way to the database.

use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_programs::private::{self, FileError};
use chat_programs::settings::{self, Layer, Layered, Origin, Problem, RawSetting, Source, Wrong};
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::rsa::VerifyingKey;
use chat_protocol::handshake::ServerKey;
use chat_protocol::message::Blob;
use chat_protocol::message::server::NextKeyProof;
use chat_protocol::offline_key::OfflineKey;
use zeroize::Zeroizing;

use super::output::{Done, talk};
use super::seed;
use crate::cli::Place;
use crate::config::{Config, DATABASE_FILE, ENV_PREFIX, NOT_SETTINGS};
use crate::failure::{Exit, Failure};
use crate::private::{create, read, read_named};
use crate::serve::Keys;
use crate::store::{self, DatabaseUrl, ESCAPES, Opened, StoreError};

/// Key that clients pin; one line of base64url.
pub(super) const SERVER_KEY: &str = "server.key";
/// Key every member knows; the 44 characters of the first application.
pub(super) const SECRET_KEY: &str = "secret.key";
/// The server key that will replace the present one; only while clients move over.
pub(super) const NEXT_KEY: &str = "server.key.next";
/// That the offline key vouches for the next one: its signature, base64url.
pub(super) const NEXT_PROOF: &str = "server.key.next.proof";
/// The public half of the offline key, SPKI as base64url; only if there is one.
pub(super) const OFFLINE_PUBLIC: &str = "offline.pub";
/// Settings.
pub(super) const SETTINGS: &str = "server.toml";
/// The embedded database.
const DATABASE: &str = "chat.db";

/// A data directory, and what the command line says on top of it.
pub(super) struct Home {
    pub(super) dir: PathBuf,
    pub(super) json: bool,
    sets: Vec<String>,
    /// Options that say what a setting can say, and go before those.
    options: Layer,
    password_in_arguments: bool,
}

impl Home {
    pub(super) fn new(place: Place) -> Result<Self, Failure> {
        let dir = place.data.or_else(default_dir).ok_or_else(|| {
            Failure::new(Exit::Config, "there is no home directory to keep data in")
                .hint("name a directory: `--data DIR`")
        })?;
        let given = place.database.as_deref().map(str::parse::<DatabaseUrl>).transpose();
        let given = given.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let mut options = Layer::default();
        say(&mut options, "database", place.database);
        // given by its variable it is a setting of that layer
        let by_variable = |log: &String| std::env::var("CHAT_SERVER_LOG").is_ok_and(|variable| variable == *log);
        say(&mut options, "log", place.log.filter(|log| !by_variable(log)));
        let password_in_arguments = given.is_some_and(|url| url.has_password());
        Ok(Self { dir, json: place.json, sets: place.set, options, password_in_arguments })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The settings, with these of the command line on top.
    pub(super) fn config(&self, more: &Layer) -> Result<Config, Failure> {
        self.layered(more).map(|layered| layered.config)
    }

    /// The settings, those of `otherwise` if there is no file of them.
    pub(super) fn config_or(&self, otherwise: &str) -> Result<Config, Failure> {
        self.read(otherwise, &Layer::default()).map(|layered| layered.config)
    }

    /// The settings, with the origin of each.
    pub(super) fn layered(&self, more: &Layer) -> Result<Layered<Config>, Failure> {
        self.read("", more)
    }

    fn read(&self, otherwise: &str, more: &Layer) -> Result<Layered<Config>, Failure> {
        let path = self.path(SETTINGS);
        let file = source(&path, otherwise)?.layer::<Config>(|_, value| Ok(value)).map_err(wrong)?;
        let of_file = settings::read::<Config>(&[&file]).map_err(wrong)?.config;
        if of_file.database.is_some_and(|url| url.has_password()) {
            private::check_file(&path)?;
        }
        let (environment, sets) = (environment()?, Layer::pairs::<Config>(&self.sets).map_err(wrong)?);
        let layered = settings::read::<Config>(&[more, &self.options, &sets, &environment, &file]).map_err(wrong)?;
        layered.config.check().map_err(|(key, why)| {
            let origin = layered.origins.get(key).cloned().unwrap_or_default();
            wrong(Wrong { origin, problem: Problem::Refused { key: key.to_owned(), why } })
        })?;
        Ok(layered)
    }

    /// Fails with what to do when `init` was not run here: nothing is made of a name that was mistyped.
    pub(super) fn server(&self) -> Done {
        let missing = [SERVER_KEY, SECRET_KEY].iter().any(|name| !self.path(name).exists());
        if missing {
            let words = format!("there is no server in {}", self.dir.display());
            let hint = format!("set a server up first: `chat-server init --data {}`", self.dir.display());
            return Err(Failure::new(Exit::Config, words).hint(hint));
        }
        Ok(())
    }

    /// The keys of the server that is here.
    pub(super) fn keys(&self) -> Result<Keys, Failure> {
        self.server()?;
        private::check_directory(&self.dir)?;
        let next = self.path(NEXT_KEY);
        let next = if next.exists() { Some(read_server_key(&next)?) } else { None };
        let offline = self.read_public(OFFLINE_PUBLIC)?;
        let signature = self.read_public(NEXT_PROOF)?.filter(|_| next.is_some());
        let proof = offline.as_ref().zip(signature);
        let key = |spki: &Vec<u8>| {
            let key = VerifyingKey::from_spki(spki).map_err(|error| damaged(&self.path(OFFLINE_PUBLIC), error));
            key.map(|key| OfflineKey::of(&key))
        };
        Ok(Keys {
            server: read_server_key(&self.path(SERVER_KEY))?,
            next,
            next_proof: proof
                .map(|(key, signature)| NextKeyProof { key: Blob(key.clone()), signature: Blob(signature) }),
            offline: offline.as_ref().map(key).transpose()?,
            secret: read_secret(&self.path(SECRET_KEY))?,
        })
    }

    /// What a line of base64url holds; `None` if the file is not there.
    fn read_public(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(name);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text(&path, read(&path)?)?.trim());
        bytes.map(Some).map_err(|error| damaged(&path, error))
    }

    /// Opens the database the settings name.
    pub(super) async fn open(&self, config: &Config) -> Result<Opened, Failure> {
        let url = self.checked_database(config)?;
        let opened = store::open(&url).await.map_err(|error| unopened(&url, error))?;
        tracing::info!(database = %url, applied = opened.applied.len(), "database open");
        Ok(opened)
    }

    /// The database the settings name, private if it is a file.
    pub(super) fn checked_database(&self, config: &Config) -> Result<DatabaseUrl, Failure> {
        if self.password_in_arguments {
            talk("Warning: every user of this machine can read the password in `--database`; put it in server.toml");
        }
        let url = self.database(config)?;
        if let DatabaseUrl::Sqlite(file) = &url {
            private::directory(&self.dir)?;
            private::check_file(file)?;
        }
        Ok(url)
    }

    /// Settings first, then the variables of the first application, then a file of our own.
    pub(super) fn database(&self, config: &Config) -> Result<DatabaseUrl, Failure> {
        if let Some(url) = &config.database {
            return Ok(url.clone().inside(&self.dir));
        }
        let adopted = DatabaseUrl::from_seed(seed::variables(&self.dir)?);
        let adopted = adopted.map_err(|error| {
            Failure::new(Exit::Config, error.to_string())
                .hint("set DB_HOST, DB_USER, DB_PASSWORD and DB_NAME, or `--database`")
        })?;
        Ok(adopted.unwrap_or_else(|| DatabaseUrl::Sqlite(self.path(DATABASE))))
    }
}

fn unopened(url: &DatabaseUrl, error: StoreError) -> Failure {
    let hint = match &error {
        StoreError::Unsuitable { .. } => return error.into(),
        error if store::mysql::is_nowhere(error) => {
            let name = url.name().unwrap_or_default().replace('`', "``");
            format!(
                "make it with `CREATE DATABASE `{name}` CHARACTER SET utf8mb4;`, or see that {url} names the right one"
            )
        }
        error if store::mysql::is_shut(error) => {
            format!("the database is {url}: see that its user, password and rights are right; in a URL, {ESCAPES}")
        }
        _ => format!("the database is {url}; another one is named with `--database`"),
    };
    Failure::from(error).hint(hint)
}

fn default_dir() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|base| base.data_dir().join("chat-server"))
}

/// Says what an option says of the setting of the same name.
pub(super) fn say(layer: &mut Layer, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        layer.set(name, RawSetting::Text(value.to_string().into()), Origin::CommandLine(format!("--{name}")));
    }
}

fn source(path: &Path, otherwise: &str) -> Result<Source, Failure> {
    // who else may change it does not matter: nobody else comes into the directory
    let opened = File::open(path).map_err(FileError::io("open", path));
    match opened.and_then(|file| private::bounded(path, file, Source::MAX_BYTES)) {
        Err(error) if error.is_missing() => Source::new(path, otherwise.as_bytes()).map_err(wrong),
        Err(error) => {
            let words = error.to_string();
            Err(Failure::new(Exit::Config, words).because(error))
        }
        Ok(bytes) => Source::new(path, &bytes).map_err(wrong),
    }
}

fn wrong(wrong: Wrong) -> Failure {
    let failure = Failure::new(Exit::Config, wrong.to_string());
    match wrong.problem {
        Problem::Unknown { .. } => failure,
        _ => failure.hint("what every setting takes: `chat-server config --defaults`"),
    }
}

/// The environment, with the database out of the file that it may name; a variable that says it itself goes before.
fn environment() -> Result<Layer, Failure> {
    let mut layer = Layer::environment::<Config>(ENV_PREFIX, std::env::vars_os(), &NOT_SETTINGS).map_err(wrong)?;
    let name = format!("{ENV_PREFIX}{DATABASE_FILE}");
    if let Some(path) = std::env::var_os(&name) {
        let url = credential(Path::new(&path))?;
        if layer.get("database").is_none() {
            layer.set("database", RawSetting::Text(url.trim().into()), Origin::Environment(name));
        }
    }
    Ok(layer)
}

/// A private file; or one of the service manager's, which belongs to root and is readable to us by an access list.
fn credential(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let handed = std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|dir| path.starts_with(dir));
    if !handed {
        return text(path, read_named(path)?);
    }
    let read = std::fs::read_to_string(path).map(Zeroizing::new);
    read.map_err(|error| Failure::new(Exit::Config, format!("cannot read {}", path.display())).because(error))
}

fn read_server_key(path: &Path) -> Result<ServerKey, Failure> {
    let text = text(path, read(path)?)?;
    ServerKey::from_text(&text).map_err(|error| damaged(path, error))
}

pub(super) fn read_secret(path: &Path) -> Result<FernetKey, Failure> {
    let text = text(path, read(path)?)?;
    FernetKey::from_base64(text.trim().as_bytes()).map_err(|error| damaged(path, error))
}

fn text(path: &Path, mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Failure> {
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        Failure::new(Exit::Data, format!("{} is not UTF-8", path.display()))
    })
}

fn damaged(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::new(Exit::Data, format!("{} is damaged", path.display()))
        .because(error)
        .hint("restore it from a backup: with another key, every client takes this for another server")
}

/// Held while a server runs on the directory.
pub(super) fn lock(dir: &Path) -> Result<std::fs::File, Failure> {
    let file = private::lock_file(&dir.join("server.lock"))?;
    file.try_lock().map_err(|_| {
        let words = format!("another chat-server runs on {}", dir.display());
        Failure::new(Exit::InUse, words).hint("stop it first, or name another directory: `--data DIR`")
    })?;
    Ok(file)
}

/// Creates what is missing and tells whether it was; a file that is there must be right.
pub(super) fn create_or_check(path: &Path, contents: &str, check: impl FnOnce(&Path) -> Done) -> Result<bool, Failure> {
    match create(path, contents.as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.is_there() => check(path).map(|()| false),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn check_server_key(path: &Path) -> Done {
    read_server_key(path).map(drop)
}
