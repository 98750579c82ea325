//! What parsing once is worth: the way it was and the way it is, in one run.
//!
//! `cargo bench --package chat-protocol --features rpc --bench parse`
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark measures and prints, and its values are its own"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use chat_protocol::cbor;
use chat_protocol::crypto::kdf::sha256;
use chat_protocol::frame::{Frame, push_into};
use chat_protocol::ids::{DeviceId, Head, HeadHash, MessageId, SessionId, SubmitId, Username};
use chat_protocol::message::client::{Addressed, Request, Submit};
use chat_protocol::message::server::{DELIVER, Deliver, Push};
use chat_protocol::message::{Blob, Call, Envelope, Verbatim};
use chat_protocol::rpc::{Event, EventBody, Notified, WrittenEvent};
use chat_protocol::session::content::{Body, Content, Conversation, Heads, SenderSeq};
use chat_protocol::session::init::Init;
use chat_protocol::time::Timestamp;

/// Subscribers of the event log.
const READERS: usize = 10;
/// How often an INIT was read before its session stood, and a content until it was shown.
const INIT_READS: usize = 4;
const CONTENT_READS: usize = 3;
const ROUNDS: usize = 25;
const ROUND: Duration = Duration::from_millis(20);

fn main() {
    println!("{:<44} {:>12} {:>12} {:>7}", "", "before", "after", "ratio");
    for (name, token, init) in [("1 KiB", 1024, 0), ("1 KiB with INIT", 1024, 3_000), ("64 KiB", 64 * 1024, 0)] {
        let submit = submit(token, init);
        let payload = cbor::encode(&submit);
        let title = format!("envelope through the server, {name}");
        compare(&title, || envelope_before(&payload), || envelope_after(&payload));
        let deliver = cbor::encode(&deliver(submit.to[0].envelope.clone()));
        let title = format!("envelope at its device, {name}");
        compare(&title, || delivery_before(&deliver), || Push::decode(DELIVER, &deliver).unwrap());
    }
    let init = init();
    compare("INIT until its session stands", || init_before(&init), || init_after(&init));
    let content = content("x".repeat(300)).encode().unwrap();
    let before = || times(CONTENT_READS, || Content::decode(&content).unwrap());
    compare("content until it is shown", before, || Content::decode(&content).unwrap());
    let (json, written) = event();
    compare("event to ten subscribers", || event_before(&json), || event_after(&written));
}

/// Prints the time of one pass of either: the quickest of some rounds, which take turns, since others use the machine too.
fn compare<A, B>(title: &str, before: impl Fn() -> A, after: impl Fn() -> B) {
    let (mut was, mut is) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..ROUNDS {
        was = was.min(round(&before));
        is = is.min(round(&after));
    }
    println!("{title:<44} {was:>9.0} ns {is:>9.0} ns {:>6.1}x", was / is);
}

/// Nanoseconds of one pass.
fn round<T>(work: impl Fn() -> T) -> f64 {
    let (begun, mut passes) = (Instant::now(), 0);
    while begun.elapsed() < ROUND {
        (0..32).for_each(|_| drop(black_box(work())));
        passes += 32;
    }
    begun.elapsed().as_nanos() as f64 / f64::from(passes)
}

/// Does the same so often; what came of it the last time.
fn times<T>(count: usize, work: impl Fn() -> T) -> T {
    (1..count).for_each(|_| drop(black_box(work())));
    work()
}

fn user() -> Username {
    "alice".parse().unwrap()
}

fn device() -> DeviceId {
    DeviceId::new([4; 16])
}

fn submit(token: usize, init: usize) -> Submit {
    let init = (init > 0).then(|| vec![3; init].into());
    let envelope =
        Envelope { sid: SessionId::new([7; 16]), header: vec![1; 40].into(), token: vec![2; token].into(), init };
    let to = vec![Addressed { device: device(), envelope }];
    Submit { submit_id: SubmitId::new(1, [5; 8]), heads: Vec::new(), to, group: None }
}

fn deliver(envelope: Envelope) -> Deliver {
    Deliver { mailbox_seq: 3, from: user(), from_device: device(), envelope }
}

/// Decoded, encoded for the mailbox, copied for the push, decoded and encoded for it.
fn envelope_before(payload: &[u8]) -> Vec<u8> {
    let submit: Submit = cbor::decode(payload).unwrap();
    let row = cbor::encode(&submit.to[0].envelope);
    let copied = row.clone();
    let deliver = deliver(cbor::decode(&copied).unwrap());
    let frame = Frame { payload: cbor::encode(&deliver), ..Frame::push(&Push::Drained(drained())) };
    let mut body = Vec::with_capacity(frame.payload.len() + 16);
    frame.encode_into(&mut body);
    body
}

fn drained() -> chat_protocol::message::server::MailboxDrained {
    chat_protocol::message::server::MailboxDrained { seq: 0 }
}

fn envelope_after(payload: &[u8]) -> Vec<u8> {
    let Ok(Request::Submit(submit)) = Request::decode(Submit::TYPE, payload) else { panic!("a submit") };
    let row = submit.to.into_iter().next().unwrap().envelope.into_bytes();
    let deliver = Deliver { mailbox_seq: 3, from: user(), from_device: device(), envelope: Verbatim(&row) };
    let mut body = Vec::with_capacity(row.len() + 64);
    push_into(DELIVER, &deliver, &mut body);
    body
}

fn delivery_before(payload: &[u8]) -> (Deliver, [u8; 32]) {
    let deliver: Deliver = cbor::decode(payload).unwrap();
    let hash = sha256(&cbor::encode(&deliver));
    (deliver, hash)
}

/// An INIT of the usual size. That nobody could open it does not matter to whoever reads it.
fn init() -> Vec<u8> {
    let party = |n: u8| (user(), DeviceId::new([n; 16]), HeadHash::new([n; 32]), head());
    let ((a, b, c, d), (e, f, g, h)) = (party(1), party(2));
    let fields =
        Fields(Party(a, b, c, d), Party(e, f, g, h), Blob(vec![7; 32]), Blob(vec![8; 512]), Blob(vec![9; 1088]));
    let bytes = cbor::encode(&fields);
    Init::read(&bytes).unwrap();
    bytes
}

/// As INITs are written; see PROTOCOL.md.
struct Fields(Party, Party, Blob, Blob, Blob);
struct Party(Username, DeviceId, HeadHash, Head);

impl<C> minicbor::Encode<C> for Party {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(4)?.u8(0)?.encode_with(&self.0, ctx)?.u8(1)?.encode_with(self.1, ctx)?;
        e.u8(2)?.encode_with(self.2, ctx)?.u8(3)?.encode_with(self.3, ctx)?.ok()
    }
}

impl<C> minicbor::Encode<C> for Fields {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.map(11)?.u8(0)?.u8(1)?.u8(1)?.u8(1)?.u8(2)?.encode_with(&self.0, ctx)?.u8(3)?.encode_with(&self.1, ctx)?;
        e.u8(4)?.bytes(&[6; 32])?.u8(5)?.u8(1)?.u8(6)?.u8(1)?.u8(8)?.encode_with(&self.2, ctx)?;
        e.u8(9)?.encode_with(&self.3, ctx)?.u8(10)?.encode_with(&self.4, ctx)?.u8(11)?.u64(1_800_000_000_000)?.ok()
    }
}

fn head() -> Head {
    Head { seq: 12, hash: HeadHash::new([1; 32]) }
}

fn init_before(bytes: &[u8]) -> Init {
    times(INIT_READS, || Init::read(bytes).unwrap())
}

/// Read once, and known again by its bytes.
fn init_after(bytes: &[u8]) -> (Init, bool) {
    let init = Init::read(bytes).unwrap();
    let known = (1..INIT_READS).all(|_| black_box(&init).bytes() == black_box(bytes));
    (init, known)
}

fn content(text: String) -> Content {
    Content {
        conversation: Conversation::Direct(user()),
        id: MessageId::new([7; 16]),
        sender_seq: Some(SenderSeq { epoch: 1_700_000_000_000, n: 70_000, first: None }),
        sent: Timestamp::from_millis(1_800_000_000_000),
        heads: Heads { own: head(), peer: head() },
        acks: Vec::new(),
        body: Body::text(text),
    }
}

fn event() -> (String, WrittenEvent) {
    let message = serde_json::json!({
        "id": "0198f3a2-5c41-7d3e-9b62-4f8a1c7e2d90", "chat": "@bob", "from": "alice", "outgoing": true,
        "text": "x".repeat(300), "sent_ms": 1, "stored_ms": 2, "state": "delivered"
    });
    let body = EventBody::MessageNew(serde_json::from_value(message).unwrap());
    let whole = Event::durable(7, 1_800_000_000_000, None, &body);
    (serde_json::to_string(&whole).unwrap(), WrittenEvent::durable(7, 1_800_000_000_000, None, &body))
}

/// Parsed from its row and written for each.
fn event_before(json: &str) -> usize {
    let one = |_| {
        let event: Event = serde_json::from_str(json).unwrap();
        let wanted = event.data.get("outgoing").and_then(serde_json::Value::as_bool) == Some(true);
        let notified = Notified { subscription: "0198f3a25c417d3e9b624f8a1c7e2d90".to_owned(), event };
        serde_json::to_string(&notified).unwrap().len() * usize::from(wanted)
    };
    (0..READERS).map(one).sum()
}

fn event_after(written: &WrittenEvent) -> usize {
    let one = |_| {
        let (event, mut json) = (written.clone(), String::new());
        event.write_into(&mut json, Some("0198f3a25c417d3e9b624f8a1c7e2d90"), false);
        json.len() * usize::from(event.outgoing)
    };
    (0..READERS).map(one).sum()
}
