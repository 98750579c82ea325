//! SHA-256, HMAC and HKDF under the protocol's conventions.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::labels::Label;

/// `H(label ‖ 0 ‖ parts…)`.
#[must_use]
pub fn hash(label: Label, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new_with_prefix(label.as_bytes());
    hasher.update([0]);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// Plain SHA-256, where the protocol hashes without a label.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// HMAC-SHA-256.
#[must_use]
pub fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// `HKDF(salt, ikm, label, L)` over SHA-256. An empty salt is HKDF's default one. `L` is at most 8160 bytes.
#[must_use]
pub fn hkdf<const L: usize>(salt: &[u8], ikm: &[u8], label: Label) -> [u8; L] {
    const { assert!(L <= 255 * 32, "HKDF ends there") };
    let mut okm = [0; L];
    #[expect(clippy::expect_used, reason = "the length is checked when this is compiled")]
    Hkdf::<Sha256>::new(Some(salt), ikm).expand(label.as_bytes(), &mut okm).expect("short enough");
    okm
}

/// `lp(x)`: u32 big-endian length, then the bytes. Appended to `out`.
///
/// Inputs are bounded by the record size, far below 4 GiB; a longer one would saturate and so never verify.
pub fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}
