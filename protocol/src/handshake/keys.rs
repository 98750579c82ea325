//! The server's long-term X25519 key and its public half, which clients pin.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::crypto::secret::SecretBytes;

/// Text that is not a server key: 43 characters of unpadded URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a server key: expected 43 characters of URL-safe base64 without padding")]
pub struct ServerKeyError;

/// The private half, kept in `server.key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKey(SecretBytes<32>);

impl ServerKey {
    /// Draws a fresh key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self::from_bytes(bytes)
    }

    /// From the 32 raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(SecretBytes::new(bytes))
    }

    /// The 32 raw bytes.
    #[must_use]
    pub const fn bytes(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// The half that clients pin.
    #[must_use]
    pub fn public(&self) -> ServerPublicKey {
        let secret = StaticSecret::from(*self.0.expose());
        ServerPublicKey(PublicKey::from(&secret).to_bytes())
    }

    /// Contents of `server.key`: one line of base64url, unpadded.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.expose()));
        text.push('\n');
        text
    }

    /// Reads the contents of `server.key`; white space around the line is ignored.
    ///
    /// # Errors
    /// [`ServerKeyError`] for anything else.
    pub fn from_text(text: &str) -> Result<Self, ServerKeyError> {
        parse(text.trim()).map(Self::from_bytes)
    }
}

/// The public half: its text is 43 characters of unpadded URL-safe base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerPublicKey([u8; 32]);

impl ServerPublicKey {
    /// From the 32 raw bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for ServerPublicKey {
    type Error = ServerKeyError;

    fn try_from(bytes: &[u8]) -> Result<Self, ServerKeyError> {
        bytes.try_into().map(Self).map_err(|_| ServerKeyError)
    }
}

impl FromStr for ServerPublicKey {
    type Err = ServerKeyError;

    fn from_str(text: &str) -> Result<Self, ServerKeyError> {
        parse(text).map(Self)
    }
}

impl fmt::Display for ServerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for ServerPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerPublicKey({self})")
    }
}

fn parse(text: &str) -> Result<[u8; 32], ServerKeyError> {
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| ServerKeyError)?);
    bytes.as_slice().try_into().map_err(|_| ServerKeyError)
}

/// Whether a point adds anything to an agreement. Small order shows under every clamped scalar.
pub(super) fn is_contributory(point: &[u8; 32]) -> bool {
    StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(*point)).was_contributory()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_key_file_reads_back() {
        let key = ServerKey::from_bytes([7; 32]);
        assert_eq!(ServerKey::from_text(&key.to_text()), Ok(key.clone()));
        assert_eq!(key.to_text().len(), 44);
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
        for bad in ["", "AAAA", &"A".repeat(44), &"*".repeat(43)] {
            assert_eq!(ServerKey::from_text(bad), Err(ServerKeyError));
        }
    }

    #[test]
    fn atk_62_server_keys_do_not_print() {
        assert_eq!(format!("{:?}", ServerKey::from_bytes([7; 32])), "ServerKey(SecretBytes<32>(..))");
    }

    #[test]
    fn atk_32_points_of_small_order_are_known() {
        for point in [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ] {
            let mut point: [u8; 32] = hex::decode(point).unwrap().try_into().unwrap();
            assert!(!is_contributory(&point));
            point[31] |= 0x80;
            assert!(!is_contributory(&point));
        }
        assert!(is_contributory(ServerKey::from_bytes([7; 32]).public().as_bytes()));
    }
}
