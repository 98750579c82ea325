//! Text from a file or a pipe, of at most so many bytes, and whether there is a person instead.

use std::io::{self, IsTerminal as _, Read};

/// Farthest that a text over its limit is counted: 64 MiB. What is behind may never end.
const COUNTED_BYTES: u64 = 64 * 1024 * 1024;

/// Whether a person can be asked.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Why a text cannot be used.
#[derive(Debug)]
pub(crate) enum TextError {
    /// It has so many bytes, or more where counting ended.
    TooLong(u64),
    /// It is something else.
    NotUtf8,
    /// It could not be read.
    Io(io::Error),
}

impl From<io::Error> for TextError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads to the end, into `bytes`, which only its owner can wipe. Whether it is text is asked last: a cut through the
/// middle of a character is a text that is too long, and nothing else.
///
/// # Errors
/// [`TextError`].
pub(crate) fn text(mut input: impl Read, limit: usize, bytes: &mut Vec<u8>) -> Result<&str, TextError> {
    input.by_ref().take(limit as u64 + 1).read_to_end(bytes)?;
    if bytes.len() > limit {
        let more = io::copy(&mut input.take(COUNTED_BYTES), &mut io::sink())?;
        return Err(TextError::TooLong(bytes.len() as u64 + more));
    }
    std::str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_that_wherever_it_is_cut() {
        for length in 5..12 {
            let emoji = "🦊".repeat(3);
            let read = text(emoji.as_bytes(), length, &mut Vec::new()).map(str::to_owned);
            assert!(matches!(read, Err(TextError::TooLong(12))), "{length}: {read:?}");
        }
        assert!(matches!(text("🦊🦊🦊".as_bytes(), 12, &mut Vec::new()), Ok("🦊🦊🦊")));
        assert!(matches!(text([0xff, b'a'].as_slice(), 12, &mut Vec::new()), Err(TextError::NotUtf8)));
    }

    #[test]
    fn what_never_ends_is_not_counted_to_its_end() {
        let read = text(io::repeat(b'a'), 10, &mut Vec::new()).map(str::to_owned);
        assert!(matches!(read, Err(TextError::TooLong(bytes)) if bytes == COUNTED_BYTES + 11));
    }
}
