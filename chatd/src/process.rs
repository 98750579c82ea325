//! What the process asks of the system for its own protection.
//!
//! Memory holds keys: it is written to no core file and shown to no debugger of the same user. Files made
//! without saying otherwise are for their owner alone.

use std::io;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// Closes what can be closed. Call it before any secret is read.
///
/// # Errors
/// What the system said; nothing should be done with secrets then.
pub fn protect() -> io::Result<()> {
    umask(Mode::from_raw_mode(0o077));
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
