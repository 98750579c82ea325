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
    /// Too easily guessed for a new one.
    #[error("the password is too short: a new one needs at least {min} bytes, this one is {0} long", min = crate::limits::MIN_NEW_PASSWORD_BYTES)]
    TooShort(usize),
    /// Longer than bcrypt reads; never truncated.
    #[error("the password is too long: at most {max} bytes are possible, this one is {0} long", max = crate::limits::MAX_PASSWORD_BYTES)]
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

    /// The check of one that is to be set, at registration or later: what an account has already may be shorter.
    ///
    /// # Errors
    /// As [`Password::new`], and if it is under 8 bytes.
    pub fn check_new(&self) -> Result<(), PasswordError> {
        self.check()?;
        match self.0.len() {
            short if short < crate::limits::MIN_NEW_PASSWORD_BYTES => Err(PasswordError::TooShort(short)),
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

    #[test]
    fn new_passwords_have_eight_bytes_and_old_ones_any_number() {
        let new = |text: &str| Password::new(text.into()).unwrap().check_new();
        assert_eq!((new("x"), new("1234567")), (Err(PasswordError::TooShort(1)), Err(PasswordError::TooShort(7))));
        assert_eq!((new("12345678"), new("ÄÖÜß")), (Ok(()), Ok(())), "bytes are counted, not letters");
    }
}
