//! Turns an error and its causes into words for a person: one line for logs and answers, a few for a terminal.

use std::error::Error;
use std::fmt;

use chat_protocol::text::escape;

/// An error with its causes on one line: `cannot open /x: permission denied`.
pub struct Chain<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        causes(self.0).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// An error with each cause on a line of its own.
pub struct Lines<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // any of it may be words of a file or its name
        writeln!(f, "Error: {}", escape(&self.0.to_string()))?;
        causes(self.0).try_for_each(|cause| writeln!(f, "Caused by: {}", escape(&cause.to_string())))
    }
}

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'e (dyn Error + 'static)| (*cause).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_are_told_once_each() {
        let error = Outer(std::io::Error::other("it is locked"));
        assert_eq!(Chain(&error).to_string(), "cannot open the door: it is locked");
        assert_eq!(Lines(&error).to_string(), "Error: cannot open the door\nCaused by: it is locked\n");
    }

    #[test]
    fn atk_61_words_of_others_are_escaped_in_every_line_of_an_error() {
        let told = Lines(&Outer(std::io::Error::other("no \u{1b}[31mfile\nError: all is well"))).to_string();
        assert_eq!(told, "Error: cannot open the door\nCaused by: no \\u{1b}[31mfile\\nError: all is well\n");
    }
}
