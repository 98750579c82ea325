//! Files that are ours alone. What is a link, belongs to somebody else or is open to others is
//! refused with the command that mends it: whoever could replace `secret.key` could replace the server.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chat_programs::private::{self, FileError, Kind, NotPrivate, TooLarge, directory_of, sync_directory_of};
use tempfile::NamedTempFile;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest file read: keys and settings are far shorter.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why a file or directory is not used.
#[derive(Debug, Error)]
pub enum PrivateError {
    /// Not there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It is not ours alone.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// Far larger than what belongs there.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// It is there already and would be lost.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The system refuses.
    #[error("cannot use {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl From<FileError> for PrivateError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotPrivate(error) => Self::NotPrivate(error),
            FileError::TooLarge(error) => Self::TooLarge(error),
            FileError::Io { path, source, .. } => told(&path, source),
        }
    }
}

/// Makes the directory, mode 0700, or checks the one that is there.
///
/// # Errors
/// [`PrivateError`].
pub fn directory(path: &Path) -> Result<(), PrivateError> {
    private::make_directory(path).map_err(|error| told(path, error))?;
    check_directory(path)
}

/// Checks a directory that must be there.
///
/// # Errors
/// [`PrivateError`].
pub fn check_directory(path: &Path) -> Result<(), PrivateError> {
    let meta = fs::symlink_metadata(path).map_err(|error| told(path, error))?;
    Ok(private::check(path, &meta, Kind::Directory)?)
}

/// Checks that a file, if it is there, is ours alone.
///
/// # Errors
/// [`PrivateError`].
pub fn check_file(path: &Path) -> Result<(), PrivateError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(told(path, error)),
        Ok(meta) => Ok(private::check(path, &meta, Kind::File)?),
    }
}

/// Reads a secret that was handed in by its name: a link to it is followed, as secrets of containers are links.
///
/// # Errors
/// [`PrivateError`], of what the link points to.
pub fn read_named(path: &Path) -> Result<Zeroizing<String>, PrivateError> {
    text(path, &private::read_named(path, MAX_BYTES)?)
}

/// Reads a private file.
///
/// # Errors
/// [`PrivateError`].
pub fn read(path: &Path) -> Result<Zeroizing<String>, PrivateError> {
    text(path, &private::read(path, MAX_BYTES)?)
}

fn text(path: &Path, mut bytes: &[u8]) -> Result<Zeroizing<String>, PrivateError> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len()));
    bytes.read_to_string(&mut text).map_err(|error| told(path, error))?;
    Ok(text)
}

/// Opens a file to hold its lock, and closes one to others that an earlier version left open to them.
///
/// # Errors
/// [`PrivateError`].
pub fn lock_file(path: &Path) -> Result<File, PrivateError> {
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true).mode(0o600).custom_flags(no_follow());
    let file = options.open(path).map_err(|error| told(path, error))?;
    let meta = file.metadata().map_err(|error| told(path, error))?;
    if meta.mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| told(path, error))?;
    }
    Ok(file)
}

/// Creates a private file, durably and whole or not at all; one that exists is never touched.
///
/// # Errors
/// [`PrivateError::Exists`], or what the system says.
pub fn create(path: &Path, contents: &[u8]) -> Result<(), PrivateError> {
    // under a name of its own first: a key that was half written when the power went would stop every later start
    let written = NamedTempFile::new_in(directory_of(path)).and_then(|mut file| {
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path)?;
        sync_directory_of(path)
    });
    written.map_err(|error| told(path, error))
}

/// Puts a private file in the place of another, durably.
///
/// # Errors
/// What the system says.
pub fn replace(from: &Path, to: &Path) -> Result<(), PrivateError> {
    fs::rename(from, to).and_then(|()| sync_directory_of(to)).map_err(|error| told(to, error))
}

fn no_follow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

fn told(path: &Path, source: io::Error) -> PrivateError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => PrivateError::Missing(path),
        io::ErrorKind::AlreadyExists => PrivateError::Exists(path),
        _ => PrivateError::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn private_files_read_back_and_are_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a/b");
        directory(&home).unwrap();
        assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o700);
        let file = home.join("secret.key");
        create(&file, b"words").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(create(&file, b"others"), Err(PrivateError::Exists(_))));
        assert_eq!(*read(&file).unwrap(), "words");
        assert!(matches!(read(&home.join("none")), Err(PrivateError::Missing(_))));
    }

    #[test]
    fn a_file_that_cannot_be_made_whole_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        create(&file, b"words").unwrap();
        create(&file, b"others").unwrap_err();
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret.key"], "what was refused left nothing");
        assert!(matches!(create(&dir.path().join("none/secret.key"), b"words"), Err(PrivateError::Missing(_))));
    }

    #[test]
    fn atk_63_open_modes_are_refused_with_the_fix() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        create(&file, b"words").unwrap();
        for open in [0o640, 0o604, 0o620, 0o666] {
            mode(&file, open);
            let words = read(&file).unwrap_err().to_string();
            assert!(words.ends_with(&format!("fix it with `chmod 600 {}`", file.display())), "{words}");
        }
        mode(dir.path(), 0o750);
        let words = directory(dir.path()).unwrap_err().to_string();
        assert!(words.contains("(mode 0750)") && words.contains("`chmod 700 "), "{words}");
    }

    #[test]
    fn atk_63_links_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("real.key"), dir.path().join("secret.key"));
        create(&file, b"words").unwrap();
        symlink(&file, &link).unwrap();
        assert!(matches!(read(&link), Err(PrivateError::NotPrivate(NotPrivate::Symlink { .. }))));
        let (home, link) = (dir.path().join("home"), dir.path().join("link"));
        directory(&home).unwrap();
        symlink(&home, &link).unwrap();
        assert!(matches!(directory(&link), Err(PrivateError::NotPrivate(NotPrivate::Symlink { .. }))));
    }

    #[test]
    fn atk_63_foreign_owners_are_refused_with_the_fix() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        create(&file, b"words").unwrap();
        // without root nothing can be given away; the rule itself is told in `chat_programs::private`
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
            let words = read(&file).unwrap_err().to_string();
            assert!(words.contains("belongs to user") && words.contains("fix it with `sudo chown "), "{words}");
        }
    }

    #[test]
    fn a_lock_is_private_also_when_it_was_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.lock");
        for _ in 0..2 {
            lock_file(&file).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
            mode(&file, 0o644);
        }
    }

    #[test]
    fn a_secret_that_is_named_may_be_a_link_to_a_private_one() {
        let dir = tempfile::tempdir().unwrap();
        create(&dir.path().join("..data"), b"words").unwrap();
        symlink("..data", dir.path().join("secret")).unwrap();
        assert_eq!(*read_named(&dir.path().join("secret")).unwrap(), "words");
        mode(&dir.path().join("..data"), 0o644);
        assert!(matches!(read_named(&dir.path().join("secret")), Err(PrivateError::NotPrivate(_))));
    }
}
