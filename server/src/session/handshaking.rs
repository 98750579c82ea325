//! The state before there is a peer: bytes of a stranger who may know the keys.

use std::sync::Arc;

use chat_protocol::handshake::HandshakeError;
use chat_protocol::handshake::server::wanted;
use chat_protocol::identity::login::Binding;
use chat_protocol::record::{Opener, Sealer};

use super::guest::Guest;
use crate::clock;
use crate::counters::HandshakeFailure;
use crate::limits::Source;
use crate::router::outbox::Outbox;
use crate::shared::Shared;

/// Waits for the client's first words.
pub(crate) struct Handshaking<'a> {
    shared: &'a Shared,
    source: Source,
}

/// A connection that is secured, and what its guest will be bound to.
pub(crate) struct Welcomed {
    pub(crate) sealer: Sealer,
    pub(crate) opener: Opener,
    pub(crate) identity: Arrival,
}

/// What is known about somebody who knows the keys.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    source: Source,
    binding: Binding,
}

impl<'a> Handshaking<'a> {
    pub(crate) fn new(shared: &'a Shared, source: Source) -> Self {
        Self { shared, source }
    }

    /// How many bytes are to be read in all, as far as known.
    pub(crate) fn wanted(&self, received: &[u8]) -> Result<usize, HandshakeFailure> {
        wanted(received).map_err(stranger)
    }

    /// Answers the client's words: the bytes to send, and the connection unless no version is in common.
    pub(crate) fn answer(self, received: &[u8]) -> Result<(Vec<u8>, Option<Welcomed>), HandshakeFailure> {
        let greeting = self.shared.listening.read(received).map_err(stranger)?;
        if !self.shared.replays.is_new(greeting.ephemeral) {
            return Err(HandshakeFailure::Replayed);
        }
        let welcome = self.shared.welcome(greeting.version(), self.shared.now());
        if welcome.version.is_none() {
            return Ok((greeting.refuse(&welcome).map_err(stranger)?, None));
        }
        let (reply, secured) = greeting.reply(&welcome, clock::running()).map_err(stranger)?;
        let binding = Binding { channel: secured.channel_binding, server_key: *secured.server_key.as_bytes() };
        let identity = Arrival { source: self.source, binding };
        Ok((reply, Some(Welcomed { sealer: secured.sealer, opener: secured.opener, identity })))
    }
}

fn stranger(_: HandshakeError) -> HandshakeFailure {
    HandshakeFailure::Stranger
}

impl Arrival {
    /// The next state.
    pub(crate) fn guest(self, shared: Arc<Shared>, outbox: Arc<Outbox>) -> Guest {
        Guest::new(shared, outbox, self.source, self.binding)
    }
}
