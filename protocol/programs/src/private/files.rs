//! Opening and reading what was judged, with no moment in between.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{ANY, Kind, NotPrivate, Quoted, Standing, judge, judge_trusted};

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

    /// Whether something was to be made that is there already.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
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
    bounded(path, open(path, OpenOptions::new().read(true))?, limit)
}

/// Reads a file that only root and we may change, at most `limit` bytes. Links are followed: people keep such files
/// elsewhere.
///
/// # Errors
/// [`FileError`] for a foreign owner, a mode that lets others write, or a larger file.
pub fn read_trusted(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    judge_trusted(path, &file.metadata().map_err(FileError::io("look at", path))?)?;
    bounded(path, file, limit)
}

/// Reads a file that was opened, at most `limit` bytes.
///
/// # Errors
/// [`FileError`] for a larger file, or what the system says.
pub fn bounded(path: &Path, file: File, limit: u64) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // room for all of it at once: growing would leave copies behind
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(limit).unwrap_or(0).saturating_add(1)));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
    if bytes.len() as u64 > limit { Err(TooLarge { path: path.into(), limit }.into()) } else { Ok(bytes) }
}

/// Makes a new file of mode 0600 to be written.
///
/// # Errors
/// What the system says, also that something is there already.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
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

/// Makes a directory for us alone, with those above it, or checks the one that is there.
///
/// # Errors
/// [`FileError`] for a link in its place, a foreign owner or an open mode.
pub fn directory(path: &Path) -> Result<(), FileError> {
    make_directory(path).map_err(FileError::io("create", path))?;
    check_directory(path)
}

/// Checks a directory that must be there.
///
/// # Errors
/// As [`directory`].
pub fn check_directory(path: &Path) -> Result<(), FileError> {
    let meta = fs::symlink_metadata(path).map_err(FileError::io("look at", path))?;
    Ok(check(path, &meta, Kind::Directory)?)
}

/// Checks that a file, if it is there, is ours alone.
///
/// # Errors
/// [`FileError`] for a link, a foreign owner or an open mode.
pub fn check_file(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        looked => Ok(check(path, &looked.map_err(FileError::io("look at", path))?, Kind::File)?),
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
    let file = open_unjudged(path, options)?;
    judged(path, file)
}

/// Opens or makes a file to hold its lock and to say who does. One of ours that is open to others is closed to them.
///
/// # Errors
/// [`FileError`].
pub fn lock_file(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    let file = open_unjudged(path, options.read(true).write(true).create(true).truncate(false).mode(0o600))?;
    let meta = file.metadata().map_err(FileError::io("look at", path))?;
    if meta.is_file() && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & ANY != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(FileError::io("change the mode of", path))?;
    }
    judged(path, file)
}

fn open_unjudged(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    // what is no file must not be waited for
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    options.custom_flags(flags).open(path).map_err(|source| refused(path, source))
}

fn judged(path: &Path, file: File) -> Result<File, FileError> {
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
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn atk_63_open_and_linked_directories_are_refused_with_the_fix() {
        let room = tempfile::tempdir().unwrap();
        let home = room.path().join("a/b");
        directory(&home).unwrap();
        assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o700);
        mode(&home, 0o750);
        let told = directory(&home).unwrap_err().to_string();
        assert!(told.contains("(mode 0750)") && told.contains("`chmod 700 "), "{told}");
        symlink(&home, room.path().join("link")).unwrap();
        let linked = directory(&room.path().join("link")).unwrap_err();
        assert!(matches!(linked, FileError::NotPrivate(NotPrivate::Symlink { .. })), "{linked}");
        assert!(check_directory(&room.path().join("none")).unwrap_err().is_missing());
    }

    #[test]
    fn atk_63_a_file_that_may_be_missing_may_not_be_open() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("secret");
        check_file(&file).unwrap();
        fs::write(&file, "words").unwrap();
        mode(&file, 0o640);
        let told = check_file(&file).unwrap_err().to_string();
        assert!(told.ends_with(&format!("fix it with `chmod 600 {}`", file.display())), "{told}");
    }

    #[test]
    fn a_lock_is_private_also_when_it_was_not_and_never_a_link() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("lock");
        for _ in 0..2 {
            lock_file(&file).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
            mode(&file, 0o644);
        }
        symlink(&file, room.path().join("link")).unwrap();
        let linked = lock_file(&room.path().join("link")).unwrap_err();
        assert!(matches!(linked, FileError::NotPrivate(NotPrivate::Symlink { .. })), "{linked}");
    }

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
    fn atk_63_what_others_may_change_is_not_trusted_and_told_its_chmod() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("default.toml");
        fs::write(&path, "text").unwrap();
        let set = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        for mode in [0o660, 0o602, 0o666] {
            set(mode);
            let told = read_trusted(&path, 9).unwrap_err().to_string();
            assert!(told.ends_with(&format!("fix it with `chmod go-w {}`", path.display())), "{told}");
        }
        set(0o644);
        symlink("default.toml", room.path().join("link")).unwrap();
        assert_eq!(&**read_trusted(&room.path().join("link"), 9).unwrap(), b"text");
        assert!(read_trusted(&room.path().join("none"), 9).unwrap_err().is_missing());
        assert!(matches!(read_trusted(&path, 3), Err(FileError::TooLarge(_))));
        assert!(matches!(read_trusted(room.path(), 9), Err(FileError::NotPrivate(NotPrivate::WrongKind { .. }))));
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
