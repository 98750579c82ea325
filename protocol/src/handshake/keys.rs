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

/// The points of small order, of whose numbers X25519 ignores the highest bit: 0, 1, the two of order eight, and p − 1, p and
/// p + 1 (D. J. Bernstein, <https://cr.yp.to/ecdh.html#validate>).
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    with_ends(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
];

/// A first byte, thirty alike, a last one.
const fn with_ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut point = [between; 32];
    let [start, .., end] = &mut point;
    (*start, *end) = (first, last);
    point
}

/// Whether a point adds anything to an agreement: a comparison, since whoever connects chooses how often this is asked.
pub(super) fn is_contributory(point: &[u8; 32]) -> bool {
    let [rest @ .., last] = point;
    !SMALL_ORDER.iter().any(|[small @ .., end]| small == rest && *end == last & 0x7f)
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

    #[test]
    fn atk_32_the_list_of_points_of_small_order_says_what_an_agreement_says() {
        let agreed =
            |point: &[u8; 32]| StaticSecret::from([1; 32]).diffie_hellman(&PublicKey::from(*point)).was_contributory();
        let mut points = SMALL_ORDER.to_vec();
        points.extend(SMALL_ORDER.iter().flat_map(|small| {
            // whatever differs in one bit
            (0..256).map(|bit| {
                let mut point = *small;
                point[bit / 8] ^= 1 << (bit % 8);
                point
            })
        }));
        for point in points {
            assert_eq!(is_contributory(&point), agreed(&point), "{}", hex::encode(point));
        }
    }
}
