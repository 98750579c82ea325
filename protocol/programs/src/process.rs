//! What a process asks of the system for its own protection.
//!
//! Memory holds keys and passwords: it is written to no core file and shown to no debugger of the same user. Files made
//! without saying otherwise are for their owner alone.

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Closes what can be closed, for a process that starts no other. Call it before any secret is read.
///
/// # Errors
/// What the system said; nothing should be done with secrets then.
pub fn protect() -> io::Result<()> {
    umask(Mode::from_raw_mode(0o077));
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    hide_memory()
}

/// Hides the memory of this process alone: programs that it starts inherit nothing of it.
///
/// # Errors
/// As [`protect`].
pub fn hide_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
