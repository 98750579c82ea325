//! chat-server: Noise, then Fernet records, by the protocol's own crate.

mod frames;
mod register;
mod stream;

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, BytesMut};
use chat_protocol::cbor;
use chat_protocol::crypto::fernet::{FernetKey, raw_token_len};
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::crypto::labels::Label;
use chat_protocol::crypto::rsa::Context;
use chat_protocol::fixtures::worthless_envelope;
use chat_protocol::frame::Frame;
use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::handshake::client::Hello;
use chat_protocol::identity::login::Binding;
use chat_protocol::ids::{DeviceId, Head, HeadHash, MessageId, SubmitId, Username};
use chat_protocol::invite::Invite;
use chat_protocol::limits::MAX_RECORD_BYTES;
use chat_protocol::message::client::{Addressed, Login, MailboxAck, RoomPost, Submit, UserHead};
use chat_protocol::message::push::Deliver;
use chat_protocol::message::server::{Push, Refusal};
use chat_protocol::message::{Blob, Call};
use chat_protocol::session::content::{Ack, Body, Content, Conversation, Heads, SenderSeq, Text};
use chat_protocol::time::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PSS_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Event, To};
use crate::Fallible;
use crate::connection::Connection;
use frames::{ANSWER, PUSH, REFUSAL, RawFrame};
use stream::Stream;

/// Signing keys of the protocol's test devices, which repeat; `ring` wants them as bytes.
const SIGNING_KEYS: [&str; 8] = [
    include_str!("../../../../protocol/tests/fixtures/sign_0.pem"),
    include_str!("../../../../protocol/tests/fixtures/sign_1.pem"),
    include_str!("../../../../protocol/tests/fixtures/sign_2.pem"),
    include_str!("../../../../protocol/tests/fixtures/sign_3.pem"),
    include_str!("../../../../protocol/tests/fixtures/sign_4.pem"),
    include_str!("../../../../protocol/tests/fixtures/sign_5.pem"),
    include_str!("../../../../protocol/tests/fixtures/sign_6.pem"),
    include_str!("../../../../protocol/tests/fixtures/sign_7.pem"),
];

/// A device as a line of the file names it: `user-number device-id head-sequence head-hash`.
struct Known {
    user: Username,
    device: DeviceId,
    head: Head,
}

/// One chat-server, the devices that are known there, and their keys.
pub(crate) struct Ours {
    server_key: ServerPublicKey,
    secret: FernetKey,
    known: HashMap<usize, Known>,
    keys: Vec<RsaKeyPair>,
    /// Of submit ids, which count up over all runs on the same data: it begins at the clock.
    counter: Cell<u64>,
    /// Of requests.
    requests: Cell<u64>,
    /// What a text of the planned size is as a token.
    token_bytes: usize,
}

impl Ours {
    /// From the files of an invite and of known devices; the latter may be missing.
    pub(crate) fn load(invite: &Path, devices: &Path, bytes: usize) -> Fallible<Self> {
        let invite = Invite::parse(&fs::read_to_string(invite)?)?;
        let lines = fs::read_to_string(devices).unwrap_or_default();
        let known = lines.lines().map(read_device).collect::<Fallible<_>>()?;
        let keys = SIGNING_KEYS.into_iter().map(signing_key).collect::<Fallible<_>>()?;
        Ok(Self {
            server_key: invite.server_key,
            secret: invite.secret,
            known,
            keys,
            counter: Cell::new(now().as_millis() * 1000),
            requests: Cell::new(0),
            token_bytes: raw_token_len(content_bytes(bytes)),
        })
    }

    fn request(&self, ask: &impl Call, out: &mut Vec<u8>) -> u64 {
        let number = self.requests.get() + 1;
        self.requests.set(number);
        Frame::request(number, ask).encode_into(out);
        number
    }

    fn submit_id(&self) -> SubmitId {
        self.counter.set(self.counter.get() + 1);
        SubmitId::new(self.counter.get(), [7; 8])
    }

    fn known(&self, user: usize) -> &Known {
        self.known.get(&user).expect("every user of a workload was registered")
    }

    /// The handshake.
    async fn open(&self, address: &str) -> Fallible<(Connection, Binding)> {
        let mut io = TcpStream::connect(address).await?;
        io.set_nodelay(true)?;
        let (hello, first) = Hello::start(&self.server_key, &self.secret);
        io.write_all(&first).await?;
        let mut prefix = [0; 2];
        io.read_exact(&mut prefix).await?;
        let mut message = vec![0; Hello::message2_len(prefix)?];
        io.read_exact(&mut message).await?;
        let (secured, _welcome) = hello.finish(&message, now())?;
        let binding = Binding { channel: secured.channel_binding, server_key: *secured.server_key.as_bytes() };
        let mut opener = secured.opener;
        opener.set_limit(MAX_RECORD_BYTES);
        let io = Box::new(Stream::new(io, secured.sealer, opener));
        Ok((Connection { io, read: BytesMut::new() }, binding))
    }

    /// Asks, and waits for the answer; what comes before it is passed over.
    async fn call<T: Call>(&self, connection: &mut Connection, ask: &T) -> Fallible<T::Answer> {
        let mut out = Vec::new();
        let number = self.request(ask, &mut out);
        connection.send(&out).await?;
        loop {
            while let Some(frame) = RawFrame::first(&connection.read) {
                let answer = (frame.id == number && frame.kind != PUSH).then(|| (frame.kind, frame.payload.to_vec()));
                let bytes = frame.bytes;
                connection.read.advance(bytes);
                match answer {
                    Some((ANSWER, payload)) => return Ok(cbor::decode(&payload)?),
                    Some((_, payload)) => return Err(refused(T::TYPE, &payload).into()),
                    None => {}
                }
            }
            connection.fill().await?;
        }
    }

    /// Handshake, and login with the device's key.
    pub(super) async fn connect(&self, address: &str, user: usize) -> Fallible<Connection> {
        let known = self.known.get(&user).ok_or_else(|| format!("user {user} was not registered"))?;
        let (mut connection, binding) = self.open(address).await?;
        let object = sha256(&binding.login_object(&known.user, &known.device));
        let message = [Label::Signature.as_bytes(), &[0], Context::Login.as_bytes(), &[0], &object].concat();
        let key = &self.keys[user % self.keys.len()];
        let mut signature = vec![0; key.public_key().modulus_len()];
        let signed = key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), &message, &mut signature);
        signed.map_err(|_| "a key of the fixtures does not sign")?;
        let (user, device) = (known.user.clone(), known.device);
        self.call(&mut connection, &Login { user, device, signature: Blob(signature), acceptance: None }).await?;
        Ok(connection)
    }

    /// A post, or a submit for the one device of a user. The server never looks into envelopes, so it is not encrypted: it is
    /// the text, filled up to the size of the token that such a text becomes.
    pub(super) fn say(&self, out: &mut Vec<u8>, to: To<'_>, text: &[u8]) {
        match to {
            To::Room(_) => {
                let text = String::from_utf8_lossy(text).into_owned();
                self.request(&RoomPost { submit_id: self.submit_id(), text }, out);
            }
            To::User(user) => {
                self.request(&self.submit(self.known(user), text), out);
            }
        }
    }

    fn submit(&self, to: &Known, text: &[u8]) -> Submit {
        let mut envelope = worthless_envelope(self.token_bytes.max(text.len()));
        envelope.token.0[..text.len()].copy_from_slice(text);
        Submit {
            submit_id: self.submit_id(),
            heads: vec![UserHead { user: to.user.clone(), head: to.head }],
            to: vec![Addressed { device: to.device, envelope }],
            group: None,
        }
    }

    /// One acknowledgement, cumulative, for all deliveries that are there.
    pub(super) fn take(&self, read: &[u8], out: &mut Vec<u8>, hear: &mut dyn FnMut(Event<'_>)) -> usize {
        let (mut used, mut last) = (0, 0);
        while let Some(frame) = RawFrame::first(&read[used..]) {
            used += frame.bytes;
            match (frame.kind, frame.number) {
                (PUSH, frames::DELIVER) => {
                    if let Some((seq, token)) = frames::delivered(frame.payload) {
                        last = seq;
                        hear(Event::Message(token));
                    }
                }
                (PUSH, frames::ROOM) => {
                    if let Some(text) = frames::posted(frame.payload) {
                        hear(Event::Message(text));
                    }
                }
                (ANSWER, Submit::TYPE | RoomPost::TYPE) => hear(Event::Accepted),
                (REFUSAL, number) => {
                    eprintln!("chat-bench: {}", refused(number, frame.payload));
                    hear(Event::Refused);
                }
                _ => {}
            }
        }
        if last > 0 {
            self.request(&MailboxAck { seq: last }, out);
        }
        used
    }

    /// What one direct message is, from its text to the records on the wire, in bytes.
    pub(crate) fn sizes(&self, bytes: usize) -> Value {
        let head = Head { seq: 0, hash: HeadHash::new([1; 32]) };
        let to = Known { user: name(1), device: DeviceId::new([1; 16]), head };
        let submit = self.submit(&to, &[]);
        let envelope = submit.to.first().map(|addressed| addressed.envelope.clone()).expect("one device");
        let deliver = Deliver { mailbox_seq: 100_000, from: to.user.clone(), from_device: to.device, envelope };
        let wire = |frame: &Frame| {
            let mut encoded = Vec::new();
            frame.encode_into(&mut encoded);
            // length, then the token of its kind and the frame, in base64
            4 + raw_token_len(9 + encoded.len()).div_ceil(3) * 4
        };
        json!({
            "text": bytes,
            "content": content_bytes(bytes),
            "token": self.token_bytes,
            "submit": wire(&Frame::request(100_000, &submit)),
            "deliver": wire(&Frame::push(&Push::Deliver(deliver.into()))),
        })
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(0))
}

fn name(user: usize) -> Username {
    format!("u{user:06}").parse().expect("digits behind a letter are a name")
}

fn refused(number: u16, payload: &[u8]) -> String {
    let refusal = cbor::decode::<Refusal>(payload).map(|refusal| (refusal.code, refusal.retry_after_ms));
    format!("the server refused a request of type {number}: {refusal:?}")
}

fn read_device(line: &str) -> Fallible<(usize, Known)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [user, device, seq, hash] = fields[..] else { return Err(format!("no device: {line}").into()) };
    let user: usize = user.parse()?;
    let head = Head { seq: seq.parse()?, hash: hash.parse()? };
    Ok((user, Known { user: name(user), device: device.parse()?, head }))
}

fn signing_key(pem: &str) -> Fallible<RsaKeyPair> {
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(base64)?).map_err(|error| format!("a key of the fixtures: {error}").into())
}

/// A content with a text of so many bytes and one acknowledgement, padded.
fn content_bytes(text: usize) -> usize {
    let head = Head { seq: 0, hash: HeadHash::new([1; 32]) };
    let content = Content {
        conversation: Conversation::Direct(name(1)),
        id: MessageId::new([1; 16]),
        sender_seq: Some(SenderSeq { epoch: 1, n: 1000, first: Some(1) }),
        sent: now(),
        heads: Heads { own: head, peer: head },
        acks: vec![Ack { device: DeviceId::new([1; 16]), epoch: 1, below: 1000, given_up: vec![] }],
        body: Body::Text(Text { text: "x".repeat(text), ..Text::default() }),
    };
    content.encode().map_or(0, |content| content.len())
}
