//! The share that travels under RSA: a Fernet key for the device's `DEK`.

use minicbor::{Decode, Encode};
use rand::CryptoRng;

use super::{Init, InitError};
use crate::crypto::fernet::FernetKey;
use crate::crypto::kdf;
use crate::crypto::rsa::DecryptionKey;
use crate::crypto::secret::SecretBytes;
use crate::identity::device::DeviceCert;

/// What the RSA ciphertext of an INIT carried, or what stands in for it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Share(#[n(0)] pub(super) SecretBytes<32>);

/// Opens the RSA share of an INIT: milliseconds, so off the loop.
///
/// Never fails: where the ciphertext does not open, or holds anything but a Fernet key in canonical
/// base64url, the share is `HMAC(rejection key, ciphertext)`, and the session opens nothing. So
/// nobody learns how it failed.
#[must_use]
pub fn open_share<R: CryptoRng + ?Sized>(
    init: &Init,
    key: &DecryptionKey,
    rejection_key: &SecretBytes<32>,
    rng: &mut R,
) -> Share {
    let rejected = SecretBytes::new(kdf::hmac(rejection_key.expose(), &init.body.rsa_ciphertext));
    let opened = key.decrypt(&init.body.rsa_ciphertext, rng).ok();
    let share = opened.and_then(|text| FernetKey::from_base64(&text).ok()).map(|key| key.bytes().clone());
    Share(share.unwrap_or(rejected))
}

/// A fresh Fernet key: (its bytes, its 44 characters under the device's `DEK`).
pub(super) fn seal_share<R: CryptoRng + ?Sized>(
    cert: &DeviceCert,
    rng: &mut R,
) -> Result<(SecretBytes<32>, Vec<u8>), InitError> {
    let key = FernetKey::generate(rng);
    let ciphertext = cert.encryption().encrypt(key.to_base64().as_bytes(), rng).map_err(|_| InitError::Key)?;
    Ok((key.bytes().clone(), ciphertext))
}
