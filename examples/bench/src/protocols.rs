//! How to log in to a server, join a room and send, and how to find deliveries in what it says.

mod irc;
mod mqtt;
mod nats;
pub(crate) mod ours;

use std::ops::Range;

use bytes::{Buf, BytesMut};
use tokio_rustls::TlsConnector;

use crate::Fallible;
use crate::connection::{Connection, tls};
use ours::Ours;

/// What a server said.
pub(crate) enum Event<'a> {
    /// A message, and what is in it.
    Message(&'a [u8]),
    /// It keeps what was sent to it.
    Accepted,
    /// It does not: whoever waits for it waits in vain.
    Refused,
}

pub(crate) enum Protocol {
    Irc,
    Mqtt,
    Nats,
    Ours(Box<Ours>),
}

impl Protocol {
    pub(crate) fn ours(&self) -> Option<&Ours> {
        if let Self::Ours(ours) = self { Some(ours) } else { None }
    }
}

/// One who gets messages.
#[derive(Clone, Copy)]
pub(crate) enum To<'a> {
    User(usize),
    Room(&'a str),
}

/// A server under test.
pub(crate) struct Peer {
    pub(crate) protocol: Protocol,
    pub(crate) address: String,
    /// Of text in a message.
    pub(crate) bytes: usize,
    tls: TlsConnector,
}

/// Bytes of a text that say when it was sent: `T` and 19 digits.
const STAMP: usize = 20;

impl Peer {
    pub(crate) fn new(protocol: Protocol, address: String, bytes: usize) -> Fallible<Self> {
        Ok(Self { protocol, address, bytes: bytes.max(STAMP), tls: tls()? })
    }

    /// Whether only members write into a room; elsewhere somebody from outside does, and the members alone are written to.
    pub(crate) fn members_write(&self) -> bool {
        matches!(self.protocol, Protocol::Irc | Protocol::Ours(_))
    }

    /// Deliveries of one message in a room of so many, its author included where only members write.
    pub(crate) fn deliveries(&self, members: usize) -> usize {
        if self.protocol.ours().is_some() { members } else { members - 1 }
    }

    /// Connects and logs in. `clean`: without what waited.
    pub(crate) async fn connect(&self, user: usize, clean: bool) -> Fallible<Connection> {
        if let Protocol::Ours(ours) = &self.protocol {
            return ours.connect(&self.address, user).await;
        }
        let mut connection = Connection::plain(&self.address).await?;
        if matches!(self.protocol, Protocol::Nats) {
            // what the server says about itself comes before TLS
            connection.until(b"\r\n").await?;
        }
        let mut connection = connection.secured(&self.tls).await?;
        match &self.protocol {
            Protocol::Irc => irc::login(&mut connection, user).await?,
            Protocol::Mqtt => mqtt::login(&mut connection, user, clean).await?,
            Protocol::Nats => nats::login(&mut connection).await?,
            Protocol::Ours(_) => {}
        }
        Ok(connection)
    }

    /// Has the server keep what is sent to these users while they are away, as far as it does not do that by itself.
    pub(crate) async fn keep_for(&self, users: Range<usize>) -> Fallible<()> {
        match &self.protocol {
            Protocol::Irc => Err("IRC keeps nothing".into()),
            Protocol::Mqtt => {
                for user in users {
                    let mut connection = self.connect(user, false).await?;
                    mqtt::listen(&mut connection, To::User(user)).await?;
                    connection.send(mqtt::DISCONNECT).await?;
                }
                Ok(())
            }
            Protocol::Nats => nats::keep(&mut self.connect(0, true).await?).await,
            Protocol::Ours(_) => Ok(()),
        }
    }

    /// Connects and logs in somebody who is to hear what is kept of what they say.
    pub(crate) async fn connect_author(&self, user: usize) -> Fallible<Connection> {
        let mut connection = self.connect(user, true).await?;
        if matches!(self.protocol, Protocol::Nats) {
            nats::hear_what_is_kept(&mut connection).await?;
        }
        Ok(connection)
    }

    /// From now on the connection gets what is said there.
    pub(crate) async fn listen(&self, connection: &mut Connection, to: To<'_>) -> Fallible<()> {
        match &self.protocol {
            Protocol::Irc => irc::listen(connection, to).await,
            Protocol::Mqtt => mqtt::listen(connection, to).await,
            Protocol::Nats => nats::listen(connection, to).await,
            // everybody who is logged in is in the room, and has a mailbox
            Protocol::Ours(_) => Ok(()),
        }
    }

    /// Appends the `count`th message of its sender to `out`, sent now, for `to`. Where it wants to be told that it is kept
    /// (`acknowledge`), the server is asked to.
    pub(crate) fn say(&self, out: &mut Vec<u8>, to: To<'_>, count: u64, acknowledge: bool) {
        let text = stamped(self.bytes);
        match &self.protocol {
            Protocol::Irc => irc::say(out, to, &text),
            Protocol::Mqtt => mqtt::say(out, to, &text, count),
            Protocol::Nats => nats::say(out, to, &text, acknowledge),
            Protocol::Ours(ours) => ours.say(out, to, &text),
        }
    }

    /// Uses the whole frames in `read`: tells `hear` what they say, appends what has to be answered to `out`.
    pub(crate) fn take(&self, read: &mut BytesMut, out: &mut Vec<u8>, hear: &mut dyn FnMut(Event<'_>)) {
        let used = match &self.protocol {
            Protocol::Irc => irc::take(read, out, hear),
            Protocol::Mqtt => mqtt::take(read, out, hear),
            Protocol::Nats => nats::take(read, out, hear),
            Protocol::Ours(ours) => ours.take(read, out, hear),
        };
        read.advance(used);
    }
}

fn stamped(bytes: usize) -> Vec<u8> {
    let mut text = format!("T{:019}", crate::usage::now()).into_bytes();
    text.resize(bytes, b'x');
    text
}

/// When a text was sent, in nanoseconds.
pub(crate) fn sent_at(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"T")?.get(..STAMP - 1)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
