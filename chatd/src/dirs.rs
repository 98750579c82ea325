//! The places on disk that must be nobody else's: the data directory, its files and its lock.
//!
//! Refuses what somebody else could have put there or could read: symbolic links, foreign owners,
//! modes open to group or others. Each refusal carries the command that mends it. Files are written whole
//! or not at all: a temporary file, synced, renamed, and the directory synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chat_programs::private::{self, FileError};
use chat_protocol::rpc::paths::{LOCK, MAX_SIGN_BYTES, SOCKET_SIGN, told_socket};
use thiserror::Error;
use zeroize::Zeroizing;

pub use chat_programs::private::Quoted;

/// Why a directory or file is not used.
#[derive(Debug, Error)]
pub enum DirError {
    /// A file or directory that is not ours alone, too large, or refused by the system.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another daemon works on this data.
    #[error("another chatd{} uses {path}{}; stop it first, or name another --profile", holder(*.pid), answers(.socket))]
    InUse {
        /// The data directory.
        path: Quoted,
        /// The other process, if it could be read.
        pid: Option<u32>,
        /// Where it says that it answers.
        socket: Option<Quoted>,
    },
}

impl DirError {
    /// Whether the file is simply not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(error) if error.is_missing())
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

fn answers(socket: &Option<Quoted>) -> String {
    socket.as_ref().map(|socket| format!(" and answers on {socket}")).unwrap_or_default()
}

/// A directory of mode 0700 that belongs to whoever runs this.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Opens the directory, creating it and its parents where there is nothing. From here on its path has no links in it.
    ///
    /// # Errors
    /// [`DirError`] for a link in its place, a foreign owner or an open mode, with the command that mends it.
    pub fn open(path: &Path) -> Result<Self, DirError> {
        private::make_directory(path).map_err(FileError::io("create", path))?;
        let path = private::resolved(path).map_err(FileError::io("look at", path))?;
        private::check_directory(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Takes the directory for this process until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// [`DirError::InUse`], naming the process that has it.
    pub fn lock(&self) -> Result<Lock, DirError> {
        let path = self.file(LOCK);
        let mut file = private::lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(self.in_use(file)),
            Err(fs::TryLockError::Error(error)) => return Err(FileError::io("lock", &path)(error).into()),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(FileError::io("write", &path))?;
        Ok(Lock { _file: Arc::new(file) })
    }

    /// Where the daemon that runs on this data says its socket is.
    fn told_socket(&self) -> Option<PathBuf> {
        told_socket(&read_private(&self.file(SOCKET_SIGN), MAX_SIGN_BYTES).ok()?)
    }

    fn in_use(&self, file: File) -> DirError {
        let mut text = String::new();
        let pid = file.take(32).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
        let socket = self.told_socket().map(|socket| socket.as_path().into());
        DirError::InUse { path: self.path.as_path().into(), pid, socket }
    }
}

/// Holds the data directory for this process.
#[derive(Clone, Debug)]
pub struct Lock {
    // the lock ends with the open file, also when the process is killed
    _file: Arc<File>,
}

/// Reads a secret that was handed in by its name: a link to it is followed, as secrets of containers are links.
///
/// # Errors
/// As [`read_private`], of what the link points to.
pub fn read_named(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, DirError> {
    Ok(private::read_named(path, limit)?)
}

/// Reads a private file, at most `limit` bytes.
///
/// # Errors
/// [`DirError`] for a link, a foreign owner, an open mode or a larger file.
pub fn read_private(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, DirError> {
    Ok(private::read(path, limit)?)
}

/// Writes a file of mode 0600, whole or not at all, and durable once this returns.
///
/// # Errors
/// [`DirError::File`]; what was there before is then still there.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DirError> {
    let temporary = temporary_name(path);
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // what could not be finished is not left lying about; the first error is the one to tell
        let _ = fs::remove_file(&temporary);
        return Err(FileError::io("write", path)(source).into());
    }
    Ok(private::sync_directory_of(path).map_err(FileError::io("sync the directory of", path))?)
}

/// Deletes a file, and is content when there is none.
///
/// # Errors
/// [`DirError::File`].
pub fn remove(path: &Path) -> Result<(), DirError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", path)(source).into()),
        _ => Ok(()),
    }
}

/// Looks whether a private file is there, refusing one that is not private.
///
/// # Errors
/// [`DirError`] as [`read_private`].
pub fn private_exists(path: &Path) -> Result<bool, DirError> {
    match private::open(path, OpenOptions::new().read(true)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // what an interrupted writing left
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use chat_programs::private::NotPrivate;

    use super::*;

    fn dir() -> (tempfile::TempDir, DataDir) {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("a/data")).unwrap();
        (outer, dir)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_missing_directory_is_made_for_its_owner_alone() {
        let (_outer, dir) = dir();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
        assert!(DataDir::open(dir.path()).is_ok());
    }

    #[test]
    fn atk_63_an_open_directory_is_refused_with_its_chmod() {
        let (_outer, dir) = dir();
        for mode in [0o750, 0o705, 0o777] {
            set_mode(dir.path(), mode);
            let message = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(message.ends_with(&format!("fix it with `chmod 700 {}`", dir.path().display())), "{message}");
        }
    }

    #[test]
    fn atk_63_a_linked_directory_is_refused() {
        let (outer, dir) = dir();
        let link = outer.path().join("link");
        symlink(dir.path(), &link).unwrap();
        assert!(matches!(DataDir::open(&link), Err(DirError::File(FileError::NotPrivate(NotPrivate::Symlink { .. })))));
    }

    #[test]
    fn atk_63_open_linked_and_strange_files_are_refused() {
        let (_outer, dir) = dir();
        let path = dir.file("key");
        write_private(&path, b"secret").unwrap();
        assert_eq!(&**read_private(&path, 6).unwrap(), b"secret");
        assert!(matches!(read_private(&path, 5), Err(DirError::File(FileError::TooLarge(_)))));

        set_mode(&path, 0o640);
        let message = read_private(&path, 6).unwrap_err().to_string();
        assert!(message.contains("fix it with `chmod 600 "), "{message}");
        set_mode(&path, 0o600);

        symlink(&path, dir.file("link")).unwrap();
        assert!(matches!(
            read_private(&dir.file("link"), 6),
            Err(DirError::File(FileError::NotPrivate(NotPrivate::Symlink { .. })))
        ));
        fs::create_dir(dir.file("sub")).unwrap();
        assert!(matches!(
            read_private(&dir.file("sub"), 6),
            Err(DirError::File(FileError::NotPrivate(NotPrivate::WrongKind { .. })))
        ));
    }

    #[test]
    fn atk_63_a_foreign_owner_is_refused() {
        let (_outer, dir) = dir();
        let path = dir.file("theirs");
        write_private(&path, b"x").unwrap();
        // only root can give files away; what is refused of whom else is told in `chat_programs::private`
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
            let message = read_private(&path, 1 << 20).unwrap_err().to_string();
            assert!(message.contains("sudo chown "), "{message}");
        }
    }

    #[test]
    fn a_directory_behind_a_link_is_known_by_its_own_path() {
        let (outer, dir) = dir();
        symlink("a", outer.path().join("link")).unwrap();
        let same = DataDir::open(&outer.path().join("link/data")).unwrap();
        assert_eq!(same.path(), dir.path().canonicalize().unwrap());
        assert_eq!(
            DataDir::open(&outer.path().join("link/new/one")).unwrap().path(),
            outer.path().canonicalize().unwrap().join("a/new/one")
        );
    }

    #[test]
    fn a_secret_that_is_named_may_be_a_link_to_a_private_one() {
        let (_outer, dir) = dir();
        write_private(&dir.file("..data"), b"secret").unwrap();
        symlink("..data", dir.file("secret")).unwrap();
        assert_eq!(&**read_named(&dir.file("secret"), 6).unwrap(), b"secret");
        set_mode(&dir.file("..data"), 0o644);
        assert!(matches!(
            read_named(&dir.file("secret"), 6),
            Err(DirError::File(FileError::NotPrivate(NotPrivate::Open { .. })))
        ));
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let (_outer, dir) = dir();
        let path = dir.file("key");
        write_private(&path, b"first").unwrap();
        fs::write(temporary_name(&path), b"left by a crash").unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(&**read_private(&path, 100).unwrap(), b"second");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(!temporary_name(&path).exists());
    }

    #[test]
    fn a_second_daemon_is_told_who_has_the_directory() {
        let (_outer, dir) = dir();
        let first = dir.lock().unwrap();
        match dir.lock() {
            Err(DirError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        assert!(dir.lock().is_ok());
    }
}
