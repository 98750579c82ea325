//! The server's half of the handshake.
//!
//! The caller reads as many bytes as [`wanted`] says, limits strangers before [`Listening::read`] does
//! the first Diffie-Hellman, and refuses an ephemeral key it has seen in a [`Greeting`] before.

use std::ops::RangeInclusive;

use snow::HandshakeState;

use super::{
    HandshakeError, MAX_MESSAGE_BYTES, MIN_MESSAGE_BYTES, OPENING_BYTES, Secured, ServerKey, ServerPublicKey, Split,
    VERSIONS, builder, common_version, psk, read_message, read_opening, write_message,
};
use crate::crypto::fernet::FernetKey;
use crate::crypto::secret::SecretBytes;
use crate::message::server::Welcome;
use crate::time::Timestamp;

/// How many bytes the client's first words have in all, as far as `received` tells: opening, length and
/// message 1. Ask again after each read; never over [`crate::limits::MAX_HANDSHAKE_BYTES`].
///
/// # Errors
/// [`HandshakeError::Opening`] as soon as this cannot become a handshake: close without a byte.
pub fn wanted(received: &[u8]) -> Result<usize, HandshakeError> {
    let Some((opening, rest)) = received.split_first_chunk() else {
        return Ok(OPENING_BYTES + 2);
    };
    read_opening(opening)?;
    let Some(prefix) = rest.first_chunk() else {
        return Ok(OPENING_BYTES + 2);
    };
    let len = usize::from(u16::from_be_bytes(*prefix));
    let possible = (MIN_MESSAGE_BYTES..=MAX_MESSAGE_BYTES).contains(&len);
    if possible { Ok(OPENING_BYTES + 2 + len) } else { Err(HandshakeError::Opening) }
}

/// The keys a server answers with. Shared by all its connections.
#[derive(Clone, Debug)]
pub struct Listening {
    keys: Vec<(ServerKey, ServerPublicKey)>,
    psk: SecretBytes<32>,
}

impl Listening {
    /// Answers for one server key, to those who know `secret`.
    #[must_use]
    pub fn new(key: &ServerKey, secret: &FernetKey) -> Self {
        Self { keys: vec![(key.clone(), key.public())], psk: psk(secret) }
    }

    /// Answers for `next` too, while clients move from one key to the other.
    #[must_use]
    pub fn and_next(mut self, next: &ServerKey) -> Self {
        self.keys.truncate(1);
        self.keys.push((next.clone(), next.public()));
        self
    }

    /// Reads exactly the [`wanted`] bytes and authenticates the client's knowledge of both keys.
    ///
    /// # Errors
    /// [`HandshakeError`]: close without a byte, whatever it says.
    pub fn read(&self, opening_and_message1: &[u8]) -> Result<Greeting, HandshakeError> {
        let received = opening_and_message1;
        if wanted(received)? != received.len() {
            return Err(HandshakeError::Opening);
        }
        let (opening, rest) = received.split_first_chunk().ok_or(HandshakeError::Opening)?;
        let message = rest.get(2..).ok_or(HandshakeError::Opening)?;
        self.keys.iter().find_map(|key| self.greet(key, opening, message).ok()).ok_or(HandshakeError::Failed)
    }

    fn greet(
        &self,
        (key, server_key): &(ServerKey, ServerPublicKey),
        opening: &[u8; OPENING_BYTES],
        message: &[u8],
    ) -> Result<Greeting, HandshakeError> {
        let versions = read_opening(opening)?;
        let ephemeral = *message.first_chunk().ok_or(HandshakeError::Failed)?;
        let mut noise = builder(&self.psk, opening)
            .and_then(|builder| builder.local_private_key(key.bytes().expose())?.build_responder())
            .map_err(|_| HandshakeError::Failed)?;
        // version 1 says nothing here; what a later one says is skipped
        read_message(&mut noise, message)?;
        Ok(Greeting { ephemeral, versions, server_key: *server_key, noise })
    }
}

/// A client that knows secret.key and this server's key.
pub struct Greeting {
    /// The client's ephemeral key: one seen before is a replay.
    pub ephemeral: [u8; 32],
    /// Protocol versions the client speaks.
    pub versions: RangeInclusive<u8>,
    /// The key the client pinned.
    pub server_key: ServerPublicKey,
    noise: HandshakeState,
}

impl std::fmt::Debug for Greeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Greeting({:?})", self.versions)
    }
}

impl Greeting {
    /// The version to put into the [`Welcome`]: the highest in common, if any.
    #[must_use]
    pub fn version(&self) -> Option<u8> {
        common_version(&self.versions)
    }

    /// Answers: the bytes to send, and the connection.
    ///
    /// # Errors
    /// [`HandshakeError::Unsupported`] when the welcome names no version both speak (see [`Greeting::refuse`]);
    /// [`HandshakeError::Welcome`] when it does not fit a handshake message.
    pub fn reply(mut self, welcome: &Welcome, now: Timestamp) -> Result<(Vec<u8>, Secured), HandshakeError> {
        let (lowest, highest) = (*VERSIONS.start(), *VERSIONS.end());
        let version = welcome
            .version
            .filter(|version| self.versions.contains(version) && VERSIONS.contains(version))
            .ok_or(HandshakeError::Unsupported { lowest, highest })?;
        let message = self.write(welcome)?;
        Ok((message, Split::of(&mut self.noise).server(self.server_key, version, now)))
    }

    /// Answers a client without a common version: the bytes to send before closing.
    ///
    /// # Errors
    /// [`HandshakeError::Welcome`] when the welcome does not fit a handshake message.
    pub fn refuse(mut self, welcome: &Welcome) -> Result<Vec<u8>, HandshakeError> {
        self.write(&Welcome { version: None, ..welcome.clone() })
    }

    fn write(&mut self, welcome: &Welcome) -> Result<Vec<u8>, HandshakeError> {
        write_message(&mut self.noise, &crate::cbor::encode(welcome)).map_err(|_| HandshakeError::Welcome)
    }
}
