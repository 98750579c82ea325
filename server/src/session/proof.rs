//! What peers have to prove, verified off the runtime.
//!
//! Each function here is one job for [`crate::work::CpuPool`]: an RSA verification takes 0.3 ms, which is
//! little for one login and much for ten thousand after a restart. Behind permits they take at most the cores
//! there are, while messages of those already logged in are handled in between.

use chat_protocol::cbor;
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::identity::account_log::{AccountLog, LogError};
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::identity::login::Binding;
use chat_protocol::ids::{DeviceId, Head, HeadHash, KeyHash, Username};
use chat_protocol::message::Blob;
use chat_protocol::message::client::BundlePublish;
use chat_protocol::message::server::{Code, Refusal};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::time::Timestamp;
use minicbor::Encode;

use super::asked::bad_request;
use crate::store::{AppendEntry, NewBundle, NewLog, StoredDevice};

/// A device that has shown that it holds its keys, on this connection.
#[derive(Clone)]
pub(super) struct Newcomer {
    pub(super) user: Username,
    pub(super) device: DeviceId,
    pub(super) cert: Vec<u8>,
    pub(super) genesis: Option<Genesis>,
}

/// A valid genesis entry that names the newcomer.
#[derive(Clone)]
pub(super) struct Genesis {
    pub(super) entry: Vec<u8>,
    pub(super) hash: HeadHash,
    pub(super) replaces: Option<HeadHash>,
}

impl Newcomer {
    /// The log that begins with this device, if it brought a genesis.
    pub(super) fn into_log(self, at: Timestamp) -> Option<NewLog> {
        let Self { user, device, cert, genesis } = self;
        let genesis = genesis?;
        Some(NewLog { user, device, cert, genesis: genesis.entry, hash: genesis.hash, at })
    }
}

/// Why a newcomer is not let in.
pub(super) enum Flaw {
    /// This device did not sign.
    Signature(DeviceId),
    /// Something else is wrong.
    Other(Refusal),
}

impl From<Refusal> for Flaw {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}

/// Verifies an enrolment: certificate, possession of its key, and the genesis entry if there is one.
pub(super) fn newcomer(
    binding: &Binding,
    user: Username,
    cert: Blob,
    signature: &Blob,
    genesis: Option<Blob>,
) -> Result<Newcomer, Flaw> {
    let cert = DeviceCert::decode(&cert).map_err(|_| bad_request())?;
    if cert.user() != &user {
        return Err(bad_request().into());
    }
    binding.verify_enrol(&cert, signature).map_err(|_| Flaw::Signature(cert.id()))?;
    let genesis = genesis.map(|entry| read_genesis(&cert, entry)).transpose()?;
    Ok(Newcomer { user, device: cert.id(), cert: cert.bytes().to_vec(), genesis })
}

fn read_genesis(cert: &DeviceCert, entry: Blob) -> Result<Genesis, Refusal> {
    let log = AccountLog::verify(cert.user(), &[&*entry]).map_err(|_| bad_request())?;
    if log.active(&cert.id()) != Some(cert) {
        return Err(bad_request());
    }
    Ok(Genesis { hash: log.head().hash, replaces: log.replaces(), entry: entry.0 })
}

/// Whether a login signature is good under the certificate the device was enrolled with.
pub(super) fn login(binding: &Binding, stored: &StoredDevice, signature: &Blob) -> bool {
    DeviceCert::decode(&stored.cert).is_ok_and(|cert| binding.verify_login(&cert, signature).is_ok())
}

/// What an entry does to its log.
pub(super) struct Growth {
    pub(super) head: Head,
    pub(super) activates: Option<(DeviceId, Vec<u8>)>,
    pub(super) revokes: Vec<DeviceId>,
}

impl Growth {
    /// What is to be stored of it.
    pub(super) fn into_entry(self, user: &Username, expected: Head, entry: Blob, at: Timestamp) -> AppendEntry {
        let Self { head, activates, revokes } = self;
        AppendEntry { user: user.clone(), expected, entry: entry.0, head, activates, revokes, at }
    }
}

/// An account log as the protocol reads it from storage: user and entries.
#[derive(Encode)]
#[cbor(map)]
struct StoredLog<'a> {
    #[n(0)]
    user: &'a Username,
    #[n(1)]
    entries: Vec<Blob>,
}

/// Verifies the next entry of a log whose `entries` were verified when they were stored. `None`: it is known.
///
/// `stale` when the author believes the log to stand elsewhere than it does.
pub(super) fn growth(
    user: &Username,
    entries: Vec<Vec<u8>>,
    believed: Head,
    entry: &Blob,
) -> Result<Option<Growth>, Refusal> {
    let stored = cbor::encode(&StoredLog { user, entries: entries.into_iter().map(Blob).collect() });
    let mut log: AccountLog = cbor::decode(&stored).map_err(|_| Code::Internal)?;
    let known = log.head();
    let extension = log.extend(&[&**entry]).map_err(|error| refused(&error, known == believed))?;
    if log.head() == known {
        return Ok(None);
    }
    if known != believed {
        return Err(Code::Stale.into());
    }
    let activates = extension.added.first().and_then(|id| Some((*id, log.active(id)?.bytes().to_vec())));
    Ok(Some(Growth { head: log.head(), activates, revokes: extension.revoked }))
}

fn refused(error: &LogError, believed_right: bool) -> Refusal {
    match error {
        _ if !believed_right => Code::Stale.into(),
        LogError::Full => Code::TooLarge.into(),
        _ => bad_request(),
    }
}

/// Verifies that a bundle is the device's own and that its one-time keys are those it lists.
pub(super) fn bundle(stored: &StoredDevice, ask: BundlePublish) -> Result<NewBundle, Refusal> {
    let cert = DeviceCert::decode(&stored.cert).map_err(|_| Code::Denied)?;
    let bundle = VerifiedBundle::verify(&ask.bundle, &cert).map_err(|_| bad_request())?;
    let listed = bundle.one_time_hashes().to_vec();
    let read = |key: &Blob| {
        let hash = KeyHash::new(sha256(key));
        let key = <[u8; 32]>::try_from(&**key).ok().filter(|_| listed.contains(&hash))?;
        Some((hash, key))
    };
    let one_time = ask.one_time.iter().map(read).collect::<Option<Vec<_>>>().ok_or_else(bad_request)?;
    Ok(NewBundle { device: stored.device, seq: bundle.seq(), bundle: ask.bundle.0, one_time, listed })
}
