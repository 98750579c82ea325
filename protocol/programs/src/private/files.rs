//! Opening and reading what was judged, with no moment in between.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Kind, NotPrivate, Quoted, Standing, judge};

/// A file that is far larger than what belongs there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path} is larger than the {limit} bytes such a file can have")]
pub struct TooLarge {
    /// What is there.
    pub path: Quoted,
    /// Most bytes.
    pub limit: u64,
}

/// Why a file is not opened, read or written.
#[derive(Debug, Error)]
pub enum FileError {
    /// It is not ours alone.
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    /// Far larger than what belongs there.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The system refused.
    #[error("cannot {doing} {}", Quoted::from(path.as_path()))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl FileError {
    /// What the system said when that was tried: `doing` stands between "cannot" and the path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    /// Whether the file is simply not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// What others may look at is used only where that is not ours to change; it is said all the same.
///
/// # Errors
/// [`NotPrivate`].
pub fn check(path: &Path, meta: &Metadata, kind: Kind) -> Result<(), NotPrivate> {
    if judge(path, meta, kind)? == Standing::Shown {
        tracing::warn!(path = %path.display(), "other users of this machine may look into this, and only root can change that");
    }
    Ok(())
}

/// Reads a secret that was handed in by its name: a link to it is followed, as secrets of containers are links.
///
/// # Errors
/// As [`read`], of what the link points to.
pub fn read_named(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    read(&path.canonicalize().map_err(FileError::io("open", path))?, limit)
}

/// Reads a private file, at most `limit` bytes.
///
/// # Errors
/// [`FileError`] for a link, a foreign owner, an open mode or a larger file.
pub fn read(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = open(path, OpenOptions::new().read(true))?;
    // room for all of it at once: growing would leave copies behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or(0).saturating_add(1)));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > limit { Err(TooLarge { path: path.into(), limit }.into()) } else { Ok(bytes) }
}

/// Makes a directory for us alone, with those above it, unless something is there already.
///
/// # Errors
/// What the system says.
pub fn make_directory(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            sync_directory_of(path)
        }
        _ => Ok(()),
    }
}

/// The directory that holds `path`.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes what was made, renamed or removed beside `path` durable.
///
/// # Errors
/// What the system says.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

/// Opens a file without following a link, and judges the one that was opened.
///
/// # Errors
/// [`FileError`].
pub fn open(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    // what is no file must not be waited for
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = options.custom_flags(flags).open(path).map_err(|source| refused(path, source))?;
    let meta = file.metadata().map_err(FileError::io("look at", path))?;
    check(path, &meta, Kind::File)?;
    Ok(file)
}

/// Whose it is says more than that it could not be opened.
fn refused(path: &Path, source: io::Error) -> FileError {
    match fs::symlink_metadata(path).map(|meta| judge(path, &meta, Kind::File)) {
        Ok(Err(not_private)) => not_private.into(),
        _ => FileError::io("open", path)(source),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_and_what_is_no_file_are_named_and_not_waited_for() {
        let room = tempfile::tempdir().unwrap();
        let named = |name: &str| room.path().join(name);
        let wrong = |name: &str| match read(&named(name), 10) {
            Err(FileError::NotPrivate(error)) => error,
            other => panic!("{name}: {other:?}"),
        };
        symlink("nowhere", named("link")).unwrap();
        assert!(matches!(wrong("link"), NotPrivate::Symlink { .. }));
        let pipe = std::process::Command::new("mkfifo").arg(named("pipe")).status().unwrap();
        assert!(pipe.success() && matches!(wrong("pipe"), NotPrivate::WrongKind { .. }));
        let missing = read(&named("none"), 10).unwrap_err();
        assert!(matches!(missing, FileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("secret");
        fs::write(&file, "ten bytes!").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(&**read(&file, 10).unwrap(), b"ten bytes!");
        let told = read(&file, 9).unwrap_err().to_string();
        assert!(told.ends_with("/secret is larger than the 9 bytes such a file can have"), "{told}");
    }
}
