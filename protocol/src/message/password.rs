//! A password on its way to the server: whole or not at all, and never printed.

use std::fmt;

use minicbor::{CborLen, Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A password as typed: at most 71 bytes, no NUL. Never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Encode, Decode, CborLen, Zeroize, ZeroizeOnDrop)]
#[cbor(transparent)]
pub struct Password(#[n(0)] String);

/// A password bcrypt could not take whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing was given.
    #[error("the password is empty")]
    Empty,
    /// Longer than bcrypt reads; never truncated.
    #[error("the password has {0} bytes, at most {max} are possible", max = crate::limits::MAX_PASSWORD_BYTES)]
    TooLong(usize),
    /// bcrypt would stop reading at it.
    #[error("the password contains a NUL byte")]
    Nul,
}

impl Password {
    /// Checks and takes a password.
    ///
    /// # Errors
    /// [`PasswordError`] if it is empty, over 71 bytes, or contains NUL.
    pub fn new(text: String) -> Result<Self, PasswordError> {
        let password = Self(text);
        password.check()?;
        Ok(password)
    }

    /// The same check for one that came from the wire.
    ///
    /// # Errors
    /// As [`Password::new`].
    pub fn check(&self) -> Result<(), PasswordError> {
        match self.0.as_bytes() {
            [] => Err(PasswordError::Empty),
            bytes if bytes.len() > crate::limits::MAX_PASSWORD_BYTES => Err(PasswordError::TooLong(bytes.len())),
            bytes if bytes.contains(&0) => Err(PasswordError::Nul),
            _ => Ok(()),
        }
    }

    /// The bytes, for the hash.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_62_passwords_do_not_print() {
        let password = Password::new("correct horse".into()).unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    #[test]
    fn atk_18_passwords_bcrypt_would_cut_are_refused() {
        assert!(Password::new("a".repeat(71)).is_ok());
        for len in [72, 73, 200] {
            assert_eq!(Password::new("a".repeat(len)), Err(PasswordError::TooLong(len)));
        }
        assert_eq!(Password::new("a\0b".into()), Err(PasswordError::Nul));
        assert_eq!(Password::new(String::new()), Err(PasswordError::Empty));
    }
}
