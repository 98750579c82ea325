//! Where a profile's data and socket are: pure functions over given values.
//!
//! chatd and chatctl must agree, so both ask here. Nothing reads the environment or the disk.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Profile when none is named.
pub const DEFAULT_PROFILE: &str = "default";
/// Directory of all profiles, below the data and runtime directories.
const DIR: &str = "chatd";
/// Longest profile name: socket paths have about 108 bytes on Linux.
const MAX_PROFILE_BYTES: usize = 32;

/// What the command line and the environment say, already read.
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
}

impl Given {
    /// Finds the places.
    ///
    /// The socket is `--socket`; else `chat.sock` in a `--data-dir` that was named, so that two
    /// data directories never share one; else `<profile>.sock` below the runtime directory; else
    /// `chat.sock` in the data directory, never in `/tmp`.
    ///
    /// # Errors
    /// [`PathsError::BadProfile`]; [`PathsError::NoHome`].
    pub fn resolve(&self) -> Result<Paths, PathsError> {
        let profile = self.profile.clone().unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        if !is_profile(&profile) {
            return Err(PathsError::BadProfile);
        }
        let data_dir = match (&self.data_dir, &self.data_home) {
            (Some(dir), _) => dir.clone(),
            (None, Some(home)) if home.is_absolute() => home.join(DIR).join(&profile),
            _ => return Err(PathsError::NoHome),
        };
        let socket = self.socket(&profile, &data_dir);
        Ok(Paths { profile, data_dir, socket })
    }

    fn socket(&self, profile: &str, data_dir: &Path) -> PathBuf {
        match (&self.socket, &self.data_dir, &self.runtime_home) {
            (Some(socket), ..) => socket.clone(),
            (None, None, Some(runtime)) if runtime.is_absolute() => runtime.join(DIR).join(format!("{profile}.sock")),
            _ => data_dir.join("chat.sock"),
        }
    }
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
    fn a_profile_is_never_a_path() {
        for hostile in ["", "..", "a/b", "a\0b", "-\n", &"a".repeat(33)] {
            let given = Given { profile: Some(hostile.to_owned()), ..at_home() };
            assert_eq!(given.resolve(), Err(PathsError::BadProfile), "{hostile:?} was accepted");
        }
    }
}
