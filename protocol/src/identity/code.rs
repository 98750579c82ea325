//! What one person's screen shows another's camera: who an account is, and where its log stands.
//!
//! `chat-id:1:` and the base64url of `fingerprint 32 ‖ u64 seq of the head ‖ head hash 32 ‖ user name`. Nothing in it
//! is secret. It proves something only because of the way it came: from the screen of the person.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

use super::account_log::AccountLog;
use crate::ids::{Fingerprint, Head, HeadHash, Username};
use crate::limits::MAX_NUMBER;

/// How the text begins; the number is its version.
const PREFIX: &str = "chat-id:1:";

/// An account as its owner shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityCode {
    /// Name.
    pub user: Username,
    /// Who it is.
    pub fingerprint: Fingerprint,
    /// Where its log stands.
    pub head: Head,
}

/// Text that is no identity code.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CodeError {
    /// It begins in another way.
    #[error("not an identity code: those of this version begin with `{PREFIX}`")]
    Foreign,
    /// It is cut off or mistyped.
    #[error("a damaged identity code: scan or copy it again")]
    Damaged,
}

impl IdentityCode {
    /// That of an account as its log stands.
    #[must_use]
    pub fn of(log: &AccountLog) -> Self {
        Self { user: log.user().clone(), fingerprint: log.fingerprint(), head: log.head() }
    }
}

impl fmt::Display for IdentityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, fingerprint, head } = self;
        let seq = head.seq.to_be_bytes();
        let parts = [fingerprint.as_bytes().as_slice(), &seq, head.hash.as_bytes(), user.as_str().as_bytes()];
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(parts.concat()))
    }
}

impl FromStr for IdentityCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(CodeError::Foreign)?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| CodeError::Damaged)?;
        read(&bytes).ok_or(CodeError::Damaged)
    }
}

fn read(bytes: &[u8]) -> Option<IdentityCode> {
    let (fingerprint, rest) = bytes.split_first_chunk()?;
    let (seq, rest) = rest.split_first_chunk()?;
    let (hash, name) = rest.split_first_chunk()?;
    let name = std::str::from_utf8(name).ok()?;
    // one account has one code
    let user: Username = name.parse().ok().filter(|user: &Username| user.as_str() == name)?;
    let seq = Some(u64::from_be_bytes(*seq)).filter(|seq| *seq <= MAX_NUMBER)?;
    let head = Head { seq, hash: HeadHash::new(*hash) };
    Some(IdentityCode { user, fingerprint: Fingerprint::new(*fingerprint), head })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> IdentityCode {
        let head = Head { seq: 3, hash: HeadHash::new([2; 32]) };
        IdentityCode { user: "alice".parse().unwrap(), fingerprint: Fingerprint::new([1; 32]), head }
    }

    #[test]
    fn a_code_reads_back_as_shown() {
        let text = code().to_string();
        assert!(text.starts_with("chat-id:1:AQEB"), "{text}");
        assert_eq!(text.parse(), Ok(code()));
        assert_eq!(format!("{text}\n").parse(), Ok(code()));
    }

    #[test]
    fn other_texts_and_damaged_ones_are_told_apart() {
        let text = code().to_string();
        assert_eq!("chat-id:2:AQEB".parse::<IdentityCode>(), Err(CodeError::Foreign));
        assert_eq!("https://example.org".parse::<IdentityCode>(), Err(CodeError::Foreign));
        for damaged in [&text[..text.len() - 8], &text.replace("AQEB", "AQ=B"), &text.replacen("YWxpY2U", "QWxpY2U", 1)]
        {
            assert_eq!(damaged.parse::<IdentityCode>(), Err(CodeError::Damaged), "{damaged}");
        }
    }

    #[test]
    fn atk_93_a_code_with_a_head_beyond_all_numbers_is_damaged() {
        let at = |seq| IdentityCode { head: Head { seq, ..code().head }, ..code() }.to_string().parse::<IdentityCode>();
        assert!(at(MAX_NUMBER).is_ok());
        assert_eq!((at(MAX_NUMBER + 1), at(u64::MAX)), (Err(CodeError::Damaged), Err(CodeError::Damaged)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_read_as_two_accounts(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
            let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
            if let Ok(code) = text.parse::<IdentityCode>() {
                proptest::prop_assert_eq!(code.to_string(), text);
            }
        }
    }
}
