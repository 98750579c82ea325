//! How a connection begins: `Noise_NKpsk0_25519_ChaChaPoly_SHA256`.
//!
//! ```text
//! client  Hello ── opening ‖ len ‖ message 1 ──▶ Listening  server
//!           │                                       │ read
//!           │                                    Greeting
//!           ▼ finish ◀──── len ‖ message 2 ─────────┤ reply
//!        Secured                                 Secured
//! ```
//!
//! The client proves that it knows secret.key, the server that it holds the pinned key too. Each step
//! consumes its state. A failure says nothing to the peer: the connection is closed without a byte.

pub mod client;
mod keys;
pub mod server;

use std::ops::RangeInclusive;

use snow::{Builder, HandshakeState};
use thiserror::Error;

pub use keys::{ServerKey, ServerKeyError, ServerPublicKey};

use crate::crypto::fernet::FernetKey;
use crate::crypto::kdf;
use crate::crypto::labels::Label;
use crate::crypto::secret::SecretBytes;
use crate::limits;
use crate::record::{Opener, Sealer};
use crate::time::Timestamp;

const PATTERN: &str = "Noise_NKpsk0_25519_ChaChaPoly_SHA256";
const MAGIC: &[u8; 4] = b"CHAT";
/// `CHAT`, handshake version, lowest and highest protocol version.
pub const OPENING_BYTES: usize = 7;
/// Ephemeral key and tag of an empty payload: the shortest handshake message.
const MIN_MESSAGE_BYTES: usize = 32 + 16;
/// Longest handshake message: what the server reads of a stranger, less opening and length.
const MAX_MESSAGE_BYTES: usize = limits::MAX_HANDSHAKE_BYTES - OPENING_BYTES - 2;

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The bytes do not begin like this protocol, or a length is out of bounds.
    #[error("not a chat handshake")]
    Opening,
    /// Wrong secret.key, wrong server key, or changed bytes: they cannot be told apart.
    #[error("handshake failed: either secret.key or the server's key is not the one in use there")]
    Failed,
    /// No protocol version in common.
    #[error("the server speaks protocol versions {lowest} to {highest} only")]
    Unsupported {
        /// Lowest version of the server.
        lowest: u8,
        /// Highest version of the server.
        highest: u8,
    },
    /// The server's welcome cannot be read.
    #[error("the server's greeting is malformed")]
    Welcome,
}

/// A connection after its handshake: both directions and what logins are bound to.
#[derive(Debug)]
pub struct Secured {
    /// Writes our direction.
    pub sealer: Sealer,
    /// Reads the peer's.
    pub opener: Opener,
    /// `H("chat/v1/channel-binding" ‖ 0 ‖ h)`: the same at both ends, different on every connection.
    pub channel_binding: [u8; 32],
    /// The server key that was proven.
    pub server_key: ServerPublicKey,
    /// The protocol version both speak.
    pub version: u8,
}

/// The versions this code speaks.
const VERSIONS: RangeInclusive<u8> = limits::PROTOCOL_VERSION..=limits::PROTOCOL_VERSION;

fn opening(versions: &RangeInclusive<u8>) -> [u8; OPENING_BYTES] {
    let [c, h, a, t] = *MAGIC;
    [c, h, a, t, limits::HANDSHAKE_VERSION, *versions.start(), *versions.end()]
}

/// Reads an opening; the versions the client speaks.
fn read_opening(opening: &[u8; OPENING_BYTES]) -> Result<RangeInclusive<u8>, HandshakeError> {
    match *opening {
        [b'C', b'H', b'A', b'T', limits::HANDSHAKE_VERSION, lowest, highest] if lowest <= highest => {
            Ok(lowest..=highest)
        }
        _ => Err(HandshakeError::Opening),
    }
}

/// The highest version of both ranges.
fn common_version(theirs: &RangeInclusive<u8>) -> Option<u8> {
    let highest = *theirs.end().min(VERSIONS.end());
    (theirs.contains(&highest) && VERSIONS.contains(&highest)).then_some(highest)
}

fn psk(secret: &FernetKey) -> SecretBytes<32> {
    SecretBytes::new(kdf::hkdf(&[], secret.bytes().expose(), Label::TransportPsk))
}

/// What both ends set up alike.
fn builder<'a>(psk: &'a SecretBytes<32>, opening: &'a [u8; OPENING_BYTES]) -> Result<Builder<'a>, snow::Error> {
    Builder::new(PATTERN.parse()?).psk(0, psk.expose())?.prologue(opening)
}

/// `len ‖ message`, the form on the wire.
fn write_message(noise: &mut HandshakeState, payload: &[u8]) -> Result<Vec<u8>, snow::Error> {
    let mut message = vec![0; MAX_MESSAGE_BYTES];
    let len = noise.write_message(payload, &mut message)?;
    message.truncate(len);
    let prefix = u16::try_from(len).map_err(|_| snow::Error::Input)?;
    message.splice(0..0, prefix.to_be_bytes());
    Ok(message)
}

/// Authenticates a message and returns its payload. A key of small order is refused like any other failure.
fn read_message(noise: &mut HandshakeState, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
    let ephemeral: &[u8; 32] = message.first_chunk().ok_or(HandshakeError::Failed)?;
    let mut payload = vec![0; message.len()];
    let len = noise.read_message(message, &mut payload).map_err(|_| HandshakeError::Failed)?;
    if !keys::is_contributory(ephemeral) {
        return Err(HandshakeError::Failed);
    }
    payload.truncate(len);
    Ok(payload)
}

/// The two directions' keys and the channel binding of a finished handshake.
struct Split {
    client_to_server: SecretBytes<32>,
    server_to_client: SecretBytes<32>,
    channel_binding: [u8; 32],
}

impl Split {
    fn of(noise: &mut HandshakeState) -> Self {
        let (k1, k2) = noise.dangerously_get_raw_split();
        let hash = noise.get_handshake_hash();
        let material = SecretBytes::<64>::new(join(k1, k2));
        let keys = SecretBytes::<64>::new(kdf::hkdf(hash, material.expose(), Label::TransportSplit));
        let (c2s, s2c) = halves(keys.expose());
        let channel_binding = kdf::hash(Label::ChannelBinding, &[hash]);
        Self { client_to_server: c2s, server_to_client: s2c, channel_binding }
    }

    /// The client's end. The server has proven itself, so its records may have full size at once: the
    /// answer to a login may be packed with what follows it.
    fn client(self, server_key: ServerPublicKey, version: u8, now: Timestamp) -> Secured {
        Secured {
            sealer: Sealer::new(&self.client_to_server, now),
            opener: Opener::new(&self.server_to_client, limits::MAX_RECORD_BYTES, now),
            channel_binding: self.channel_binding,
            server_key,
            version,
        }
    }

    /// The server's end. Its caller raises the limit after login.
    fn server(self, server_key: ServerPublicKey, version: u8, now: Timestamp) -> Secured {
        Secured {
            sealer: Sealer::new(&self.server_to_client, now),
            opener: Opener::new(&self.client_to_server, limits::MAX_RECORD_BYTES_GUEST, now),
            channel_binding: self.channel_binding,
            server_key,
            version,
        }
    }
}

fn join(a: [u8; 32], b: [u8; 32]) -> [u8; 64] {
    let mut both = [0; 64];
    both.iter_mut().zip(a.iter().chain(&b)).for_each(|(to, from)| *to = *from);
    both
}

fn halves(both: &[u8; 64]) -> (SecretBytes<32>, SecretBytes<32>) {
    let (mut a, mut b) = ([0; 32], [0; 32]);
    a.iter_mut().chain(&mut b).zip(both).for_each(|(to, from)| *to = *from);
    (SecretBytes::new(a), SecretBytes::new(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_chosen() {
        for (theirs, chosen) in [(1..=1, Some(1)), (0..=9, Some(1)), (2..=9, None), (0..=0, None)] {
            assert_eq!(common_version(&theirs), chosen, "{theirs:?}");
        }
    }

    #[test]
    fn openings_read_back() {
        assert_eq!(opening(&VERSIONS), *b"CHAT\x01\x01\x01");
        assert_eq!(read_opening(&opening(&(1..=3))), Ok(1..=3));
        for bad in [*b"chat\x01\x01\x01", *b"CHAT\x02\x01\x01", *b"CHAT\x01\x02\x01"] {
            assert_eq!(read_opening(&bad), Err(HandshakeError::Opening));
        }
    }

    /// The vector was made by other implementations: tests/oracle/wire.py.
    #[test]
    fn frozen_handshake_is_spoken_by_both_ends() {
        let vector: serde_json::Value = serde_json::from_str(include_str!("../tests/vectors/handshake.json")).unwrap();
        let bytes = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
        let array = |name: &str| -> [u8; 32] { bytes(name).try_into().unwrap() };
        let psk = psk(&FernetKey::from_base64(vector["secret_key"].as_str().unwrap().as_bytes()).unwrap());
        assert_eq!(psk.expose(), &array("psk"));
        let opening = opening(&VERSIONS);
        let ends = ["client", "server"].map(|end| array(&format!("{end}_ephemeral_private")));
        let begin = |end: usize| builder(&psk, &opening).unwrap().fixed_ephemeral_key_for_testing_only(&ends[end]);
        let (public, private) = (array("server_public"), array("server_private"));
        let mut client = begin(0).remote_public_key(&public).unwrap().build_initiator().unwrap();
        let mut server = begin(1).local_private_key(&private).unwrap().build_responder().unwrap();

        let first = write_message(&mut client, &[]).unwrap();
        assert_eq!([&opening[..], &first].concat(), bytes("first"));
        read_message(&mut server, &first[2..]).unwrap();
        let second = write_message(&mut server, &bytes("welcome")).unwrap();
        assert_eq!(second, bytes("second"));
        assert_eq!(read_message(&mut client, &second[2..]), Ok(bytes("welcome")));

        for mut end in [client, server] {
            assert_eq!(end.get_handshake_hash(), array("handshake_hash"));
            let split = Split::of(&mut end);
            assert_eq!(split.client_to_server.expose(), &array("client_to_server"));
            assert_eq!(split.server_to_client.expose(), &array("server_to_client"));
            assert_eq!(split.channel_binding, array("channel_binding"));
        }
    }
}
