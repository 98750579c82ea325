//! Files and directories that are named on a command line, where `-` names none.

use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};

/// What stands for standard input or output wherever one of them can be meant.
pub const STANDARD: &str = "-";

/// Whether a file that was named is standard input, or standard output.
#[must_use]
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// Reads a path where neither standard input nor output can be meant: `-` is refused instead of becoming a file.
#[must_use]
pub fn named() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        let words = "standard input and output do not go here; a file of that name is ./-";
        if is_standard(&path) { Err(words) } else { Ok(path) }
    })
}
