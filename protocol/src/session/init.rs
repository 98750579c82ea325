//! How two devices come to a shared secret while one of them is away.
//!
//! Three kinds of secrets enter: RSA-OAEP (as in the first Python application), X25519 and
//! ML-KEM-768. Whoever lacks one of them has nothing. Everything public enters the transcript, so
//! that a change of any byte gives another secret. Nothing is signed: a transcript proves nothing
//! to others.
//!
//! The responder's order matters and is the caller's: store the envelope, acknowledge it, then
//! [`Init::read`], [`Init::check_addressed`], [`resolve`] (no secrets, no RSA), [`open_share`] off the
//! loop, [`Resolved::session`], open the first message, and only then commit. Failures are counted,
//! never answered.

mod schedule;
mod share;

use minicbor::{CborLen, Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;

use self::schedule::{Agreed, Publics, Secrets, parties, session_id};
use self::share::seal_share;
pub use self::share::{Share, open_share};
use super::bundle::{KemPrekey, OneTimePrekey, SignedPrekey, VerifiedBundle, one_time_hash};
use super::content;
use super::ratchet::Session;
use crate::cbor;
use crate::crypto::agreement::{PublicKey, SecretKey};
use crate::crypto::kdf::sha256;
use crate::crypto::{kem, rsa};
use crate::identity::account_log::AccountLog;
use crate::identity::device::{DeviceCert, DeviceKeys};
use crate::identity::party::Party;
use crate::ids::{DeviceId, KeyHash, SessionId};
use crate::limits::MAX_INIT_BYTES;
use crate::message::Blob;
use crate::time::Timestamp;

/// The one INIT version there is.
const VERSION: u8 = 1;
/// The one suite there is: RSA-OAEP-SHA256 + X25519 + ML-KEM-768, ratchet with Fernet.
pub const SUITE: u16 = 1;

/// Why a session does not start. For the log and the tests; a peer is told nothing.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum InitError {
    /// Not the strict CBOR of an INIT.
    #[error("malformed INIT")]
    Malformed,
    /// A version, suite or content version this program does not know.
    #[error("unsupported INIT")]
    Unsupported,
    /// It is not from the device that submitted it, or not for this one.
    #[error("an INIT between other devices")]
    Misaddressed,
    /// The account has another fingerprint than the log given.
    #[error("an INIT of another identity")]
    OtherIdentity,
    /// The device is not active in the log given; a longer log may say otherwise.
    #[error("a device that is not active in its account's log")]
    UnknownDevice,
    /// The prekeys given are not those it names.
    #[error("an INIT under other prekeys")]
    OtherPrekeys,
    /// A key or ciphertext in it is not acceptable.
    #[error("an INIT with an unacceptable key")]
    Key,
}

/// This device, as one end of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// Its private keys.
    pub keys: &'a DeviceKeys,
    /// Its certificate.
    pub cert: &'a DeviceCert,
    /// Its account's log.
    pub log: &'a AccountLog,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
struct Body {
    #[n(0)]
    version: u8,
    #[n(1)]
    suite: u16,
    #[n(2)]
    initiator: Party,
    #[n(3)]
    responder: Party,
    #[n(4)]
    bundle: KeyHash,
    #[n(5)]
    signed_prekey_id: u64,
    #[n(6)]
    kem_prekey_id: u64,
    #[n(7)]
    one_time: Option<KeyHash>,
    #[n(8)]
    ephemeral: PublicKey,
    #[n(9)]
    rsa_ciphertext: Blob,
    #[n(10)]
    kem_ciphertext: Blob,
    #[n(11)]
    created: Timestamp,
    /// Version of the contents on this session, in both directions; absent for the first one.
    #[n(12)]
    content: Option<u8>,
}

/// An INIT that was read; nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    bytes: Vec<u8>,
    body: Body,
}

impl Init {
    /// Reads an INIT.
    ///
    /// # Errors
    /// [`InitError::Malformed`], [`InitError::Unsupported`].
    pub fn read(bytes: &[u8]) -> Result<Self, InitError> {
        if bytes.len() > MAX_INIT_BYTES {
            return Err(InitError::Malformed);
        }
        let body: Body = cbor::decode(bytes).map_err(|_| InitError::Malformed)?;
        let content = body.content.unwrap_or(content::FIRST_VERSION);
        if body.version != VERSION || body.suite != SUITE || !content::VERSIONS.contains(&content) {
            return Err(InitError::Unsupported);
        }
        let rsa_bytes = rsa::MIN_BITS / 8..=rsa::MAX_BITS / 8;
        if !rsa_bytes.contains(&body.rsa_ciphertext.len()) || body.kem_ciphertext.len() != kem::CIPHERTEXT_BYTES {
            return Err(InitError::Malformed);
        }
        Ok(Self { bytes: bytes.to_vec(), body })
    }

    /// Whether it is from the device that submitted it and for this one; everything else is dropped.
    ///
    /// # Errors
    /// [`InitError::Misaddressed`].
    pub fn check_addressed(&self, from: &DeviceId, to: &DeviceCert) -> Result<(), InitError> {
        let Body { initiator, responder, .. } = &self.body;
        let ours = responder.device == to.id() && responder.user == *to.user();
        if ours && initiator.device == *from && initiator.device != responder.device {
            Ok(())
        } else {
            Err(InitError::Misaddressed)
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of its bytes: tells an INIT seen before from a new one.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.bytes)
    }

    /// Who begins, as claimed.
    #[must_use]
    pub const fn initiator(&self) -> &Party {
        &self.body.initiator
    }

    /// Who answers, as the initiator knows it.
    #[must_use]
    pub const fn responder(&self) -> &Party {
        &self.body.responder
    }

    /// Hash of the bundle it is under.
    #[must_use]
    pub const fn bundle(&self) -> KeyHash {
        self.body.bundle
    }

    /// Number of the signed prekey to look up.
    #[must_use]
    pub const fn signed_prekey_id(&self) -> u64 {
        self.body.signed_prekey_id
    }

    /// Number of the ML-KEM prekey to look up.
    #[must_use]
    pub const fn kem_prekey_id(&self) -> u64 {
        self.body.kem_prekey_id
    }

    /// Hash of the one-time key to look up.
    #[must_use]
    pub const fn one_time(&self) -> Option<KeyHash> {
        self.body.one_time
    }

    /// When it was made, by the initiator's clock.
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.body.created
    }
}

/// What begins a session.
#[derive(Debug)]
pub struct Initiated {
    /// The initiator's end.
    pub session: Session,
    /// The INIT, to precede every message until a reply was opened.
    pub init: Vec<u8>,
}

/// Begins a session with a device of `peer` from its bundle.
///
/// # Errors
/// [`InitError::UnknownDevice`] if the bundle's device is not active in `peer`; [`InitError::Key`]
/// for a point of low order.
pub fn initiate<R: CryptoRng + ?Sized>(
    own: Own<'_>,
    peer: &AccountLog,
    bundle: &VerifiedBundle,
    created: Timestamp,
    rng: &mut R,
) -> Result<Initiated, InitError> {
    let cert = peer.active(&bundle.device()).ok_or(InitError::UnknownDevice)?;
    let ephemeral = SecretKey::generate(rng);
    let (share, rsa_ciphertext) = seal_share(cert, rng)?;
    let (kem_ciphertext, kem_secret) = bundle.kem_prekey().1.encapsulate(rng);
    let (signed_prekey_id, signed_prekey) = bundle.signed_prekey();
    let body = Body {
        version: VERSION,
        suite: SUITE,
        initiator: Party::new(own.log, own.cert.id()),
        responder: Party::new(peer, cert.id()),
        bundle: bundle.hash(),
        signed_prekey_id,
        kem_prekey_id: bundle.kem_prekey().0,
        one_time: bundle.one_time().map(one_time_hash),
        ephemeral: ephemeral.public_key(),
        rsa_ciphertext: rsa_ciphertext.into(),
        kem_ciphertext: kem_ciphertext.into(),
        created,
        content: Some(bundle.content_version()),
    };
    let init = Init { bytes: cbor::encode(&body), body };
    let kem_key = bundle.kem_prekey().1.to_bytes();
    let publics =
        Publics { init: &init, certs: [own.cert, cert], signed_prekey, kem_key: &kem_key, one_time: bundle.one_time() };
    let agreed = agree_as_initiator(own, cert, bundle, &ephemeral);
    let secrets = Secrets::gather(share, agreed, kem_secret)?;
    let transcript = publics.transcript();
    let session =
        Session::initiator(session_id(&transcript), publics.parties(), secrets.root(&transcript), signed_prekey, rng)
            .map_err(|_| InitError::Key)?;
    Ok(Initiated { session, init: init.bytes })
}

/// DH1 to DH4.
fn agree_as_initiator(own: Own<'_>, cert: &DeviceCert, bundle: &VerifiedBundle, ephemeral: &SecretKey) -> [Agreed; 4] {
    let (_, signed_prekey) = bundle.signed_prekey();
    [
        Some(own.keys.agreement.agree(&signed_prekey)),
        Some(ephemeral.agree(cert.agreement())),
        Some(ephemeral.agree(&signed_prekey)),
        bundle.one_time().map(|one_time| ephemeral.agree(one_time)),
    ]
}

/// The private halves an INIT names.
#[derive(Clone, Copy, Debug)]
pub struct Prekeys<'a> {
    /// Under [`Init::signed_prekey_id`].
    pub signed: &'a SignedPrekey,
    /// Under [`Init::kem_prekey_id`].
    pub kem: &'a KemPrekey,
    /// Under [`Init::one_time`].
    pub one_time: Option<&'a OneTimePrekey>,
}

/// An INIT matched with everything public it needs; no secret was touched.
#[derive(Debug)]
pub struct Resolved<'a> {
    init: &'a Init,
    own: Own<'a>,
    prekeys: Prekeys<'a>,
    initiator: &'a DeviceCert,
    transcript: [u8; 32],
}

/// Matches an INIT with this device, its prekeys and the initiator's log.
///
/// # Errors
/// [`InitError::UnknownDevice`] if a longer log may help; other [`InitError`]s are final.
pub fn resolve<'a>(
    init: &'a Init,
    own: Own<'a>,
    prekeys: Prekeys<'a>,
    peer: &'a AccountLog,
) -> Result<Resolved<'a>, InitError> {
    let Body { initiator, responder, .. } = &init.body;
    init.check_addressed(&initiator.device, own.cert)?;
    if responder.fingerprint != own.log.fingerprint() {
        return Err(InitError::Misaddressed);
    }
    if initiator.user != *peer.user() || initiator.fingerprint != peer.fingerprint() {
        return Err(InitError::OtherIdentity);
    }
    let named = (init.signed_prekey_id(), init.kem_prekey_id(), init.one_time());
    if named != (prekeys.signed.id, prekeys.kem.id, prekeys.one_time.map(OneTimePrekey::hash)) {
        return Err(InitError::OtherPrekeys);
    }
    let cert = peer.active(&initiator.device).ok_or(InitError::UnknownDevice)?;
    let kem_key = prekeys.kem.secret.encapsulation_key().to_bytes();
    let one_time = prekeys.one_time.map(OneTimePrekey::public_key);
    let signed_prekey = prekeys.signed.secret.public_key();
    let publics =
        Publics { init, certs: [cert, own.cert], signed_prekey, kem_key: &kem_key, one_time: one_time.as_ref() };
    Ok(Resolved { init, own, prekeys, initiator: cert, transcript: publics.transcript() })
}

impl Resolved<'_> {
    /// The session it would start; an envelope under another id is dropped before any RSA.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        session_id(&self.transcript)
    }

    /// `th`, the replay entry: a known one without a session is dropped.
    #[must_use]
    pub const fn transcript(&self) -> &[u8; 32] {
        &self.transcript
    }

    /// The responder's end, with the share [`open_share`] gave. Whether it is right shows when the first
    /// message opens.
    ///
    /// # Errors
    /// [`InitError::Key`].
    pub fn session(&self, share: Share) -> Result<Session, InitError> {
        let Self { init, own, prekeys, initiator, transcript } = self;
        let (signed, ephemeral) = (&prekeys.signed.secret, &init.body.ephemeral);
        let agreed = [
            Some(signed.agree(initiator.agreement())),
            Some(own.keys.agreement.agree(ephemeral)),
            Some(signed.agree(ephemeral)),
            prekeys.one_time.map(|one_time| one_time.secret.agree(ephemeral)),
        ];
        let kem = prekeys.kem.secret.decapsulate(&init.body.kem_ciphertext).map_err(|_| InitError::Key)?;
        let root = Secrets::gather(share.0, agreed, kem)?.root(transcript);
        Ok(Session::responder(self.session_id(), parties(init), root, signed.clone()))
    }
}
