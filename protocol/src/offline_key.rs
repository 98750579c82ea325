//! The key that vouches for another key of a server, and is kept off its machine.
//!
//! Whoever reads `server.key` can pose as the server, and could announce a next key of their own. A client whose invite
//! named an offline key believes no announcement without its signature.

use rand::CryptoRng;

use crate::crypto::kdf::sha256;
use crate::crypto::rsa::{Context, SigningKey, VerifyingKey};
use crate::handshake::ServerPublicKey;
use crate::message::Blob;
use crate::message::server::NextKeyProof;

/// What an invite names: SHA-256 of the public half as SPKI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfflineKey([u8; 32]);

impl OfflineKey {
    /// As an invite or a row has it.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The name of a key.
    #[must_use]
    pub fn of(key: &VerifyingKey) -> Self {
        Self(sha256(&key.to_spki()))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this key has signed that `next` follows `present`.
    #[must_use]
    pub fn vouches(&self, proof: &NextKeyProof, present: &ServerPublicKey, next: &ServerPublicKey) -> bool {
        let key = VerifyingKey::from_spki(&proof.key).ok().filter(|_| sha256(&proof.key) == self.0);
        key.is_some_and(|key| key.verify(Context::ServerKey, &object(present, next), &proof.signature).is_ok())
    }
}

/// Signs that `next` follows `present`.
#[must_use]
pub fn vouch<R: CryptoRng + ?Sized>(
    key: &SigningKey,
    present: &ServerPublicKey,
    next: &ServerPublicKey,
    rng: &mut R,
) -> NextKeyProof {
    let signature = key.sign(Context::ServerKey, &object(present, next), rng);
    NextKeyProof { key: Blob(key.verifying_key().to_spki()), signature: Blob(signature) }
}

/// The present key too: what was signed for an earlier change is of no use in a later one.
fn object(present: &ServerPublicKey, next: &ServerPublicKey) -> Vec<u8> {
    [&present.as_bytes()[..], &next.as_bytes()[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::device_keys;

    #[test]
    fn atk_102_only_the_key_that_was_named_vouches_and_only_for_this_change() {
        let (named, other) = (&device_keys(0).signing, &device_keys(1).signing);
        let [present, next, third] = [1, 2, 3].map(|byte| ServerPublicKey::new([byte; 32]));
        let offline = OfflineKey::of(&named.verifying_key());
        let proof = vouch(named, &present, &next, &mut rand::rng());
        assert!(offline.vouches(&proof, &present, &next));
        assert!(!offline.vouches(&proof, &present, &third));
        assert!(!offline.vouches(&proof, &next, &present));
        assert!(!offline.vouches(&proof, &third, &next), "a change that was before");
        assert!(!offline.vouches(&vouch(other, &present, &next, &mut rand::rng()), &present, &next));
        let stolen = NextKeyProof { key: proof.key.clone(), ..vouch(other, &present, &next, &mut rand::rng()) };
        assert!(!offline.vouches(&stolen, &present, &next));
    }
}
