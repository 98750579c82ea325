//! The only door to `ml-kem`: ML-KEM-768 (FIPS 203), the part of a session a quantum computer does not open.

use std::fmt;

use minicbor::{Decode, Encode};
use ml_kem::kem::{Decapsulate, Encapsulate, KeyExport, TryKeyInit};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};
use rand::CryptoRng;
use thiserror::Error;

use super::secret::SecretBytes;

/// Length of an encapsulation key.
pub const KEY_BYTES: usize = 1184;
/// Length of a ciphertext.
pub const CIPHERTEXT_BYTES: usize = 1088;

/// A key that fails FIPS 203's check, or bytes of the wrong length.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a valid ML-KEM-768 key or ciphertext")]
pub struct KemError;

/// The private half, stored as its 64-byte seed and expanded when used.
#[derive(Clone, PartialEq, Eq)]
pub struct DecapsulationKey(SecretBytes<64>);

impl DecapsulationKey {
    /// Draws a fresh key.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        let mut seed = [0; 64];
        rng.fill_bytes(&mut seed);
        Self(SecretBytes::new(seed))
    }

    /// From the 64-byte seed (`d ‖ z`).
    #[must_use]
    pub const fn from_seed(seed: [u8; 64]) -> Self {
        Self(SecretBytes::new(seed))
    }

    /// The public half.
    #[must_use]
    pub fn encapsulation_key(&self) -> EncapsulationKey {
        EncapsulationKey(self.expand().encapsulation_key().clone())
    }

    /// The shared secret of a ciphertext; another, unpredictable one if it was not made for this key.
    ///
    /// # Errors
    /// [`KemError`] for a wrong length only.
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<SecretBytes<32>, KemError> {
        let shared = self.expand().decapsulate_slice(ciphertext).map_err(|_| KemError)?;
        Ok(SecretBytes::new(shared.into()))
    }

    fn expand(&self) -> DecapsulationKey768 {
        DecapsulationKey768::from_seed((*self.0.expose()).into())
    }
}

/// The public half, validated when it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey(EncapsulationKey768);

impl EncapsulationKey {
    /// Reads and validates a key.
    ///
    /// # Errors
    /// [`KemError`] for a wrong length or coefficients out of range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KemError> {
        EncapsulationKey768::new_from_slice(bytes).map(Self).map_err(|_| KemError)
    }

    /// The 1184 bytes of the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes().to_vec()
    }

    /// Makes a shared secret for the key's holder: (ciphertext, secret).
    #[must_use]
    pub fn encapsulate<R: CryptoRng + ?Sized>(&self, rng: &mut R) -> (Vec<u8>, SecretBytes<32>) {
        let (ciphertext, shared) = self.0.encapsulate_with_rng(rng);
        (ciphertext.to_vec(), SecretBytes::new(shared.into()))
    }
}

impl fmt::Debug for DecapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecapsulationKey(..)")
    }
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncapsulationKey(..)")
    }
}

impl<C> Encode<C> for DecapsulationKey {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.0.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for DecapsulationKey {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        SecretBytes::decode(d, ctx).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_hold_the_same_secret() {
        let key = DecapsulationKey::generate(&mut rand::rng());
        let public = EncapsulationKey::from_bytes(&key.encapsulation_key().to_bytes()).unwrap();
        let (ciphertext, secret) = public.encapsulate(&mut rand::rng());
        assert_eq!(ciphertext.len(), CIPHERTEXT_BYTES);
        assert_eq!(key.decapsulate(&ciphertext), Ok(secret));
    }

    #[test]
    fn atk_33_malformed_kem_keys_and_ciphertexts_are_rejected() {
        let key = DecapsulationKey::generate(&mut rand::rng());
        assert_eq!(EncapsulationKey::from_bytes(&[0xff; KEY_BYTES]), Err(KemError));
        assert_eq!(EncapsulationKey::from_bytes(&key.encapsulation_key().to_bytes()[1..]), Err(KemError));
        assert_eq!(key.decapsulate(&[0; CIPHERTEXT_BYTES - 1]), Err(KemError));
    }

    #[test]
    fn atk_62_kem_secrets_do_not_print() {
        assert_eq!(format!("{:?}", DecapsulationKey::from_seed([7; 64])), "DecapsulationKey(..)");
    }
}
