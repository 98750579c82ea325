//! Where a profile's data and socket are: pure functions over given values.
//!
//! chatd and chatctl must agree, so both ask here, also about what the profile's configuration file says. Nothing
//! reads the environment or the disk: the file's text is handed in.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// Profile when none is named.
pub const DEFAULT_PROFILE: &str = "default";
/// Name of the socket in a data directory, where there is no better place for it.
pub const SOCKET_IN_DATA: &str = "chat.sock";
/// Name of the file in a data directory in which the daemon that runs there says where its socket is.
pub const SOCKET_SIGN: &str = "socket";
/// Name of the file whose lock the daemon that runs there holds; it says the number of its process.
pub const LOCK: &str = "lock";
/// Longest text of either: no path is longer.
pub const MAX_SIGN_BYTES: u64 = 4096;
/// Directory of all profiles, below the data and runtime directories.
const DIR: &str = "chatd";
/// Longest profile name: socket paths have about 108 bytes on Linux.
const MAX_PROFILE_BYTES: usize = 32;

/// What the command line, the environment and the file say, already read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `--profile`, `CHATD_PROFILE`.
    pub profile: Option<String>,
    /// `--data-dir`, `CHATD_DATA_DIR`: the profile's own directory.
    pub data_dir: Option<PathBuf>,
    /// `--socket`, `CHATD_SOCKET`.
    pub socket: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, or `~/.local/share`.
    pub data_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, or `~/.config`.
    pub config_home: Option<PathBuf>,
    /// What `~` stands for in the file.
    pub home: Option<PathBuf>,
}

/// The keys of the profile's file that say where it lives; the others are the daemon's alone.
#[derive(Debug, Default, Deserialize)]
struct Places {
    data_dir: Option<PathBuf>,
    socket: Option<PathBuf>,
}

/// Where a profile lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Name of the profile.
    pub profile: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Its socket.
    pub socket: PathBuf,
}

/// Why there is no place for a profile.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PathsError {
    /// The name could be a path, or is too long.
    #[error("profile name must be 1 to 32 letters, digits, `-` or `_`")]
    BadProfile,
    /// Neither a data directory nor a home was given.
    #[error("no home directory: name a data directory")]
    NoHome,
    /// The file is no TOML, or a place in it is no text.
    #[error("{0}")]
    File(String),
    /// It would mean something else in every directory.
    #[error("`{key}` must be a whole path, from `/` or `~/`: {path} depends on where a program was started")]
    Relative {
        /// Key of the file.
        key: String,
        /// What it says.
        path: PathBuf,
    },
}

impl Given {
    /// Where the profile's configuration file is looked for; `None` without a home.
    ///
    /// # Errors
    /// [`PathsError::BadProfile`].
    pub fn config_file(&self) -> Result<Option<PathBuf>, PathsError> {
        let profile = self.profile()?;
        let home = self.config_home.as_ref().filter(|home| home.is_absolute());
        Ok(home.map(|home| home.join(DIR).join(format!("{profile}.toml"))))
    }

    /// Adds what the text of the profile's file says and nobody said before.
    ///
    /// A socket in the file belongs to the data directory in the file, so it does not count once another one was
    /// named: two data directories never share a socket.
    ///
    /// # Errors
    /// [`PathsError::File`]; [`PathsError::Relative`].
    pub fn or_in_file(self, text: &str) -> Result<Self, PathsError> {
        let places: Places = toml::from_str(text).map_err(|error| PathsError::File(error.message().to_owned()))?;
        let whole = |key, path: Option<PathBuf>| path.map(|path| self.whole(key, &path)).transpose();
        let (data_dir, socket) = (whole("data_dir", places.data_dir)?, whole("socket", places.socket)?);
        let socket = self.socket.clone().or(socket.filter(|_| self.data_dir.is_none()));
        Ok(Self { data_dir: self.data_dir.clone().or(data_dir), socket, ..self })
    }

    /// A path of a file as it is meant: `~/` is the home directory.
    ///
    /// # Errors
    /// [`PathsError::Relative`].
    pub fn whole(&self, key: &str, path: &Path) -> Result<PathBuf, PathsError> {
        let at_home = |rest: &Path| self.home.as_ref().map(|home| home.join(rest));
        let whole = path.strip_prefix("~").map_or_else(|_| Some(path.to_owned()), at_home);
        let relative = || PathsError::Relative { key: key.to_owned(), path: path.to_owned() };
        whole.filter(|path| path.is_absolute()).ok_or_else(relative)
    }

    /// Finds the places.
    ///
    /// The socket is `--socket`; else `chat.sock` in a `--data-dir` that was named, so that two
    /// data directories never share one; else `<profile>.sock` below the runtime directory; else
    /// `chat.sock` in the data directory, never in `/tmp`.
    ///
    /// # Errors
    /// [`PathsError::BadProfile`]; [`PathsError::NoHome`].
    pub fn resolve(&self) -> Result<Paths, PathsError> {
        let profile = self.profile()?;
        let data_dir = match (&self.data_dir, &self.data_home) {
            (Some(dir), _) => dir.clone(),
            (None, Some(home)) if home.is_absolute() => home.join(DIR).join(&profile),
            _ => return Err(PathsError::NoHome),
        };
        let socket = self.socket(&profile, &data_dir);
        Ok(Paths { profile, data_dir, socket })
    }

    fn profile(&self) -> Result<String, PathsError> {
        let profile = self.profile.clone().unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        if is_profile(&profile) { Ok(profile) } else { Err(PathsError::BadProfile) }
    }

    fn socket(&self, profile: &str, data_dir: &Path) -> PathBuf {
        match (&self.socket, &self.data_dir, &self.runtime_home) {
            (Some(socket), ..) => socket.clone(),
            (None, None, Some(runtime)) if runtime.is_absolute() => runtime.join(DIR).join(format!("{profile}.sock")),
            _ => data_dir.join(SOCKET_IN_DATA),
        }
    }
}

/// The socket that the text of [`SOCKET_SIGN`] names; `None` for anything but a whole path on a line.
#[must_use]
pub fn told_socket(sign: &[u8]) -> Option<PathBuf> {
    let line = std::str::from_utf8(sign).ok()?.strip_suffix('\n')?;
    Some(PathBuf::from(line)).filter(|path| path.is_absolute() && !line.contains('\n'))
}

fn is_profile(name: &str) -> bool {
    (1..=MAX_PROFILE_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_home() -> Given {
        Given {
            runtime_home: Some("/run/user/1000".into()),
            data_home: Some("/home/alice/.local/share".into()),
            config_home: Some("/home/alice/.config".into()),
            home: Some("/home/alice".into()),
            ..Given::default()
        }
    }

    #[test]
    fn a_profile_has_its_data_and_its_socket() {
        let paths = at_home().resolve().unwrap();
        assert_eq!(paths.data_dir, Path::new("/home/alice/.local/share/chatd/default"));
        assert_eq!(paths.socket, Path::new("/run/user/1000/chatd/default.sock"));
    }

    #[test]
    fn without_a_runtime_directory_the_socket_is_with_the_data() {
        for runtime_home in [None, Some("relative".into()), Some("".into())] {
            let paths = Given { runtime_home, ..at_home() }.resolve().unwrap();
            assert_eq!(paths.socket, Path::new("/home/alice/.local/share/chatd/default/chat.sock"));
        }
    }

    #[test]
    fn a_named_data_directory_keeps_its_socket() {
        let paths = Given { data_dir: Some("/srv/bot".into()), ..at_home() }.resolve().unwrap();
        assert_eq!(paths.socket, Path::new("/srv/bot/chat.sock"));
    }

    #[test]
    fn a_sign_that_was_cut_or_says_something_else_leads_nowhere() {
        assert_eq!(
            told_socket(b"/run/user/1000/chatd/default.sock\n"),
            Some("/run/user/1000/chatd/default.sock".into())
        );
        for strange in [&b""[..], b"\n", b"/run/user", b"chat.sock\n", b"/a\n/b\n", b"/\xff\n"] {
            assert_eq!(told_socket(strange), None, "{strange:?}");
        }
    }

    #[test]
    fn a_profile_is_never_a_path() {
        for hostile in ["", "..", "a/b", "a\0b", "-\n", &"a".repeat(33)] {
            let given = Given { profile: Some(hostile.to_owned()), ..at_home() };
            assert_eq!(given.resolve(), Err(PathsError::BadProfile), "{hostile:?} was accepted");
        }
    }

    #[test]
    fn each_profile_has_a_file_of_its_own() {
        let file = |given: Given| given.config_file().unwrap();
        assert_eq!(file(at_home()), Some("/home/alice/.config/chatd/default.toml".into()));
        let bot = Given { profile: Some("bot".into()), ..at_home() };
        assert_eq!(file(bot), Some("/home/alice/.config/chatd/bot.toml".into()));
        assert_eq!(file(Given { config_home: None, ..at_home() }), None);
    }

    #[test]
    fn what_is_said_counts_before_the_file_and_the_file_before_the_default() {
        let file = "data_dir = \"~/bot\"\nsocket = \"/run/bot.sock\"\nlog = \"debug\"\n";
        let places = |given: Given| {
            let paths = given.or_in_file(file).unwrap().resolve().unwrap();
            (paths.data_dir, paths.socket)
        };
        assert_eq!(places(at_home()), ("/home/alice/bot".into(), "/run/bot.sock".into()));
        let named = Given { socket: Some("/tmp/s".into()), ..at_home() };
        assert_eq!(places(named), ("/home/alice/bot".into(), "/tmp/s".into()));
    }

    #[test]
    fn a_data_directory_that_was_named_does_not_get_the_socket_of_the_file() {
        let named = Given { data_dir: Some("/srv/other".into()), ..at_home() };
        let paths = named.or_in_file("socket = \"/run/bot.sock\"").unwrap().resolve().unwrap();
        assert_eq!(paths.socket, Path::new("/srv/other/chat.sock"));
    }

    #[test]
    fn a_place_in_the_file_means_the_same_everywhere() {
        for text in ["data_dir = \"bot\"", "socket = \"./s\"", "socket = \"~other/s\"", "socket = \"\""] {
            assert!(matches!(at_home().or_in_file(text), Err(PathsError::Relative { .. })), "{text}");
        }
        assert!(matches!(at_home().or_in_file("socket = 1"), Err(PathsError::File(_))));
        assert!(matches!(at_home().or_in_file("socket = "), Err(PathsError::File(_))));
    }
}
