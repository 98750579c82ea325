//! Both ends of a connection in one process.

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::kdf;
use chat_protocol::handshake::{HandshakeError, Secured, ServerKey, client::Hello, server::Listening};
use chat_protocol::message::server::{ServerLimits, Welcome};
use chat_protocol::record::Record;
use chat_protocol::time::Timestamp;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) fn secret() -> FernetKey {
    FernetKey::from_bytes([0x5e; 32])
}

pub(crate) fn server_key() -> ServerKey {
    ServerKey::from_bytes([0x11; 32])
}

pub(crate) fn listening() -> Listening {
    Listening::new(&server_key(), &secret())
}

pub(crate) fn welcome() -> Welcome {
    Welcome {
        version: Some(1),
        lowest: 1,
        highest: 1,
        server_time: NOW,
        limits: ServerLimits { delivery_window: 64, mailbox_days: 30, room_days: 30, invite_only: false },
        features: vec![],
        next_key: None,
        next_key_proof: None,
    }
}

/// A finished handshake: (client's end, server's end).
pub(crate) fn connect() -> (Secured, Secured) {
    let (hello, first) = Hello::start(&server_key().public(), &secret());
    let (second, server) = listening().read(&first).unwrap().reply(&welcome(), NOW).unwrap();
    let (client, _) = hello.finish(&second[2..], NOW).unwrap();
    (client, server)
}

/// A handshake that meets another server than the client pinned.
pub(crate) fn finish_with(hello: Hello, second: &[u8]) -> Result<(), HandshakeError> {
    hello.finish(&second[2..], NOW).map(|_| ())
}

/// What `end` writes for these records.
pub(crate) fn sealed(end: &mut Secured, records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    records.iter().for_each(|record| end.sealer.seal(record, NOW, &mut out));
    out
}

pub(crate) fn data(text: &str) -> Record {
    Record::Data(text.as_bytes().to_vec())
}

/// A record written by hand, under a key of the test's choice.
pub(crate) fn forge(key: &FernetKey, sequence: u64, kind: u8, body: &[u8]) -> Vec<u8> {
    let plaintext = [&sequence.to_be_bytes()[..], &[kind], body].concat();
    framed(key.seal(&plaintext).as_bytes())
}

pub(crate) fn framed(token: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    kdf::put_prefixed(&mut out, token);
    out
}
