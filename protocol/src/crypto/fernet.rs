//! The only door to the `fernet` crate.
//!
//! A token's timestamp is always 0 and must be 0: with real times a skewed clock would lose
//! messages, and `decrypt_with_ttl` of the crate panics on the largest one. The crate takes base64 in
//! more forms than one; only the canonical one is opened here. Tokens never identify anything.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use rand::CryptoRng;
use thiserror::Error;

use super::secret::SecretBytes;

/// Refuses every timestamp the crate could overflow on.
const LATEST: u64 = u64::MAX - 60;
/// Version byte, timestamp, IV, one block and the MAC: the shortest token there is.
const MIN_TOKEN_BYTES: usize = 1 + 8 + 16 + 16 + 32;
/// Everything of a token but its ciphertext.
const OVERHEAD_BYTES: usize = MIN_TOKEN_BYTES - 16;

/// A token that did not open: wrong key, changed, or not a token. Says no more, on purpose.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("token does not open")]
pub struct OpenError;

/// Text that is not a Fernet key: 44 characters of URL-safe base64, padded.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a Fernet key: expected 44 characters of URL-safe base64")]
pub struct KeyError;

/// A Fernet key: 16 bytes that sign, 16 that encrypt. The cipher is set up once per key.
#[derive(Clone)]
pub struct FernetKey {
    bytes: SecretBytes<32>,
    cipher: fernet::Fernet,
}

impl FernetKey {
    /// Draws a fresh key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self::from_bytes(bytes)
    }

    /// From the 32 raw bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        #[expect(clippy::expect_used, reason = "32 bytes in base64 are what the crate wants")]
        let cipher = fernet::Fernet::new(&URL_SAFE.encode(bytes)).expect("a key of 32 bytes");
        Self { bytes: SecretBytes::new(bytes), cipher }
    }

    /// From the 44 characters of the seed's `secret.key`, canonical base64 only.
    ///
    /// # Errors
    /// [`KeyError`] for anything else.
    pub fn from_base64(text: &[u8]) -> Result<Self, KeyError> {
        let bytes = URL_SAFE.decode(text).map_err(|_| KeyError)?;
        bytes.try_into().map(Self::from_bytes).map_err(|_| KeyError)
    }

    /// The 44 characters of the seed's format.
    #[must_use]
    pub fn to_base64(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(URL_SAFE.encode(self.bytes.expose()))
    }

    /// The raw bytes, for key derivation.
    #[must_use]
    pub const fn bytes(&self) -> &SecretBytes<32> {
        &self.bytes
    }

    /// Seals `plaintext` into token text (with `=`). The IV is drawn by the crate from the OS.
    #[must_use]
    pub fn seal(&self, plaintext: &[u8]) -> String {
        #[expect(clippy::disallowed_methods, reason = "this is the door")]
        self.cipher.encrypt_at_time(plaintext, 0)
    }

    /// Opens token text.
    ///
    /// # Errors
    /// [`OpenError`], the same for every cause.
    pub fn open(&self, token: &str) -> Result<Vec<u8>, OpenError> {
        check_shape(token)?;
        #[expect(clippy::disallowed_methods, reason = "this is the door")]
        self.cipher.decrypt_at_time(token, None, LATEST).map_err(|_| OpenError)
    }

    /// Seals into the token's raw bytes, for a token carried inside another.
    #[must_use]
    pub fn seal_raw(&self, plaintext: &[u8]) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "the crate has just written this base64")]
        URL_SAFE.decode(self.seal(plaintext)).expect("a token")
    }

    /// Opens a token's raw bytes, after writing them in base64 the one canonical way.
    ///
    /// # Errors
    /// [`OpenError`], the same for every cause.
    pub fn open_raw(&self, token: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.open(&URL_SAFE.encode(token))
    }
}

impl fmt::Debug for FernetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FernetKey(..)")
    }
}

/// Length in bytes of the raw token over `plaintext` bytes: header, PKCS#7 to whole blocks, MAC.
#[must_use]
pub const fn raw_token_len(plaintext: usize) -> usize {
    OVERHEAD_BYTES + (plaintext / 16 + 1) * 16
}

/// Version, zero timestamp, whole blocks and the one canonical base64, checked before the crate sees the token.
fn check_shape(token: &str) -> Result<(), OpenError> {
    let text = token.as_bytes();
    let (head, tail) = (text.first_chunk::<12>().ok_or(OpenError)?, text.last_chunk::<4>().ok_or(OpenError)?);
    let head = URL_SAFE.decode(head).map_err(|_| OpenError)?;
    // strict about padding and the bits behind the last byte
    let last = URL_SAFE.decode(tail).map_err(|_| OpenError)?.len();
    let raw_len = (text.len() / 4 * 3 + last).checked_sub(3).ok_or(OpenError)?;
    let whole_blocks = raw_len >= MIN_TOKEN_BYTES && (raw_len - OVERHEAD_BYTES).is_multiple_of(16);
    let fits = text.len().is_multiple_of(4) && whole_blocks && head == [0x80, 0, 0, 0, 0, 0, 0, 0, 0];
    if fits { Ok(()) } else { Err(OpenError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_under_its_own_key_only() {
        let (key, other) = (FernetKey::from_bytes([1; 32]), FernetKey::from_bytes([2; 32]));
        let token = key.seal(b"hello");
        assert_eq!(key.open(&token).unwrap(), b"hello");
        assert_eq!(other.open(&token), Err(OpenError));
        assert_eq!(key.open_raw(&key.seal_raw(b"hello")).unwrap(), b"hello");
        assert_eq!(key.seal_raw(&[0; 33]).len(), raw_token_len(33));
    }

    #[test]
    fn atk_62_fernet_keys_do_not_print() {
        assert_eq!(format!("{:?}", FernetKey::from_bytes([1; 32])), "FernetKey(..)");
    }

    #[test]
    fn key_text_is_the_seeds_format() {
        let key = FernetKey::from_bytes([3; 32]);
        assert_eq!(key.to_base64().len(), 44);
        assert_eq!(FernetKey::from_base64(key.to_base64().as_bytes()).unwrap().bytes(), key.bytes());
        assert!(FernetKey::from_base64(b"short").is_err());
    }
}
