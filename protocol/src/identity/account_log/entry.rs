//! One entry of an account log, as bytes and as read.

use minicbor::{CborLen, Decode, Encode};

use super::super::device::DeviceCert;
use super::{Checks, LogError};
use crate::cbor;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::ids::{DeviceId, HeadHash, Username};
use crate::message::Blob;
use crate::time::Timestamp;

/// Longest entry accepted: two 4096-bit keys and three signatures fit twice.
const MAX_ENTRY_BYTES: usize = 6 * 1024;

/// What an entry says; the signature is beside it, see [`Signed`].
#[derive(Clone, Debug, Encode, Decode, CborLen)]
#[cbor(map)]
pub(super) struct Entry {
    #[n(0)]
    pub(super) seq: u64,
    #[n(1)]
    pub(super) prev: HeadHash,
    #[n(2)]
    pub(super) op: Op,
    #[n(3)]
    pub(super) by: DeviceId,
    #[n(4)]
    pub(super) time: Timestamp,
    #[n(5)]
    pub(super) replaces: Option<HeadHash>,
}

/// What an entry does. Number 2 is reserved for `recovery`.
#[derive(Clone, Debug, Encode, Decode, CborLen)]
pub(super) enum Op {
    #[n(0)]
    #[cbor(map)]
    Add {
        #[n(0)]
        cert: Blob,
        #[n(1)]
        acceptance: Option<Blob>,
    },
    #[n(1)]
    #[cbor(map)]
    Revoke {
        #[n(0)]
        devices: Vec<DeviceId>,
    },
}

/// An entry that was read, with the bytes it was read from.
pub(super) struct SignedEntry {
    pub(super) bytes: Vec<u8>,
    pub(super) signed: Signed,
    pub(super) body: Entry,
    /// Its head: the hash of the entry without its signature.
    pub(super) hash: HeadHash,
}

impl SignedEntry {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, LogError> {
        let malformed = LogError::Invalid { seq: 0, why: "malformed" };
        if bytes.len() > MAX_ENTRY_BYTES {
            return Err(malformed);
        }
        let signed: Signed = cbor::decode(bytes).map_err(|_| malformed.clone())?;
        let body = cbor::decode(&signed.object).map_err(|_| malformed)?;
        let hash = HeadHash::new(kdf::hash(Label::Log, &[&signed.object]));
        Ok(Self { bytes: bytes.to_vec(), signed, body, hash })
    }

    pub(super) fn check_signature(&self, author: &DeviceCert, checks: Checks) -> Result<(), LogError> {
        if checks == Checks::SkipSignatures {
            return Ok(());
        }
        self.signed.verify(author.signing(), Context::Log).map_err(|_| self.invalid("wrong signature"))
    }

    pub(super) const fn invalid(&self, why: &'static str) -> LogError {
        LogError::Invalid { seq: self.body.seq, why }
    }
}

/// Reads the certificate an entry adds; it must be of the log's user.
pub(super) fn read_cert(entry: &SignedEntry, cert: &[u8], user: &Username) -> Result<DeviceCert, LogError> {
    let cert = DeviceCert::decode(cert).map_err(|_| entry.invalid("unacceptable certificate"))?;
    if cert.user() == user { Ok(cert) } else { Err(entry.invalid("certificate of another user")) }
}
