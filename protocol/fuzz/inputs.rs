//! What each fuzz target does with its input: every byte a stranger or a bad peer can send.
//!
//! Nothing may panic, and what is accepted must be written back as it was read. The functions are
//! shared with the ordinary test that replays the corpora.
#![allow(dead_code, reason = "each target uses one")]
#![allow(clippy::expect_used, reason = "a failure is what a fuzzer looks for")]

use std::sync::LazyLock;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::kdf;
use chat_protocol::crypto::rsa::{SigningKey, VerifyingKey};
use chat_protocol::frame::decode_frames;
use chat_protocol::handshake::{ServerKey, client::Hello, server, server::Listening};
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::invite::Invite;
use chat_protocol::limits::MAX_RECORD_BYTES_GUEST;
use chat_protocol::message::client::Request;
use chat_protocol::message::server::{
    Bundle, Enrolled, LogPage, LoggedIn, LookedUp, Push, Refusal, ResetState, RoomPage, Welcome,
};
use chat_protocol::record::Opener;
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::content::Content;
use chat_protocol::session::init::Init;
use chat_protocol::session::ratchet::{HEADER_BYTES, Header, Session};
use chat_protocol::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

static KEY: LazyLock<FernetKey> = LazyLock::new(|| FernetKey::from_bytes([7; 32]));
static LISTENING: LazyLock<Listening> = LazyLock::new(|| Listening::new(&ServerKey::from_bytes([0x11; 32]), &KEY));

/// The stream of a stranger, and the plaintext of somebody who has the key.
pub fn records(data: &[u8]) {
    read_stream(data);
    let mut sealed = Vec::new();
    kdf::put_prefixed(&mut sealed, KEY.seal(data).as_bytes());
    read_stream(&sealed);
}

fn read_stream(stream: &[u8]) {
    let mut opener = Opener::new(KEY.bytes(), MAX_RECORD_BYTES_GUEST, NOW);
    for piece in stream.chunks(97) {
        opener.feed(piece);
        while let Ok(Some(_)) = opener.next(NOW) {}
    }
    if let Err(error) = opener.next(NOW) {
        assert_eq!(opener.next(NOW), Err(error), "a failed direction stays failed");
    }
}

/// The body of a data record.
pub fn frames(data: &[u8]) {
    if let Ok(frames) = decode_frames(data) {
        let mut body = Vec::new();
        frames.iter().for_each(|frame| frame.encode_into(&mut body));
        assert_eq!(body, data, "there is one way to write a frame");
    }
}

/// Two bytes of type, then the payload: of every message either side reads.
pub fn messages(data: &[u8]) {
    let Some((number, payload)) = data.split_first_chunk() else { return };
    let number = u16::from_be_bytes(*number);
    let _ = Request::decode(number, payload);
    if let Ok(Some(push)) = Push::decode(number, payload) {
        let again = Push::decode(number, &push.encode()).expect("our own encoding");
        assert_eq!(again, Some(push));
    }
    answers(payload);
}

fn answers(payload: &[u8]) {
    use chat_protocol::cbor::decode;
    let _ = decode::<Welcome>(payload);
    let _ = decode::<Enrolled>(payload);
    let _ = decode::<ResetState>(payload);
    let _ = decode::<LoggedIn>(payload);
    let _ = decode::<LookedUp>(payload);
    let _ = decode::<LogPage>(payload);
    let _ = decode::<Bundle>(payload);
    let _ = decode::<RoomPage>(payload);
    let _ = decode::<Refusal>(payload);
}

/// A client's first words, and a server's answer to ours.
pub fn handshake(data: &[u8]) {
    let _ = server::wanted(data);
    let _ = LISTENING.read(data);
    let (hello, _) = Hello::start(&ServerKey::from_bytes([0x11; 32]).public(), &KEY);
    assert!(hello.finish(data, NOW).is_err(), "nobody answers a handshake without its keys");
}

/// The line a user pastes.
pub fn invite(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(invite) = Invite::parse(text) {
        assert_eq!(*invite.to_text(), text.trim(), "there is one way to write an invite");
    }
}

/// Certificates, account logs and keys: what the server hands on from others, and files a user imports.
pub fn identity(data: &[u8]) {
    if let Ok(cert) = DeviceCert::decode(data) {
        assert_eq!(cert.bytes(), data, "a certificate keeps its bytes");
    }
    let mut entries = Vec::new();
    let mut rest = data;
    while let Ok((entry, after)) = chat_protocol::cbor::split_item(rest) {
        entries.push(entry);
        rest = after;
    }
    let _ = AccountLog::verify(&"alice".parse().expect("a name"), &entries);
    if let Ok(key) = VerifyingKey::from_spki(data) {
        assert_eq!(key.to_spki(), data, "there is one way to write a key");
    }
    let _ = std::str::from_utf8(data).map(SigningKey::from_plain_pem);
}

/// What one device says to another: bundle, INIT, header, content.
pub fn sessions(data: &[u8]) {
    static CERT: LazyLock<DeviceCert> =
        LazyLock::new(|| DeviceCert::decode(include_bytes!("corpus/identity/cert")).expect("the seed"));
    let _ = VerifiedBundle::verify(data, &CERT);
    let _ = Init::read(data);
    if let Ok(header) = Header::read(data) {
        assert_eq!(header.to_bytes(), data);
    }
    let _ = Content::decode(data);
    let len = [480, 992, 2016, 4064].into_iter().find(|len| *len > data.len()).unwrap_or(data.len() + 1);
    let mut padded = [data, &[0x80]].concat();
    padded.resize(len, 0);
    if let Ok(content) = Content::decode(&padded) {
        let _ = content.encode();
    }
}

/// A message on a session, header and token: whatever it is, the session stays usable.
pub fn ratchet(data: &[u8]) {
    static SESSION: LazyLock<Session> =
        LazyLock::new(|| chat_protocol::cbor::decode(include_bytes!("session.cbor")).expect("a stored session"));
    let (header, token) = data.split_at(data.len().min(HEADER_BYTES));
    if let Ok(opened) = SESSION.open(header, token, None, &mut rand::rng()) {
        assert!(opened.new_skipped.len() <= 1000, "one message skips at most 1000");
    }
}
