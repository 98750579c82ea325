//! The places on disk that must be nobody else's: the data directory, its files and its lock.
//!
//! Refuses what somebody else could have put there or could read: symbolic links, foreign owners,
//! modes open to group or others. Each refusal carries the command that mends it. Files are written whole
//! or not at all: a temporary file, synced, renamed, and the directory synced.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;
use zeroize::Zeroizing;

/// Name of the file whose lock says that a daemon is running.
const LOCK_NAME: &str = "lock";

/// Why a directory or file is not used.
#[derive(Debug, Error)]
pub enum DirError {
    /// A link could be pointed elsewhere by whoever owns it.
    #[error("{path} is a symbolic link; use what it points to, `readlink -f {path}` shows it")]
    Symlink {
        /// The link.
        path: Quoted,
    },
    /// Something else is in its place.
    #[error("{path} is not a {wanted}; move it away: `mv {path} {path}.old`")]
    WrongKind {
        /// What is there.
        path: Quoted,
        /// What should be.
        wanted: &'static str,
    },
    /// It belongs to somebody else.
    #[error("{path} belongs to user {owner}, not to you; fix it with `sudo chown {me} {path}`")]
    ForeignOwner {
        /// What is there.
        path: Quoted,
        /// Its owner's number.
        owner: u32,
        /// Who runs this.
        me: u32,
    },
    /// Others may read or write it.
    #[error("{path} is open to others (mode {mode:04o}); fix it with `chmod {wanted:o} {path}`")]
    OpenMode {
        /// What is there.
        path: Quoted,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// Far larger than what belongs there.
    #[error("{path} is larger than the {limit} bytes such a file can have")]
    TooLarge {
        /// What is there.
        path: Quoted,
        /// Most bytes.
        limit: u64,
    },
    /// Another daemon works on this data.
    #[error("another chatd{} uses {path}; stop it first, or name another --profile", holder(*.pid))]
    InUse {
        /// The data directory.
        path: Quoted,
        /// The other process, if it could be read.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: Quoted,
        /// Why not.
        source: io::Error,
    },
}

impl DirError {
    /// Whether the file is simply not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// A path that prints so that a shell takes it as one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(PathBuf);

impl From<&Path> for Quoted {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl std::fmt::Display for Quoted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.0.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,=".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            f.write_str(&text)
        } else {
            write!(f, "'{}'", text.replace('\'', r"'\''"))
        }
    }
}

/// A directory of mode 0700 that belongs to whoever runs this.
#[derive(Clone, Debug)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// Opens the directory, creating it and its parents where there is nothing.
    ///
    /// # Errors
    /// [`DirError`] for a link, a foreign owner or an open mode, with the command that mends it.
    pub fn open(path: &Path) -> Result<Self, DirError> {
        match fs::symlink_metadata(path) {
            Ok(meta) => check(path, &meta, Kind::Directory)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_dir(path)?,
            Err(source) => return Err(DirError::Io { doing: "look at", path: path.into(), source }),
        }
        Ok(Self { path: path.to_owned() })
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
        let path = self.file(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = open_checked(&path, &mut options)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(self.in_use(file)),
            Err(fs::TryLockError::Error(source)) => {
                return Err(DirError::Io { doing: "lock", path: path.as_path().into(), source });
            }
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|source| DirError::Io { doing: "write", path: path.as_path().into(), source })?;
        Ok(Lock { _file: file })
    }

    fn in_use(&self, file: File) -> DirError {
        let mut text = String::new();
        let pid = file.take(32).read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
        DirError::InUse { path: self.path.as_path().into(), pid }
    }
}

/// Holds the data directory for this process.
#[derive(Debug)]
pub struct Lock {
    // the lock ends with the open file, also when the process is killed
    _file: File,
}

/// Reads a file of mode 0600 of one's own, at most `limit` bytes.
///
/// # Errors
/// [`DirError`] for a link, a foreign owner, an open mode or a larger file.
pub fn read_private(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, DirError> {
    let file = open_checked(path, OpenOptions::new().read(true))?;
    // room for all of it at once: growing would leave copies behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or(0).saturating_add(1)));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|source| DirError::Io {
        doing: "read",
        path: path.into(),
        source,
    })?;
    if bytes.len() as u64 > limit { Err(DirError::TooLarge { path: path.into(), limit }) } else { Ok(bytes) }
}

/// Writes a file of mode 0600, whole or not at all, and durable once this returns.
///
/// # Errors
/// [`DirError::Io`]; what was there before is then still there.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DirError> {
    let fail = |doing, source| DirError::Io { doing, path: path.into(), source };
    let temporary = temporary_name(path);
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(source) = written {
        // what could not be finished is not left lying about; the first error is the one to tell
        let _ = fs::remove_file(&temporary);
        return Err(fail("write", source));
    }
    sync_parent(path).map_err(|source| fail("sync the directory of", source))
}

/// Deletes a file, and is content when there is none.
///
/// # Errors
/// [`DirError::Io`].
pub fn remove(path: &Path) -> Result<(), DirError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(DirError::Io { doing: "remove", path: path.into(), source })
        }
        _ => Ok(()),
    }
}

/// Looks whether a private file is there, refusing one that is not private.
///
/// # Errors
/// [`DirError`] as [`read_private`].
pub fn private_exists(path: &Path) -> Result<bool, DirError> {
    match open_checked(path, OpenOptions::new().read(true)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // what an interrupted writing left
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Makes renames and new files of `path`'s directory durable.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn create_dir(path: &Path) -> Result<(), DirError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path).and_then(|()| sync_parent(path));
    made.map_err(|source| DirError::Io { doing: "create", path: path.into(), source })
}

/// Opens without following a link, then looks at what was opened: there is no moment in between.
fn open_checked(path: &Path, options: &mut OpenOptions) -> Result<File, DirError> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = options.custom_flags(flags).open(path).map_err(|source| {
        if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            DirError::Symlink { path: path.into() }
        } else {
            DirError::Io { doing: "open", path: path.into(), source }
        }
    })?;
    let meta = file.metadata().map_err(|source| DirError::Io { doing: "look at", path: path.into(), source })?;
    check(path, &meta, Kind::File)?;
    Ok(file)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
}

fn check(path: &Path, meta: &Metadata, kind: Kind) -> Result<(), DirError> {
    let path = || Quoted::from(path);
    if meta.file_type().is_symlink() {
        return Err(DirError::Symlink { path: path() });
    }
    let (right, wanted, mode) = match kind {
        Kind::Directory => (meta.is_dir(), "directory", 0o700),
        Kind::File => (meta.is_file(), "file", 0o600),
    };
    if !right {
        return Err(DirError::WrongKind { path: path(), wanted });
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        return Err(DirError::ForeignOwner { path: path(), owner: meta.uid(), me });
    }
    if meta.mode() & 0o077 != 0 {
        return Err(DirError::OpenMode { path: path(), mode: meta.mode() & 0o7777, wanted: mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

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
        assert!(matches!(DataDir::open(&link), Err(DirError::Symlink { .. })));
    }

    #[test]
    fn atk_63_open_linked_and_strange_files_are_refused() {
        let (_outer, dir) = dir();
        let path = dir.file("key");
        write_private(&path, b"secret").unwrap();
        assert_eq!(&**read_private(&path, 6).unwrap(), b"secret");
        assert!(matches!(read_private(&path, 5), Err(DirError::TooLarge { .. })));

        set_mode(&path, 0o640);
        let message = read_private(&path, 6).unwrap_err().to_string();
        assert!(message.contains("fix it with `chmod 600 "), "{message}");
        set_mode(&path, 0o600);

        symlink(&path, dir.file("link")).unwrap();
        assert!(matches!(read_private(&dir.file("link"), 6), Err(DirError::Symlink { .. })));
        fs::create_dir(dir.file("sub")).unwrap();
        assert!(matches!(read_private(&dir.file("sub"), 6), Err(DirError::WrongKind { .. })));
    }

    #[test]
    fn atk_63_a_foreign_owner_is_refused() {
        let (_outer, dir) = dir();
        let path = dir.file("theirs");
        write_private(&path, b"x").unwrap();
        // only root can give files away; for anybody else the system's own files stand in
        let foreign = std::os::unix::fs::chown(&path, Some(12_345), None).is_ok();
        let path = if foreign { path } else { PathBuf::from("/etc/passwd") };
        let message = read_private(&path, 1 << 20).unwrap_err().to_string();
        assert!(message.contains("sudo chown "), "{message}");
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

    #[test]
    fn paths_in_messages_can_be_pasted() {
        assert_eq!(Quoted::from(Path::new("/a/b-c")).to_string(), "/a/b-c");
        assert_eq!(Quoted::from(Path::new("/it's here")).to_string(), r"'/it'\''s here'");
    }
}
