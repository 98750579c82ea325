//! How a command fails: words for a person, a number for a script.

use std::error::Error;
use std::fmt;

use chat_programs::private::FileError;
use chat_protocol::text::escape;

use crate::store::{Mend, StoreError};

/// What the process exits with, after sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command line is wrong.
    Usage = 64,
    /// Input or stored data is damaged or not acceptable.
    Data = 65,
    /// The database or an address is not available.
    Unavailable = 69,
    /// The server's own failure.
    Internal = 70,
    /// Something would be overwritten, or cannot be made.
    CannotCreate = 73,
    /// Reading or writing failed: a full disk, an output that nobody reads.
    Io = 74,
    /// Another server runs on this data.
    InUse = 75,
    /// A file or directory is not private.
    NotPrivate = 77,
    /// Settings are wrong, or nothing is set up yet.
    Config = 78,
}

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub exit: Exit,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
}

impl Failure {
    /// A failure that says only this.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), cause: None, hint: None }
    }

    /// Adds what it came from.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // any of it may be words of an archive, a database or a file
        writeln!(f, "Error: {}", escape(&self.message))?;
        let mut cause = self.cause.as_deref().map(|cause| cause as &dyn Error);
        let mut said = self.message.clone();
        while let Some(error) = cause {
            let words = error.to_string();
            // drivers repeat their causes in their own words
            if !said.contains(&words) {
                writeln!(f, "Caused by: {}", escape(&words))?;
            }
            (said, cause) = (words, error.source());
        }
        self.hint.iter().try_for_each(|hint| writeln!(f, "Hint: {}", escape(hint)))
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        let exit = match &error {
            missing if missing.is_missing() => Exit::Config,
            FileError::TooLarge(_) => Exit::Config,
            FileError::NotPrivate(_) => Exit::NotPrivate,
            FileError::Io { .. } => Exit::CannotCreate,
        };
        let failure = Self::new(exit, error.to_string());
        match error {
            FileError::Io { source, .. } => failure.because(source),
            _ => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Unavailable(_) => Exit::Unavailable,
            StoreError::Corrupt(_) | StoreError::Unsuitable { .. } => Exit::Data,
            StoreError::Internal(_) => Exit::Internal,
        };
        let words = error.to_string();
        match error {
            StoreError::Unavailable(cause) | StoreError::Internal(cause) => Self::new(exit, words).because(cause),
            StoreError::Corrupt(_) => Self::new(exit, words),
            StoreError::Unsuitable { mend: Mend::Statement(sql), .. } => {
                Self::new(exit, words).hint(format!("mend it with `{sql}`"))
            }
            StoreError::Unsuitable { mend: Mend::Words(what), .. } => Self::new(exit, words).hint(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_61_words_of_others_are_escaped_in_every_line_of_an_error() {
        let failure =
            Failure::new(Exit::Data, "a\u{1b}[2J").because(std::io::Error::other("b\nError: c")).hint("d\u{9b}m");
        assert_eq!(failure.to_string(), "Error: a\\u{1b}[2J\nCaused by: b\\nError: c\nHint: d\\u{9b}m\n");
    }
}
