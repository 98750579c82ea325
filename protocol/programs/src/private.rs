//! Whose a file or a directory is: ours alone, root's to change, or not to be used.
//!
//! Refused is what somebody else could have put there, could change or could read, with the command that mends it in this
//! very case. In a container neither mode nor owner can be changed by who needs it: a volume's own directory of mode 0755
//! and a secret of mode 0444 on a read-only mount are used, since only root could change what is in them.

mod files;
mod quoted;

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags};
use thiserror::Error;

pub use files::{
    FileError, TooLarge, bounded, check, check_directory, check_file, create_new, directory, directory_of, lock_file,
    make_directory, open, read, read_named, read_trusted, sync_directory_of,
};
pub use quoted::Quoted;

const ROOT: u32 = 0;
/// Bits that let others write.
const WRITE: u32 = 0o022;
/// Bits that let others do anything.
const ANY: u32 = 0o077;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory with private files.
    Directory,
    /// A private file.
    File,
}

/// How private what may be used is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Standing {
    /// Nobody else's in any way.
    Ours,
    /// Others may look at it; only root, or nobody, can change that. Worth a word in the log.
    Shown,
}

/// Why something is not used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotPrivate {
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
    #[error("{path} belongs to user {owner}, not to you; {remedy}")]
    Foreign {
        /// What is there.
        path: Quoted,
        /// Its owner's number.
        owner: u32,
        /// What to do.
        remedy: Remedy,
    },
    /// Others may read or write it.
    #[error("{path} is open to others (mode {mode:04o}); {remedy}")]
    Open {
        /// What is there.
        path: Quoted,
        /// Its mode.
        mode: u32,
        /// What to do.
        remedy: Remedy,
    },
    /// Others may write it.
    #[error("{path} can be changed by others (mode {mode:04o}); fix it with `chmod go-w {path}`")]
    Writable {
        /// What is there.
        path: Quoted,
        /// Its mode.
        mode: u32,
    },
}

/// What helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A mode.
    Chmod(u32, Quoted),
    /// The same, of what belongs to root.
    RootChmod(u32, Quoted),
    /// An owner.
    Chown(u32, Quoted),
    /// What root calls by accident, as with `sudo`, is the owner's to call.
    RunAs(u32),
    /// A directory within a mounted one, whose owner and mode are the mount's.
    Within(Quoted),
    /// Another mount: no mode can be changed on this one.
    Remount,
}

impl Remedy {
    /// The command; `None` where no command of this user's helps.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        match self {
            Self::Chmod(mode, path) => Some(format!("chmod {mode:o} {path}")),
            Self::RootChmod(mode, path) => Some(format!("sudo chmod {mode:o} {path}")),
            Self::Chown(owner, path) => Some(format!("sudo chown {owner} {path}")),
            Self::Within(_) | Self::Remount | Self::RunAs(_) => None,
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(path) => write!(
                f,
                "its owner and mode are those of the mount: name a directory in it that is not there yet, as in {path}"
            ),
            Self::RunAs(owner) => write!(f, "run this as that user: `sudo -u '#{owner}' ...`"),
            Self::Remount => f.write_str("no mode can be changed on a read-only mount: mount it with mode 0400"),
            _ => write!(f, "fix it with `{}`", self.command().unwrap_or_default()),
        }
    }
}

/// Judges what `meta` tells of `path`.
///
/// # Errors
/// [`NotPrivate`].
pub fn judge(path: &Path, meta: &Metadata, kind: Kind) -> Result<Standing, NotPrivate> {
    if meta.file_type().is_symlink() {
        return Err(NotPrivate::Symlink { path: path.into() });
    }
    let (right, wanted) = match kind {
        Kind::Directory => (meta.is_dir(), "directory"),
        Kind::File => (meta.is_file(), "file"),
    };
    if !right {
        return Err(NotPrivate::WrongKind { path: path.into(), wanted });
    }
    let found = Found { path, owner: meta.uid(), mode: meta.mode() & 0o7777, me: rustix::process::geteuid().as_raw() };
    match kind {
        _ if found.is_ours() => Ok(Standing::Ours),
        Kind::Directory => found.directory(&Surroundings::of_directory(path, meta)),
        Kind::File => found.file(is_read_only(path)),
    }
}

/// Judges what `meta` tells of a file that anybody may read, and whoever may write it decides what we do. Root could change
/// everything else as well.
///
/// # Errors
/// [`NotPrivate`].
pub fn judge_trusted(path: &Path, meta: &Metadata) -> Result<(), NotPrivate> {
    let me = rustix::process::geteuid().as_raw();
    if !meta.is_file() {
        return Err(NotPrivate::WrongKind { path: path.into(), wanted: "file" });
    }
    if meta.uid() != me && meta.uid() != ROOT {
        return Err(NotPrivate::Foreign {
            path: path.into(),
            owner: meta.uid(),
            remedy: Remedy::Chown(me, path.into()),
        });
    }
    if meta.mode() & WRITE != 0 {
        return Err(NotPrivate::Writable { path: path.into(), mode: meta.mode() & 0o7777 });
    }
    Ok(())
}

/// Something that is not simply ours.
struct Found<'p> {
    path: &'p Path,
    owner: u32,
    mode: u32,
    me: u32,
}

/// Where a directory is.
struct Surroundings {
    /// A volume of a container, say.
    mounted: bool,
    /// We can make something in it.
    writable: bool,
}

impl Found<'_> {
    const fn is_ours(&self) -> bool {
        self.owner == self.me && self.mode & ANY == 0
    }

    fn directory(&self, at: &Surroundings) -> Result<Standing, NotPrivate> {
        let own = self.owner == self.me;
        if at.mounted && at.writable && (own || self.owner == ROOT) && self.mode & WRITE == 0 {
            return Ok(Standing::Shown);
        }
        let path: Quoted = self.path.into();
        let remedy = match (at.mounted && at.writable, own) {
            (true, _) => self.within(),
            (false, true) => Remedy::Chmod(0o700, path.clone()),
            (false, false) if self.me == ROOT => Remedy::RunAs(self.owner),
            (false, false) => Remedy::Chown(self.me, path.clone()),
        };
        if own {
            return Err(NotPrivate::Open { path, mode: self.mode, remedy });
        }
        Err(NotPrivate::Foreign { path, owner: self.owner, remedy })
    }

    fn within(&self) -> Remedy {
        Remedy::Within(self.path.join("private").as_path().into())
    }

    fn file(&self, read_only: bool) -> Result<Standing, NotPrivate> {
        let own = self.owner == self.me;
        if !own && self.owner != ROOT {
            let remedy = Remedy::Chown(self.me, self.path.into());
            return Err(NotPrivate::Foreign { path: self.path.into(), owner: self.owner, remedy });
        }
        if self.mode & WRITE == 0 && (!own || read_only) {
            return Ok(if self.mode & ANY == 0 { Standing::Ours } else { Standing::Shown });
        }
        let remedy = match (read_only, own) {
            (true, _) => Remedy::Remount,
            (false, true) => Remedy::Chmod(0o600, self.path.into()),
            (false, false) => Remedy::RootChmod(0o600, self.path.into()),
        };
        Err(NotPrivate::Open { path: self.path.into(), mode: self.mode, remedy })
    }
}

impl Surroundings {
    fn of_directory(path: &Path, meta: &Metadata) -> Self {
        let writable = rustix::fs::accessat(CWD, path, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_ok();
        Self { mounted: is_mounted(path, meta), writable }
    }
}

/// Whether something is mounted right there.
fn is_mounted(path: &Path, meta: &Metadata) -> bool {
    // the kernel alone knows of a directory that is mounted over one of the same file system
    #[cfg(target_os = "linux")]
    if let Ok(about) = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, rustix::fs::StatxFlags::empty())
        && about.stx_attributes_mask.contains(rustix::fs::StatxAttributes::MOUNT_ROOT)
    {
        return about.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT);
    }
    std::fs::metadata(path.join("..")).is_ok_and(|above| above.dev() != meta.dev())
}

fn is_read_only(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|about| about.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether there is a directory of ours, through whatever links.
#[must_use]
pub fn is_own_directory(path: &Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    std::fs::metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == me)
}

/// The path without links on the way: they are followed once, here. A link at the very end is left for [`judge`] to refuse.
///
/// # Errors
/// What the system says about the directory that `path` is in.
pub fn resolved(path: &Path) -> io::Result<PathBuf> {
    match path.file_name() {
        Some(name) => Ok(directory_of(path).canonicalize()?.join(name)),
        None => path.canonicalize(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u32 = 1000;

    fn found(owner: u32, mode: u32) -> Found<'static> {
        Found { path: Path::new("/data"), owner, mode, me: ME }
    }

    fn directory(owner: u32, mode: u32, mounted: bool, writable: bool) -> Result<Standing, String> {
        found(owner, mode).directory(&Surroundings { mounted, writable }).map_err(|error| error.to_string())
    }

    fn file(owner: u32, mode: u32, read_only: bool) -> Result<Standing, String> {
        found(owner, mode).file(read_only).map_err(|error| error.to_string())
    }

    #[test]
    fn atk_63_a_directory_that_its_owner_can_close_has_to_be_closed() {
        for mode in [0o755, 0o750, 0o777] {
            let told = directory(ME, mode, false, true).unwrap_err();
            assert!(told.ends_with("fix it with `chmod 700 /data`"), "{told}");
        }
        let told = directory(0, 0o755, false, false).unwrap_err();
        assert!(told.ends_with("fix it with `sudo chown 1000 /data`"), "{told}");
    }

    #[test]
    fn root_is_sent_to_the_user_whose_data_it_is() {
        let found = Found { me: 0, ..found(1000, 0o700) };
        let told = found.directory(&Surroundings { mounted: false, writable: true }).unwrap_err().to_string();
        assert!(told.ends_with("run this as that user: `sudo -u '#1000' ...`"), "{told}");
    }

    #[test]
    fn a_volume_that_only_root_can_change_is_used() {
        assert_eq!(directory(ME, 0o755, true, true), Ok(Standing::Shown));
        assert_eq!(directory(0, 0o755, true, true), Ok(Standing::Shown));
    }

    #[test]
    fn a_volume_that_others_can_change_is_not_and_what_helps_can_be_done() {
        for (owner, mode) in [(ME, 0o777), (0, 0o2775), (0, 0o1777), (4711, 0o755)] {
            let told = directory(owner, mode, true, true).unwrap_err();
            assert!(!told.contains("chmod") && told.ends_with("as in /data/private"), "{told}");
        }
        let told = directory(4711, 0o755, true, false).unwrap_err();
        assert!(told.ends_with("fix it with `sudo chown 1000 /data`"), "{told}");
    }

    #[test]
    fn a_secret_that_only_root_can_change_is_used() {
        assert_eq!(file(0, 0o400, true), Ok(Standing::Ours));
        assert_eq!(file(0, 0o444, false), Ok(Standing::Shown));
        assert_eq!(file(ME, 0o444, true), Ok(Standing::Shown));
    }

    #[test]
    fn atk_63_a_secret_that_others_can_change_or_that_we_can_close_is_not() {
        let told = file(ME, 0o444, false).unwrap_err();
        assert!(told.ends_with("fix it with `chmod 600 /data`"), "{told}");
        let told = file(0, 0o666, false).unwrap_err();
        assert!(told.ends_with("fix it with `sudo chmod 600 /data`"), "{told}");
        for (owner, mode) in [(ME, 0o666), (0, 0o664)] {
            let told = file(owner, mode, true).unwrap_err();
            assert!(!told.contains("chmod"), "{told}");
        }
        assert!(file(4711, 0o400, true).unwrap_err().contains("belongs to user 4711"));
    }

    #[test]
    fn links_on_the_way_are_followed_and_one_at_the_end_is_not() {
        let room = tempfile::tempdir().unwrap();
        let real = room.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = room.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(resolved(&link.join("data")).unwrap(), real.join("data"));
        assert_eq!(resolved(&link.join("data/")).unwrap(), real.join("data"));
        assert_eq!(resolved(&link.join("..")).unwrap(), real.parent().unwrap());
        let end = resolved(&link).unwrap();
        assert!(matches!(
            judge(&end, &end.symlink_metadata().unwrap(), Kind::Directory),
            Err(NotPrivate::Symlink { .. })
        ));
    }
}
