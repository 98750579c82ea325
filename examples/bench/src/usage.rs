//! What processes use: CPU and memory.

use std::fs;

use nix::time::ClockId;
use nix::unistd::Pid;

/// The processes of the server under test.
#[derive(Debug)]
pub(crate) struct Processes(pub(crate) Vec<i32>);

impl Processes {
    /// CPU seconds used so far, user and system, all threads, in nanoseconds' resolution; a process that ended counts 0.
    pub(crate) fn cpu(&self) -> f64 {
        self.0.iter().filter_map(|pid| ClockId::pid_cpu_clock_id(Pid::from_raw(*pid)).ok()).map(seconds).sum()
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        self.0.iter().map(|pid| resident(*pid)).sum()
    }
}

/// CPU seconds this process used so far.
pub(crate) fn own_cpu() -> f64 {
    seconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Nanoseconds on a clock that only goes forward, the same for all of this process.
pub(crate) fn now() -> u64 {
    let time = ClockId::CLOCK_MONOTONIC
        .now()
        .map_or(0, |time| i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()));
    u64::try_from(time).unwrap_or(0)
}

fn seconds(clock: ClockId) -> f64 {
    clock.now().map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9)
}

fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
