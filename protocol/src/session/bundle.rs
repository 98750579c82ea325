//! What a device publishes so that others can start a session while it is away.
//!
//! The server hands bundles out and can change nothing in them: a bundle is signed, names its
//! device, and lists the hashes of its one-time keys. [`VerifiedBundle`] is the only thing a session
//! can be started from.

use std::fmt;

use minicbor::{CborLen, Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;

use super::content;
use super::init::SUITE;
use crate::cbor;
use crate::crypto::agreement::{PublicKey, SecretKey};
use crate::crypto::kdf::sha256;
use crate::crypto::kem::{DecapsulationKey, EncapsulationKey};
use crate::crypto::rsa::{Context, SigningKey};
use crate::crypto::signed::Signed;
use crate::identity::device::DeviceCert;
use crate::ids::{DeviceId, KeyHash, Username};
use crate::limits::{BUNDLE_LIFETIME, CLOCK_TOLERANCE, MAX_ONE_TIME_KEYS};
use crate::message::Blob;
use crate::time::Timestamp;

/// The one bundle version there is.
const VERSION: u8 = 1;
/// Longest signed bundle accepted: 64 hashes, an ML-KEM key and a 4096-bit signature fit.
const MAX_BUNDLE_BYTES: usize = 6 * 1024;

/// Why a bundle is not used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BundleError {
    /// Not the strict CBOR of a bundle.
    #[error("malformed bundle")]
    Malformed,
    /// A version this program does not know, or no suite or content version it knows.
    #[error("unsupported bundle")]
    Unsupported,
    /// Not signed by the device.
    #[error("the bundle is not signed by its device")]
    Signature,
    /// It names another device or user.
    #[error("the bundle is of another device")]
    OtherDevice,
    /// It is no longer, or not yet, valid.
    #[error("the bundle has expired")]
    Expired,
    /// A newer one was seen.
    #[error("the bundle is older than one seen before")]
    Older,
    /// Its ML-KEM key is not valid.
    #[error("the bundle has an invalid key")]
    Key,
    /// The one-time key is not listed in it.
    #[error("the one-time key is not listed in the bundle")]
    OneTimeKey,
}

/// The private half of a signed prekey (`SPK`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignedPrekey {
    /// Number in bundles and INITs; never used again.
    #[n(0)]
    pub id: u64,
    /// Its secret.
    #[n(1)]
    pub secret: SecretKey,
}

/// The private half of an ML-KEM prekey.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KemPrekey {
    /// Number in bundles and INITs; never used again.
    #[n(0)]
    pub id: u64,
    /// Its secret.
    #[n(1)]
    pub secret: DecapsulationKey,
}

/// The private half of a one-time key, named by the hash of its public half.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct OneTimePrekey {
    /// Its secret.
    #[n(0)]
    pub secret: SecretKey,
}

impl SignedPrekey {
    /// Draws a fresh one.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(id: u64, rng: &mut R) -> Self {
        Self { id, secret: SecretKey::generate(rng) }
    }
}

impl KemPrekey {
    /// Draws a fresh one.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(id: u64, rng: &mut R) -> Self {
        Self { id, secret: DecapsulationKey::generate(rng) }
    }
}

impl OneTimePrekey {
    /// Draws a fresh one.
    #[must_use]
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self { secret: SecretKey::generate(rng) }
    }

    /// What is handed to the server.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.secret.public_key()
    }

    /// What bundles and INITs name it by.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        one_time_hash(&self.public_key())
    }
}

/// SHA-256 of a one-time public key.
#[must_use]
pub fn one_time_hash(key: &PublicKey) -> KeyHash {
    KeyHash::new(sha256(key.as_bytes()))
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
struct Body {
    #[n(0)]
    version: u8,
    #[n(1)]
    suites: Vec<u16>,
    #[n(2)]
    user: Username,
    #[n(3)]
    device: DeviceId,
    #[n(4)]
    seq: u64,
    #[n(5)]
    created: Timestamp,
    #[n(6)]
    expires: Timestamp,
    #[n(7)]
    signed_prekey_id: u64,
    #[n(8)]
    signed_prekey: PublicKey,
    #[n(9)]
    kem_prekey_id: u64,
    #[n(10)]
    kem_prekey: Blob,
    #[n(11)]
    one_time_hashes: Vec<KeyHash>,
    /// Content versions the device reads; absent for the first one alone.
    #[n(12)]
    contents: Option<Vec<u8>>,
}

/// A bundle about to be signed.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The device that publishes it.
    pub cert: &'a DeviceCert,
    /// Above every earlier one's.
    pub seq: u64,
    /// Server time.
    pub created: Timestamp,
    /// Current signed prekey.
    pub signed_prekey: &'a SignedPrekey,
    /// Current ML-KEM prekey.
    pub kem_prekey: &'a KemPrekey,
    /// Those the server still has and the new ones; at most 64, the rest is left out.
    pub one_time: &'a [KeyHash],
}

impl Draft<'_> {
    /// Signs the bundle: (its bytes, the hash INITs name it by).
    #[must_use]
    pub fn sign<R: CryptoRng + ?Sized>(&self, key: &SigningKey, rng: &mut R) -> (Vec<u8>, KeyHash) {
        let body = Body {
            version: VERSION,
            suites: vec![SUITE],
            user: self.cert.user().clone(),
            device: self.cert.id(),
            seq: self.seq,
            created: self.created,
            expires: self.created + BUNDLE_LIFETIME,
            signed_prekey_id: self.signed_prekey.id,
            signed_prekey: self.signed_prekey.secret.public_key(),
            kem_prekey_id: self.kem_prekey.id,
            kem_prekey: self.kem_prekey.secret.encapsulation_key().to_bytes().into(),
            one_time_hashes: self.one_time.iter().copied().take(MAX_ONE_TIME_KEYS).collect(),
            contents: Some(content::VERSIONS.to_vec()),
        };
        let object = cbor::encode(&body);
        let hash = KeyHash::new(sha256(&object));
        (cbor::encode(&Signed::new(object, key, Context::Bundle, rng)), hash)
    }
}

/// A bundle whose signature, device and keys were checked. Whether it is fresh is [`Self::check_fresh`].
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedBundle {
    body: Body,
    hash: KeyHash,
    kem: EncapsulationKey,
    one_time: Option<PublicKey>,
    content_version: u8,
}

impl VerifiedBundle {
    /// Verifies a bundle as one of the device `cert` describes.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn verify(bytes: &[u8], cert: &DeviceCert) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::Malformed);
        }
        let signed: Signed = cbor::decode(bytes).map_err(|_| BundleError::Malformed)?;
        signed.verify(cert.signing(), Context::Bundle).map_err(|_| BundleError::Signature)?;
        let body: Body = cbor::decode(&signed.object).map_err(|_| BundleError::Malformed)?;
        body.check(cert)?;
        let contents = body.contents.as_deref().unwrap_or(&[content::FIRST_VERSION]);
        let content_version = highest_common(contents, &content::VERSIONS).ok_or(BundleError::Unsupported)?;
        let kem = EncapsulationKey::from_bytes(&body.kem_prekey).map_err(|_| BundleError::Key)?;
        Ok(Self { body, hash: KeyHash::new(sha256(&signed.object)), kem, one_time: None, content_version })
    }

    /// Takes the one-time key the server handed out with it.
    ///
    /// # Errors
    /// [`BundleError::OneTimeKey`] if it is not listed.
    pub fn with_one_time(mut self, key: Option<&[u8]>) -> Result<Self, BundleError> {
        let Some(key) = key else { return Ok(self) };
        let key = PublicKey::try_from(key).map_err(|_| BundleError::OneTimeKey)?;
        if !self.body.one_time_hashes.contains(&one_time_hash(&key)) {
            return Err(BundleError::OneTimeKey);
        }
        self.one_time = Some(key);
        Ok(self)
    }

    /// Judges its age. `last_seen` is the highest sequence seen of this device, 0 for none.
    ///
    /// # Errors
    /// [`BundleError::Older`], [`BundleError::Expired`].
    pub fn check_fresh(&self, last_seen: u64, now: Timestamp) -> Result<(), BundleError> {
        if self.body.seq < last_seen {
            return Err(BundleError::Older);
        }
        let in_time = now < self.body.expires && self.body.created <= now + CLOCK_TOLERANCE;
        if in_time { Ok(()) } else { Err(BundleError::Expired) }
    }

    /// The device it is of.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.body.device
    }

    /// Its sequence.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.body.seq
    }

    /// The version of what is said on a session that begins from it: the highest both devices read.
    #[must_use]
    pub const fn content_version(&self) -> u8 {
        self.content_version
    }

    /// Server time after which it is not used.
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.body.expires
    }

    /// What INITs name it by.
    #[must_use]
    pub const fn hash(&self) -> KeyHash {
        self.hash
    }

    /// Hashes of its one-time keys.
    #[must_use]
    pub fn one_time_hashes(&self) -> &[KeyHash] {
        &self.body.one_time_hashes
    }

    pub(super) const fn signed_prekey(&self) -> (u64, PublicKey) {
        (self.body.signed_prekey_id, self.body.signed_prekey)
    }

    pub(super) const fn kem_prekey(&self) -> (u64, &EncapsulationKey) {
        (self.body.kem_prekey_id, &self.kem)
    }

    pub(super) const fn one_time(&self) -> Option<&PublicKey> {
        self.one_time.as_ref()
    }
}

fn highest_common(theirs: &[u8], ours: &[u8]) -> Option<u8> {
    theirs.iter().copied().filter(|version| ours.contains(version)).max()
}

impl Body {
    fn check(&self, cert: &DeviceCert) -> Result<(), BundleError> {
        if self.version != VERSION || !self.suites.contains(&SUITE) {
            return Err(BundleError::Unsupported);
        }
        if self.device != cert.id() || self.user != *cert.user() {
            return Err(BundleError::OtherDevice);
        }
        let lasts_as_agreed = self.created < self.expires && self.expires <= self.created + BUNDLE_LIFETIME;
        if !lasts_as_agreed || self.one_time_hashes.len() > MAX_ONE_TIME_KEYS {
            return Err(BundleError::Malformed);
        }
        Ok(())
    }
}

impl fmt::Debug for VerifiedBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedBundle({} seq {})", self.body.device, self.body.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_content_version_both_devices_read_is_spoken() {
        for (theirs, ours, spoken) in [
            (&[1][..], &[1][..], Some(1)),
            (&[1, 2], &[1], Some(1)),
            (&[3, 1, 2], &[1, 2], Some(2)),
            (&[2], &[1], None),
            (&[], &[1], None),
        ] {
            assert_eq!(highest_common(theirs, ours), spoken, "{theirs:?} {ours:?}");
        }
    }
}
