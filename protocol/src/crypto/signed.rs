//! Something signed, carried with its signature: account-log entries and bundles.

use minicbor::{CborLen, Decode, Encode};
use rand::CryptoRng;

use super::rsa::{Context, RsaError, SigningKey, VerifyingKey};
use crate::message::Blob;

/// An encoded object and the signature over exactly these bytes, so that nothing is re-encoded to be verified.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Signed {
    /// The object, CBOR.
    #[n(0)]
    pub object: Blob,
    /// `sign(key, context, object)`.
    #[n(1)]
    pub signature: Blob,
}

impl Signed {
    /// Signs an encoded object.
    #[must_use]
    pub fn new<R: CryptoRng + ?Sized>(object: Vec<u8>, key: &SigningKey, context: Context, rng: &mut R) -> Self {
        let signature = key.sign(context, &object, rng).into();
        Self { object: object.into(), signature }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`RsaError::Signature`].
    pub fn verify(&self, key: &VerifyingKey, context: Context) -> Result<(), RsaError> {
        key.verify(context, &self.object, &self.signature)
    }
}
