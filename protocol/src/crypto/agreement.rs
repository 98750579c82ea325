//! The only door to `x25519-dalek`: Diffie-Hellman whose result both sides contributed to.

use std::fmt;

use minicbor::{CborLen, Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;
use x25519_dalek::StaticSecret;

use super::secret::SecretBytes;

/// The peer's point has low order, so the result would not depend on our secret.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an X25519 point of low order")]
pub struct LowOrder;

/// An X25519 public key as it travels. Whether it is of low order shows when it is used.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct PublicKey(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]);

impl PublicKey {
    /// From the 32 bytes of the wire.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes of the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.0))
    }
}

/// An X25519 secret key. Stored as its 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(SecretBytes<32>);

impl SecretKey {
    /// Draws a fresh key.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(SecretBytes::new(bytes))
    }

    /// From 32 stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(SecretBytes::new(bytes))
    }

    /// The 32 bytes, for storage.
    #[must_use]
    pub const fn bytes(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&self.scalar()).to_bytes())
    }

    /// `X(self, theirs)`.
    ///
    /// # Errors
    /// [`LowOrder`] if the result would be all zeros.
    pub fn agree(&self, theirs: &PublicKey) -> Result<SecretBytes<32>, LowOrder> {
        let shared = self.scalar().diffie_hellman(&x25519_dalek::PublicKey::from(theirs.0));
        if shared.was_contributory() { Ok(SecretBytes::new(shared.to_bytes())) } else { Err(LowOrder) }
    }

    fn scalar(&self) -> StaticSecret {
        StaticSecret::from(*self.0.expose())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl<C> Encode<C> for SecretKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.0.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for SecretKey {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        SecretBytes::decode(d, ctx).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree() {
        let (a, b) = (SecretKey::generate(&mut rand::rng()), SecretKey::generate(&mut rand::rng()));
        assert_eq!(a.agree(&b.public_key()), b.agree(&a.public_key()));
    }

    #[test]
    fn atk_32_zero_point_is_rejected() {
        let key = SecretKey::generate(&mut rand::rng());
        assert_eq!(key.agree(&PublicKey::new([0; 32])), Err(LowOrder));
    }

    #[test]
    fn atk_62_agreement_secrets_do_not_print() {
        assert_eq!(format!("{:?}", SecretKey::from_bytes([7; 32])), "SecretKey(..)");
    }
}
