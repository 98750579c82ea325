//! The client's half of the handshake.

use snow::HandshakeState;

use super::{
    HandshakeError, MAX_MESSAGE_BYTES, MIN_MESSAGE_BYTES, Secured, ServerPublicKey, Split, VERSIONS, builder, opening,
    psk, read_message, write_message,
};
use crate::crypto::fernet::FernetKey;
use crate::message::server::Welcome;
use crate::time::Timestamp;

/// The client has spoken and waits for the server's proof.
pub struct Hello {
    noise: HandshakeState,
    server_key: ServerPublicKey,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hello({})", self.server_key)
    }
}

impl Hello {
    /// Begins a handshake with the server that holds `server_key`: the state, and the bytes to send.
    /// The ephemeral key is drawn from the operating system.
    #[must_use]
    pub fn start(server_key: &ServerPublicKey, secret: &FernetKey) -> (Self, Vec<u8>) {
        #[expect(clippy::expect_used, reason = "the pattern is fixed and has all its keys")]
        Self::try_start(server_key, secret).expect("a handshake message")
    }

    fn try_start(server_key: &ServerPublicKey, secret: &FernetKey) -> Result<(Self, Vec<u8>), snow::Error> {
        let (opening, psk) = (opening(&VERSIONS), psk(secret));
        let mut noise = builder(&psk, &opening)?.remote_public_key(server_key.as_bytes())?.build_initiator()?;
        let message = write_message(&mut noise, &[])?;
        Ok((Self { noise, server_key: *server_key }, [&opening[..], &message].concat()))
    }

    /// Reads the two length bytes before the server's message: how many bytes follow.
    ///
    /// # Errors
    /// [`HandshakeError::Opening`] for a length no handshake message has.
    pub fn message2_len(prefix: [u8; 2]) -> Result<usize, HandshakeError> {
        let len = usize::from(u16::from_be_bytes(prefix));
        if (MIN_MESSAGE_BYTES..=MAX_MESSAGE_BYTES).contains(&len) { Ok(len) } else { Err(HandshakeError::Opening) }
    }

    /// Reads the server's message, without its length.
    ///
    /// # Errors
    /// [`HandshakeError::Failed`] when the server did not prove both keys; so does the caller report a
    /// server that closed instead of answering. [`HandshakeError::Unsupported`] without a common version.
    pub fn finish(mut self, message2: &[u8], now: Timestamp) -> Result<(Secured, Welcome), HandshakeError> {
        let payload = read_message(&mut self.noise, message2)?;
        let welcome: Welcome = crate::cbor::decode(&payload).map_err(|_| HandshakeError::Welcome)?;
        let (lowest, highest) = (welcome.lowest, welcome.highest);
        let version = welcome.version.ok_or(HandshakeError::Unsupported { lowest, highest })?;
        if !VERSIONS.contains(&version) {
            return Err(HandshakeError::Welcome);
        }
        Ok((Split::of(&mut self.noise).client(self.server_key, version, now), welcome))
    }
}
