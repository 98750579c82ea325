//! Writing entries: the genesis of an account, further devices, revocations.

use rand::CryptoRng;

use super::entry::{Entry, Op, SignedEntry};
use super::{AccountLog, Checks, LogError};
use crate::cbor;
use crate::crypto::rsa::{Context, SigningKey};
use crate::crypto::signed::Signed;
use crate::identity::device::DeviceCert;
use crate::ids::{DeviceId, HeadHash};
use crate::time::Timestamp;

/// The device that writes an entry.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Its signing key.
    pub key: &'a SigningKey,
    /// Its certificate.
    pub cert: &'a DeviceCert,
    /// When it writes; display only.
    pub at: Timestamp,
}

impl AccountLog {
    /// Begins an account with its first device. `replaces` is the head hash of the log a reset gives up.
    ///
    /// # Errors
    /// [`LogError::Invalid`] if key and certificate do not belong together.
    pub fn genesis<R: CryptoRng + ?Sized>(
        author: Author<'_>,
        replaces: Option<HeadHash>,
        rng: &mut R,
    ) -> Result<Self, LogError> {
        let op = Op::Add { cert: author.cert.bytes().to_vec().into(), acceptance: None };
        let prev = HeadHash::new([0; 32]);
        let entry = Entry { seq: 0, prev, op, by: author.cert.id(), time: author.at, replaces };
        let entry = SignedEntry::read(&sign(&entry, author.key, rng))?;
        Self::from_genesis(author.cert.user(), &entry, Checks::All)
    }

    /// Writes the entry that adds a device which has accepted ([`crate::identity::device::DeviceKeys::accept`]).
    ///
    /// The log itself does not change: extend it with the entry once the server has taken it, and
    /// re-send identical bytes until then.
    ///
    /// # Errors
    /// [`LogError`] if the entry would not be valid.
    pub fn add_device<R: CryptoRng + ?Sized>(
        &self,
        author: Author<'_>,
        cert: &DeviceCert,
        acceptance: Vec<u8>,
        rng: &mut R,
    ) -> Result<Vec<u8>, LogError> {
        let op = Op::Add { cert: cert.bytes().to_vec().into(), acceptance: Some(acceptance.into()) };
        self.write(author, op, rng)
    }

    /// Writes the entry that revokes devices. As [`Self::add_device`], the log itself does not change.
    ///
    /// # Errors
    /// [`LogError`] if the entry would not be valid.
    pub fn revoke_devices<R: CryptoRng + ?Sized>(
        &self,
        author: Author<'_>,
        devices: Vec<DeviceId>,
        rng: &mut R,
    ) -> Result<Vec<u8>, LogError> {
        self.write(author, Op::Revoke { devices }, rng)
    }

    fn write<R: CryptoRng + ?Sized>(&self, author: Author<'_>, op: Op, rng: &mut R) -> Result<Vec<u8>, LogError> {
        let head = self.head();
        let seq = head.seq.saturating_add(1);
        let entry = Entry { seq, prev: head.hash, op, by: author.cert.id(), time: author.at, replaces: None };
        let bytes = sign(&entry, author.key, rng);
        self.clone().extend(&[&bytes])?;
        Ok(bytes)
    }
}

fn sign<R: CryptoRng + ?Sized>(entry: &Entry, key: &SigningKey, rng: &mut R) -> Vec<u8> {
    cbor::encode(&Signed::new(cbor::encode(entry), key, Context::Log, rng))
}
