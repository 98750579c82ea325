//! The Double Ratchet of Perrin and Marlinspike (Signal, revision 1), whose messages are Fernet tokens.
//!
//! Each direction is a chain of message keys; each turn of the conversation mixes a fresh
//! Diffie-Hellman result into the root. A key is used once and then gone.
//!
//! ```text
//! root ──KDF_RK(dh)──▶ root ──KDF_RK(dh)──▶ root …          one step per turn
//!            ╰▶ chain ─0x02▶ chain ─0x02▶ chain …           one step per message
//!                 ╰0x01▶ mk      ╰0x01▶ mk                  fk = HKDF(H(AD ‖ header), mk)
//! ```
//!
//! [`Session`] is the small core. Keys of messages that were overtaken are separate rows of the
//! caller's: look one up under [`Header::skipped_id`] before opening, and in the transaction that
//! stores [`Opened::session`] store [`Opened::new_skipped`], delete a used one, and delete every row
//! whose order is below [`Opened::forget_below`]. That bound keeps at most 2000 keys of at most
//! five old chains; dropping rows after 30 days is the caller's, who has the time.
//! [`Session::open`] changes nothing itself: whoever drops its result still has the old state.

use std::fmt;

use minicbor::{CborLen, Decode, Encode};
use rand::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::agreement::{LowOrder, PublicKey, SecretKey};
use crate::crypto::fernet::FernetKey;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::secret::SecretBytes;
use crate::ids::{DeviceId, Fingerprint, SessionId};
use crate::limits::{MAX_OLD_CHAINS, MAX_SKIP, MAX_SKIPPED_KEYS, RATCHET_HEADER_BYTES};

/// Why a message did not open. For the log and the tests: to the peer all are one, silence.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OpenError {
    /// The header has another length.
    #[error("a header of the wrong length")]
    Header,
    /// Its key was used, or is no longer kept.
    #[error("the message's key is gone")]
    Gone,
    /// More than 1000 messages are missing before it.
    #[error("too many messages are missing before this one")]
    TooFar,
    /// Its ratchet key is a point of low order.
    #[error("the message's ratchet key is not acceptable")]
    Key(#[from] LowOrder),
    /// The token is not this session's under this header.
    #[error("the message does not open")]
    Token,
}

/// The session cannot send: it has not opened a message yet, or its chain is at its end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the session cannot send")]
pub struct CannotSeal;

/// What stands in front of a token, in the open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's ratchet key.
    pub key: PublicKey,
    /// Messages in the sender's previous chain.
    pub previous: u32,
    /// Position in this one.
    pub n: u32,
}

impl Header {
    /// Reads the [`RATCHET_HEADER_BYTES`] bytes.
    ///
    /// # Errors
    /// [`OpenError::Header`].
    pub fn read(bytes: &[u8]) -> Result<Self, OpenError> {
        let (key, rest) = bytes.split_first_chunk::<32>().ok_or(OpenError::Header)?;
        let (previous, rest) = rest.split_first_chunk::<4>().ok_or(OpenError::Header)?;
        let n = rest.try_into().map_err(|_| OpenError::Header)?;
        let (previous, n) = (u32::from_be_bytes(*previous), u32::from_be_bytes(n));
        Ok(Self { key: PublicKey::new(*key), previous, n })
    }

    /// The [`RATCHET_HEADER_BYTES`] bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RATCHET_HEADER_BYTES);
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(&self.previous.to_be_bytes());
        bytes.extend_from_slice(&self.n.to_be_bytes());
        bytes
    }

    /// Under which a skipped key of this message is kept: ratchet key ‖ n.
    #[must_use]
    pub fn skipped_id(&self) -> Vec<u8> {
        skipped_id(&self.key, self.n)
    }
}

fn skipped_id(key: &PublicKey, n: u32) -> Vec<u8> {
    [key.as_bytes().as_slice(), &n.to_be_bytes()].concat()
}

/// Opens exactly one message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct MessageKey(#[n(0)] SecretBytes<32>);

/// The key of a message that has not come yet, to be stored as a row of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Counts up over the life of the session.
    pub order: u64,
    /// Ratchet key ‖ n, as [`Header::skipped_id`].
    pub id: Vec<u8>,
    /// The key.
    pub key: MessageKey,
}

/// A sealed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// [`RATCHET_HEADER_BYTES`] bytes.
    pub header: Vec<u8>,
    /// The Fernet token, base64url-decoded.
    pub token: Vec<u8>,
}

/// What opening a message gives; all of it belongs in one transaction.
#[must_use = "the session is unchanged until this is stored"]
pub struct Opened {
    /// The state to store.
    pub session: Session,
    /// What was sealed.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Keys to store.
    pub new_skipped: Vec<Skipped>,
    /// The given skipped key opened it: delete its row.
    pub used_skipped: bool,
    /// Delete rows whose order is below this.
    pub forget_below: u64,
}

/// Whom a session is between; part of what every message is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Parties {
    /// Account of the device that began.
    #[n(0)]
    pub initiator: Fingerprint,
    /// The device that began.
    #[n(1)]
    pub initiator_device: DeviceId,
    /// The other account.
    #[n(2)]
    pub responder: Fingerprint,
    /// The other device.
    #[n(3)]
    pub responder_device: DeviceId,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Chain {
    #[n(0)]
    key: SecretBytes<32>,
    /// Position of the next message.
    #[n(1)]
    n: u32,
}

impl Chain {
    const fn new(key: [u8; 32]) -> Self {
        Self { key: SecretBytes::new(key), n: 0 }
    }

    /// The next message's position and key. `None` at the end of the counter.
    fn step(&mut self) -> Option<(u32, MessageKey)> {
        let n = self.n;
        self.n = n.checked_add(1)?;
        let key = MessageKey(SecretBytes::new(kdf::hmac(self.key.expose(), &[1])));
        self.key = SecretBytes::new(kdf::hmac(self.key.expose(), &[2]));
        Some((n, key))
    }
}

/// One end of a session: about 300 bytes, to be stored after every step.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Session {
    #[n(0)]
    id: SessionId,
    #[n(1)]
    parties: Parties,
    #[n(2)]
    root: SecretBytes<32>,
    #[n(3)]
    own: SecretKey,
    #[n(4)]
    remote: Option<PublicKey>,
    #[n(5)]
    sending: Option<Chain>,
    #[n(6)]
    receiving: Option<Chain>,
    /// Length of the previous sending chain.
    #[n(7)]
    previous: u32,
    /// Keys skipped in all; the next one's order.
    #[n(8)]
    skipped: u64,
    /// `skipped` when each of the last receiving chains began, the current one's last.
    #[n(9)]
    chain_starts: Vec<u64>,
}

impl Session {
    /// The initiator's end: its first ratchet step is against the responder's signed prekey.
    pub(super) fn initiator<R: CryptoRng + ?Sized>(
        id: SessionId,
        parties: Parties,
        secret: SecretBytes<32>,
        signed_prekey: PublicKey,
        rng: &mut R,
    ) -> Result<Self, LowOrder> {
        let mut session = Self::responder(id, parties, secret, SecretKey::generate(rng));
        session.remote = Some(signed_prekey);
        session.sending = Some(session.step_root(&signed_prekey)?);
        Ok(session)
    }

    /// The responder's end: its signed prekey is its first ratchet key.
    pub(super) const fn responder(id: SessionId, parties: Parties, root: SecretBytes<32>, own: SecretKey) -> Self {
        Self {
            id,
            parties,
            root,
            own,
            remote: None,
            sending: None,
            receiving: None,
            previous: 0,
            skipped: 0,
            chain_starts: Vec::new(),
        }
    }

    /// Names the session.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Whom it is between.
    #[must_use]
    pub const fn parties(&self) -> &Parties {
        &self.parties
    }

    /// Seals a message and moves on. Store the session before the message leaves.
    ///
    /// # Errors
    /// [`CannotSeal`], e.g. for a responder that has not opened anything.
    pub fn seal(&mut self, plaintext: &[u8]) -> Result<Sealed, CannotSeal> {
        let (n, key) = self.sending.as_mut().and_then(Chain::step).ok_or(CannotSeal)?;
        let header = Header { key: self.own.public_key(), previous: self.previous, n }.to_bytes();
        let token = self.fernet(&key, &header).seal_raw(plaintext);
        Ok(Sealed { header, token })
    }

    /// Opens a message on a copy of the session. `skipped` is the row found under [`Header::skipped_id`].
    ///
    /// # Errors
    /// [`OpenError`]; store nothing then.
    pub fn open<R: CryptoRng + ?Sized>(
        &self,
        header: &[u8],
        token: &[u8],
        skipped: Option<&MessageKey>,
        rng: &mut R,
    ) -> Result<Opened, OpenError> {
        let mut opened = Opened {
            session: self.clone(),
            plaintext: Zeroizing::default(),
            new_skipped: Vec::new(),
            used_skipped: skipped.is_some(),
            forget_below: 0,
        };
        let read = Header::read(header)?;
        let key = match skipped {
            Some(key) => key.clone(),
            None => opened.session.advance(&read, &mut opened.new_skipped, rng)?,
        };
        opened.plaintext =
            self.fernet(&key, header).open_raw(token).map(Zeroizing::new).map_err(|_| OpenError::Token)?;
        opened.forget_below = opened.session.forget_below();
        Ok(opened)
    }

    /// Walks to the message with this header, keeping the keys passed over.
    fn advance<R: CryptoRng + ?Sized>(
        &mut self,
        header: &Header,
        kept: &mut Vec<Skipped>,
        rng: &mut R,
    ) -> Result<MessageKey, OpenError> {
        if self.receiving.is_none() || self.remote != Some(header.key) {
            self.skip_to(header.previous, kept)?;
            self.turn(header.key, rng)?;
        }
        self.skip_to(header.n, kept)?;
        let chain = self.receiving.as_mut().ok_or(OpenError::Gone)?;
        if header.n < chain.n {
            return Err(OpenError::Gone);
        }
        chain.step().map(|(_, key)| key).ok_or(OpenError::TooFar)
    }

    /// Keeps the keys of the receiving chain up to position `until`.
    fn skip_to(&mut self, until: u32, kept: &mut Vec<Skipped>) -> Result<(), OpenError> {
        let (Some(chain), Some(remote)) = (self.receiving.as_mut(), self.remote) else { return Ok(()) };
        if until.saturating_sub(chain.n) > MAX_SKIP {
            return Err(OpenError::TooFar);
        }
        while chain.n < until {
            let (n, key) = chain.step().ok_or(OpenError::TooFar)?;
            kept.push(Skipped { order: self.skipped, id: skipped_id(&remote, n), key });
            self.skipped = self.skipped.saturating_add(1);
        }
        Ok(())
    }

    /// The peer has a new ratchet key: a new receiving chain, and a new sending chain under a key of our own.
    fn turn<R: CryptoRng + ?Sized>(&mut self, remote: PublicKey, rng: &mut R) -> Result<(), LowOrder> {
        self.previous = self.sending.as_ref().map_or(0, |chain| chain.n);
        self.remote = Some(remote);
        self.receiving = Some(self.step_root(&remote)?);
        self.own = SecretKey::generate(rng);
        self.sending = Some(self.step_root(&remote)?);
        self.chain_starts.push(self.skipped);
        let surplus = self.chain_starts.len().saturating_sub(MAX_OLD_CHAINS + 1);
        self.chain_starts.drain(..surplus);
        Ok(())
    }

    /// `KDF_RK`: a new root, and the chain it yields.
    fn step_root(&mut self, remote: &PublicKey) -> Result<Chain, LowOrder> {
        let shared = self.own.agree(remote)?;
        let okm: Zeroizing<[u8; 64]> =
            Zeroizing::new(kdf::hkdf(self.root.expose(), shared.expose(), Label::RatchetRoot));
        let (root, chain) = halves(&okm);
        self.root = SecretBytes::new(root);
        Ok(Chain::new(chain))
    }

    /// Order below which skipped keys are forgotten: the oldest chain kept, and 2000 keys.
    fn forget_below(&self) -> u64 {
        let chains = self.chain_starts.first().copied().unwrap_or(0);
        chains.max(self.skipped.saturating_sub(MAX_SKIPPED_KEYS as u64))
    }

    /// `HKDF(H(AD ‖ header), mk, "chat/v1/dr/fernet")`: the header is bound by the key.
    fn fernet(&self, key: &MessageKey, header: &[u8]) -> FernetKey {
        let Parties { initiator, initiator_device, responder, responder_device } = &self.parties;
        let bound = kdf::hash(
            Label::AssociatedData,
            &[
                self.id.as_bytes(),
                initiator.as_bytes(),
                initiator_device.as_bytes(),
                responder.as_bytes(),
                responder_device.as_bytes(),
                header,
            ],
        );
        FernetKey::from_bytes(kdf::hkdf(&bound, key.0.expose(), Label::RatchetFernet))
    }
}

fn halves(okm: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    let (mut left, mut right) = ([0; 32], [0; 32]);
    left.iter_mut().zip(okm).for_each(|(to, from)| *to = *from);
    right.iter_mut().zip(okm.iter().skip(32)).for_each(|(to, from)| *to = *from);
    (left, right)
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({:?}, ..)", self.session)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, ..)", self.id)
    }
}
