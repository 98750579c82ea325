//! What a process takes of its machine.

use std::fmt;
use std::fs;
use std::path::Path;

const MIB: u64 = 1024 * 1024;

/// What a process takes of its machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Footprint {
    /// The most memory that was ever its own, in MiB.
    pub memory_mib: u64,
    /// The files of its data directory, in MiB.
    pub disk_mib: u64,
}

impl Footprint {
    /// What the process `id` took until now, and what lies in its directory.
    ///
    /// # Panics
    /// If there is no such process or directory.
    #[must_use]
    pub fn of(id: u32, data: &Path) -> Self {
        Self { memory_mib: peak(id) / MIB, disk_mib: size(data) / MIB }
    }

    /// The larger of each.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        let (memory_mib, disk_mib) = (self.memory_mib.max(other.memory_mib), self.disk_mib.max(other.disk_mib));
        Self { memory_mib, disk_mib }
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "took {} MiB of memory at most and {} MiB of disk", self.memory_mib, self.disk_mib)
    }
}

fn peak(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => meta.len(),
        // a file that goes meanwhile takes nothing
        Err(_) => 0,
    });
    sizes.sum()
}
