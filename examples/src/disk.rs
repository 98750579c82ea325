//! A disk of its own for a daemon's data, small enough to be filled.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

const OPTIONS: &str = "size=600m,mode=0700";
/// A volume as container engines make it.
const OPTIONS_OF_VOLUME: &str = "size=64m,mode=0755";
const BALLAST: &str = "ballast";
const TRIES: u32 = 10;

/// A mounted disk; unmounted when dropped.
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Puts one there; `None` where that is not allowed, which usually takes root.
    #[must_use]
    pub fn mount(at: &Path) -> Option<Self> {
        Self::mount_with(at, OPTIONS)
    }

    /// The same with a volume that everybody may look into.
    #[must_use]
    pub fn mount_volume(at: &Path) -> Option<Self> {
        Self::mount_with(at, OPTIONS_OF_VOLUME)
    }

    fn mount_with(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).ok()?;
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self { at: at.to_owned() })
    }

    /// From now on nobody can change what is on it.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn seal(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.at).output().expect("mount can be run");
        assert!(done.status.success(), "{done:?}");
    }

    /// Takes all room there is; whether that went well. What somebody writes meanwhile is theirs: then it is tried again.
    #[must_use]
    pub fn fill(&self) -> bool {
        let Ok(ballast) = File::create(self.at.join(BALLAST)) else { return false };
        let free = || statvfs(&self.at).map(|disk| disk.f_bavail * disk.f_frsize).unwrap_or(0);
        (0..TRIES).any(|_| fallocate(&ballast, FallocateFlags::empty(), 0, free()).is_ok())
    }

    /// Gives it back.
    pub fn empty(&self) {
        let _ = fs::remove_file(self.at.join(BALLAST));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).output();
    }
}
