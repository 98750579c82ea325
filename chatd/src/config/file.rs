//! Reads configuration files: whose they are, what they say, and in which line they are wrong.
//!
//! Refuses files that somebody else may change, and keys nobody knows. Links are followed: people keep such files
//! elsewhere. Errors name lines and keys, never values.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chat_programs::private::{self, NotPrivate, Quoted, Remedy, TooLarge};
use chat_protocol::rpc::paths::{Given, PathsError};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{KEY_FILE, Key, Kind, PASSPHRASE_FILE};
use super::layers::{Layer, Origin, Value};

/// Longest configuration file: far longer than one with every key and its comments.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a configuration file is not used.
#[derive(Debug, Error)]
pub enum FileError {
    /// It, or what it is in, cannot be used.
    #[error(transparent)]
    File(#[from] private::FileError),
    /// Whoever may write it decides what the daemon does.
    #[error("{path} can be changed by others (mode {mode:04o}); fix it with `chmod go-w {path}`")]
    Writable {
        /// The file.
        path: Quoted,
        /// Its mode.
        mode: u32,
    },
    /// It is not text.
    #[error("{path} is not UTF-8")]
    NotText {
        /// The file.
        path: Quoted,
    },
    /// What it says is wrong.
    #[error("{path}, line {line}: {problem}")]
    Wrong {
        /// The file.
        path: Quoted,
        /// Its line.
        line: usize,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong in a line.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// It is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key nobody knows.
    #[error("unknown key `{key}`; {}", advice(*.nearest))]
    Unknown {
        /// The key.
        key: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// The value is of another kind.
    #[error("`{key}` takes {wanted}")]
    Kind {
        /// The key.
        key: &'static str,
        /// What it takes.
        wanted: &'static str,
    },
    /// A path that is none.
    #[error(transparent)]
    Path(#[from] PathsError),
    /// It would be the same for everybody.
    #[error("`{key}` belongs in the file of one profile: this one is read by every daemon of the machine")]
    Shared {
        /// The key.
        key: &'static str,
    },
    /// Two ways to open the store.
    #[error("`{}` and `{}` exclude each other", KEY_FILE.name, PASSPHRASE_FILE.name)]
    Rivals,
}

fn advice(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`chatd config --defaults` lists all there are".to_owned(),
    }
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Of every daemon of the machine.
    System,
    /// Of one profile.
    User,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
    /// Whose it is.
    pub whose: Whose,
}

impl Source {
    /// Reads a file that only root and the user may change; `None` if there is none.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(path: &Path, whose: Whose) -> Result<Option<Self>, FileError> {
        let fail = |doing| private::FileError::io(doing, path);
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(fail("open"))?,
        };
        check(path, &file.metadata().map_err(fail("look at"))?)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(fail("read"))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(private::FileError::from(TooLarge { path: path.into(), limit: MAX_BYTES }).into());
        }
        let text = String::from_utf8(bytes).map_err(|_| FileError::NotText { path: path.into() })?;
        Ok(Some(Self { path: path.to_owned(), text, whose }))
    }

    /// What it says; `given` knows the home directory.
    ///
    /// # Errors
    /// [`FileError::Wrong`].
    pub fn layer(&self, given: &Given) -> Result<Layer, FileError> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.wrong(at, Problem::Syntax(error.message().to_owned()))
        })?;
        let mut layer = Layer::default();
        self.fill(&mut layer, "", table.get_ref(), given)?;
        if layer.about(&KEY_FILE).is_some() && layer.about(&PASSPHRASE_FILE).is_some() {
            return Err(self.wrong(0, Problem::Rivals));
        }
        Ok(layer)
    }

    fn fill(&self, layer: &mut Layer, table: &str, keys: &DeTable<'_>, given: &Given) -> Result<(), FileError> {
        for (key, value) in keys {
            let name = format!("{table}{}", key.get_ref());
            let wrong = |problem| self.wrong(key.span().start, problem);
            match (Key::named(&name), value.get_ref()) {
                (Some(key), value) => {
                    layer.say(key, self.value(key, value, given).map_err(wrong)?, self.origin());
                }
                (None, DeValue::Table(inner)) if is_table(&name) => {
                    self.fill(layer, &format!("{name}."), inner, given)?;
                }
                (None, _) => {
                    let nearest = Key::nearest(&name).map(|key| key.name);
                    return Err(wrong(Problem::Unknown { key: name, nearest }));
                }
            }
        }
        Ok(())
    }

    fn value(&self, key: &'static Key, value: &DeValue<'_>, given: &Given) -> Result<Value, Problem> {
        if self.whose == Whose::System && key.is_place() {
            return Err(Problem::Shared { key: key.name });
        }
        let wrong = || Problem::Kind { key: key.name, wanted: key.kind.words() };
        let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned).ok_or_else(wrong);
        match key.kind {
            Kind::Path => Ok(Value::Path(given.whole(key.name, Path::new(&text(value)?))?)),
            Kind::Text => Ok(Value::Text(text(value)?)),
            Kind::Address => text(value)?.parse().map(Value::Address).map_err(|_| wrong()),
            Kind::Texts => {
                let texts = value.as_array().ok_or_else(wrong)?.iter().map(Spanned::get_ref).map(text);
                Ok(Value::Texts(texts.collect::<Result<_, _>>()?))
            }
        }
    }

    fn origin(&self) -> Origin {
        match self.whose {
            Whose::System => Origin::SystemFile(self.path.clone()),
            Whose::User => Origin::UserFile(self.path.clone()),
        }
    }

    fn wrong(&self, at: usize, problem: Problem) -> FileError {
        let before = self.text.get(..at).unwrap_or_default();
        FileError::Wrong { path: self.path.as_path().into(), line: before.matches('\n').count() + 1, problem }
    }
}

fn is_table(name: &str) -> bool {
    super::keys::KEYS.iter().any(|key| key.name.split_once('.').is_some_and(|(table, _)| table == name))
}

/// Root could change everything else as well.
fn check(path: &Path, meta: &std::fs::Metadata) -> Result<(), FileError> {
    let path = || Quoted::from(path);
    if !meta.is_file() {
        return Err(private::FileError::from(NotPrivate::WrongKind { path: path(), wanted: "file" }).into());
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && meta.uid() != 0 {
        let remedy = Remedy::Chown(me, path());
        return Err(private::FileError::from(NotPrivate::Foreign { path: path(), owner: meta.uid(), remedy }).into());
    }
    if meta.mode() & 0o022 != 0 {
        return Err(FileError::Writable { path: path(), mode: meta.mode() & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::keys;
    use super::*;

    fn read(text: &str, whose: Whose) -> Result<Layer, String> {
        let given = Given { home: Some("/home/alice".into()), ..Given::default() };
        let source = Source { path: "/c.toml".into(), text: text.to_owned(), whose };
        source.layer(&given).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_says_what_an_option_says_and_more() {
        let text = "log = \"debug\"\nkey_file = \"~/key\"\n[http]\nlisten = \"127.0.0.1:80\"\nhosts = [\"a\", \"b\"]\n";
        let layer = read(text, Whose::User).unwrap();
        let said = |key| layer.about(key).unwrap().0.to_string();
        assert_eq!(said(&keys::LOG), "debug");
        assert_eq!(said(&keys::KEY_FILE), "/home/alice/key");
        assert_eq!((said(&keys::HTTP_LISTEN), said(&keys::HTTP_HOSTS)), ("127.0.0.1:80".into(), "a, b".into()));
    }

    #[test]
    fn a_wrong_file_is_named_with_line_key_and_what_helps() {
        let cases = [
            ("sokcet = \"/s\"", "/c.toml, line 1: unknown key `sokcet`; did you mean `socket`?"),
            ("\n[http]\n\nlisten_on = 1", "/c.toml, line 4: unknown key `http.listen_on`; did you mean `http.listen`?"),
            ("colour = 1", "/c.toml, line 1: unknown key `colour`; `chatd config --defaults` lists all there are"),
            ("http = 1", "/c.toml, line 1: unknown key `http`; `chatd config --defaults` lists all there are"),
            ("[log]\nx = 1", "/c.toml, line 1: `log` takes a text in quotes"),
            ("http.listen = 80", "/c.toml, line 1: `http.listen` takes an address with a port, in quotes"),
            ("http.hosts = [1]", "/c.toml, line 1: `http.hosts` takes a list of texts"),
            ("key_file = \"a\"\npassphrase_file = \"/b\"", "/c.toml, line 1: `key_file` must be a whole path"),
            (
                "key_file = \"/a\"\npassphrase_file = \"/b\"",
                "/c.toml, line 1: `key_file` and `passphrase_file` exclude",
            ),
            ("log = \"info\"\nlog = \"info\"", "/c.toml, line 2: duplicate key"),
        ];
        for (text, words) in cases {
            let told = read(text, Whose::User).unwrap_err();
            assert!(told.starts_with(words), "{text:?}: {told}");
        }
    }

    #[test]
    fn the_file_of_all_users_names_no_place_of_one_profile() {
        let told = read("data_dir = \"/srv/chatd\"", Whose::System).unwrap_err();
        assert!(told.contains("`data_dir` belongs in the file of one profile"), "{told}");
        assert!(read("log = \"warn\"", Whose::System).is_ok());
    }

    #[test]
    fn atk_63_a_file_that_others_may_change_is_refused_with_its_chmod() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("default.toml");
        std::fs::write(&path, "").unwrap();
        let set = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o660, 0o602, 0o666] {
            set(mode);
            let told = Source::read(&path, Whose::User).unwrap_err().to_string();
            assert!(told.ends_with(&format!("fix it with `chmod go-w {}`", path.display())), "{told}");
        }
        set(0o644);
        assert!(Source::read(&path, Whose::User).unwrap().is_some());
        assert!(Source::read(&dir.path().join("none"), Whose::User).unwrap().is_none());
        assert!(Source::read(dir.path(), Whose::User).is_err());
    }
}
