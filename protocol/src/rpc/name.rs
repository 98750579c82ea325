//! Names that callers choose for things of theirs: consumers, namespaces, tokens.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Longest name, in bytes: it stands in command lines and metrics.
const MAX_NAME_BYTES: usize = 64;

/// 1 to 64 letters, digits, `-`, `_` and `.`; case matters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Text that is no [`Name`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a name has 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`")]
pub struct ParseNameError;

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseNameError)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_short() {
        for name in ["a", "bot-1", "ci_deploy.2", &"x".repeat(64)] {
            assert_eq!(name.parse::<Name>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for text in ["", "a b", "a/b", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(text.parse::<Name>(), Err(ParseNameError), "{text:?}");
        }
    }
}
