//! One value at least of each type that is kept, with something else in every field.

use chat_protocol::rpc::types::{MessagesFrom, TrustPolicy};
use std::fmt::Debug;

use chat_protocol::cbor;
use chat_protocol::crypto::agreement::{PublicKey, SecretKey};
use chat_protocol::crypto::kem::DecapsulationKey;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Fingerprint, Head, HeadHash, KeyHash, MessageId, SessionId, SubmitId, Username};
use chat_protocol::message::{self, Blob};
use chat_protocol::rpc::Name;
use chat_protocol::session::bundle::{KemPrekey, OneTimePrekey, SignedPrekey};
use chat_protocol::session::content::Profile;
use chat_protocol::session::manager::{Failures, Stage, Standing, Standings};
use chat_protocol::session::ratchet::{Header, MessageKey, Parties, Session};
use chat_protocol::time::{SeenMark, Timestamp};

use super::account::{self, AccountRow, Wait};
use super::clients::{Consumer, KvUsage, KvValue, TokenRow, UsedClientId};
use super::counter::Counter;
use super::events::{KeptEvent, Written};
use super::held::{AheadMessage, AuthorEvent, Buffered, BufferedOf, Request, RequestedMessage, Stream, StreamId};
use super::inbox::{Raw, Refused, WaitingInit};
use super::key::Key;
use super::messages::{Chat, ChatName, InChat, Message, MessageKind, ROOM, Reaction, ReadThere, SELF};
use super::outbox::{
    Change, ChangeKind, Item, PendingLog, PendingOwnReceipt, PendingReceipt, PendingSubmit, Read, SubmitKind,
    ToldProfile,
};
use super::peers::{
    ActiveDevice, Contact, DeviceTable, HeardProfile, Identity, Lacking, LogView, Peer, PendingEntry, Trust,
    WaitingDevice,
};
use super::prekeys::CurrentBundle;
use super::sessions::{Stored, Unconfirmed};
use super::state::{Agreed, Due, RoomMark, ServerWord, Settings, Timer};

/// A type that is kept.
pub(super) trait Sample: Sized + Debug + PartialEq {
    /// Values with something else in every field; more than one where one cannot show every variant.
    fn samples() -> Vec<Self>;
}

/// A type of keys.
pub(super) trait SampleKey: Key {
    /// The bytes of some of them: of all, if they can be counted.
    fn sample_bytes() -> Vec<Vec<u8>>;
}

impl<K: Key + Sample> SampleKey for K {
    fn sample_bytes() -> Vec<Vec<u8>> {
        K::samples().iter().map(bytes).collect()
    }
}

impl SampleKey for str {
    fn sample_bytes() -> Vec<Vec<u8>> {
        vec![bytes("some key")]
    }
}

impl SampleKey for [u8] {
    fn sample_bytes() -> Vec<Vec<u8>> {
        vec![bytes(&[0x5b; 36][..])]
    }
}

fn bytes<K: Key + ?Sized>(key: &K) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes);
    bytes
}

impl<A: Sample, B: Sample> Sample for (A, B) {
    fn samples() -> Vec<Self> {
        A::samples().into_iter().map(|first| (first, last())).collect()
    }
}

impl<A: Sample, B: Sample, C: Sample> Sample for (A, B, C) {
    fn samples() -> Vec<Self> {
        A::samples().into_iter().map(|first| (first, last(), last())).collect()
    }
}

impl<T: Sample> Sample for Option<T> {
    fn samples() -> Vec<Self> {
        T::samples().into_iter().map(Some).chain([None]).collect()
    }
}

fn last<T: Sample>() -> T {
    T::samples().pop().unwrap()
}

/// Samples, one after the other.
macro_rules! samples {
    ($($type:ty: $($sample:expr),+;)*) => { $(
        impl Sample for $type {
            fn samples() -> Vec<Self> {
                vec![$($sample),+]
            }
        }
    )* };
}

mod messages;
mod sessions;

fn text(text: &str) -> String {
    text.to_owned()
}

fn user(name: &str) -> Username {
    name.parse().unwrap()
}

const fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn blob(byte: u8) -> Blob {
    Blob(vec![byte; 3])
}

fn device(byte: u8) -> DeviceId {
    DeviceId::new([byte; 16])
}

fn message_id(byte: u8) -> MessageId {
    MessageId::new([byte; 16])
}

fn session_id(byte: u8) -> SessionId {
    SessionId::new([byte; 16])
}

fn fingerprint(byte: u8) -> Fingerprint {
    Fingerprint::new([byte; 32])
}

fn head(seq: u64) -> Head {
    Head { seq, hash: HeadHash::new([0x4e; 32]) }
}

fn secret(byte: u8) -> SecretBytes<32> {
    SecretBytes::new([byte; 32])
}

/// A log of one entry; what it consists of is signed, and so is not encoded anew.
fn log() -> AccountLog {
    cbor::decode_own(include_bytes!("golden/parts/account_log.cbor")).unwrap()
}

fn cert() -> DeviceCert {
    log().devices()[0].cert.clone()
}

samples! {
    u8: 2;
    u64: 7_000_000_001, 8;
    String: text("some text");
    Vec<String>: vec![text("first"), text("second")];
    Vec<DeviceId>: vec![device(0xd2), device(0xd3)];
    [u8; 32]: [0x32; 32];
    (): ();
    Timestamp: at(9);
    Username: user("bob");
    Name: "a-name".parse().unwrap();
    DeviceId: device(0xd1);
    Fingerprint: fingerprint(0xf1);
    KeyHash: KeyHash::new([0x4a; 32]);
    MessageId: message_id(0x1d);
    SessionId: session_id(0x51);
    SubmitId: SubmitId::new(6, [0x5b; 8]);
    ChatName: ChatName::of("@bob").unwrap(), ChatName::of(ROOM).unwrap(), ChatName::of(SELF).unwrap();
    InChat: InChat(user("bob"), text("@carol"));
    BufferedOf: BufferedOf(device(0xd1), text("@bob"));
}

// the account
samples! {
    SecretBytes<32>: secret(0x5e);
    AccountRow:
        account(), with(account::Standing::Waiting), with(account::Standing::LoggedOut),
        with(account::Standing::Revoked), with(account::Standing::Lapsed);
}

fn with(standing: account::Standing) -> AccountRow {
    AccountRow { standing, log: None, ..account() }
}

fn account() -> AccountRow {
    AccountRow {
        user: user("alice"),
        host: text("chat.example"),
        port: 5443,
        server_key: secret(0x61),
        secret: secret(0x62),
        cert: cert(),
        log: Some(log()),
        standing: account::Standing::Active,
        due: Some(at(63)),
        next_key: Some(secret(0x64)),
        wait: Some(Wait { fingerprint: fingerprint(0x65), acceptance: Some(blob(0x66)) }),
        offline_key: Some(secret(0x67)),
    }
}

// what is known about others
samples! {
    Peer: peer(), Peer { trust: Trust::Verified, rival: None, former: Vec::new(), others: Vec::new(), ..peer() };
    DeviceTable: DeviceTable {
        user: user("bob"), fingerprint: fingerprint(0xf3), head: head(26), trust: Trust::Verified, changed: true,
        refused: vec![fingerprint(0xf4)], known_to: Some(27),
        active: vec![ActiveDevice { id: device(0xd4), added: 28 }],
    };
    HeadHash: HeadHash::new([0x4f; 32]);
    TrustPolicy: TrustPolicy::Tofu, TrustPolicy::Notify, TrustPolicy::Strict;
    Contact: Contact { user: user("bob"), alias: Some(text("Bobby")), note: Some(text("a note")), blocked: true, accepted: true };
    HeardProfile: HeardProfile { author: fingerprint(0xf2), profile: profile() };
    LogView: LogView { named: Some(head(21)), told: Some(head(22)), at: Some(at(23)) };
    WaitingDevice: WaitingDevice { cert: cert(), acceptance: Some(blob(0xac)), approved: true };
    PendingEntry: PendingEntry { on: head(24), entry: blob(0xe7) };
}

fn peer() -> Peer {
    let identity = |first_seen| Identity { log: log(), first_seen: at(first_seen) };
    Peer {
        user: user("bob"),
        pinned: identity(1),
        trust: Trust::Tofu,
        rival: Some(identity(2)),
        former: vec![identity(3)],
        withheld_since: Some(at(4)),
        others: vec![identity(5)],
        known_to: Some(6),
        withheld: Some(head(7)),
        withheld_told: Some(at(8)),
        lacking: Some(Lacking { head: head(9), since: at(10), told: true }),
    }
}

fn profile() -> Profile {
    Profile { display_name: text("Bob"), about: text("about Bob"), bot: true, version: 25 }
}

// programs, and where this device stands
samples! {
    Consumer: Consumer { name: text("a-reader"), acked: 11, seen: at(12) };
    TokenRow: TokenRow { json: text("{}"), hash: [0x41; 32] };
    KvUsage: KvUsage { bytes: 5_000, namespaces: 3 };
    KvValue: KvValue { json: text("[1]"), version: 13 };
    UsedClientId: UsedClientId { id: message_id(0x1d), body: [0xb0; 32] };
    Counter: Counter::Event, Counter::Submit, Counter::Outbox, Counter::Message, Counter::Activity, Counter::Mailbox,
        Counter::Taken, Counter::Room, Counter::RoomBefore, Counter::Epoch, Counter::Bundle, Counter::Audit,
        Counter::Ahead, Counter::Reset, Counter::Skewed, Counter::MailboxGeneration, Counter::EventBytes, Counter::KvBytes,
        Counter::Requested, Counter::RequestBytes, Counter::Remembered, Counter::Counted;
    Settings: Settings {
        read_receipts: true, presence: false, history_days: 131, event_days: 132, max_events: 133,
        trust_policy: TrustPolicy::Strict, outbox_days: 134, history_mib: Some(135), max_event_mib: Some(136),
        messages_from: MessagesFrom::ContactsOnly,
    };
    Profile: profile();
    Due: Due::Send, Due::Expire, Due::Overdue;
    RoomMark: RoomMark { at: at(143), cursor: 144 };
    Agreed: Agreed { server: at(140), seen: at(141), earlier_since: Some(at(142)) };
    Timer: timer(Due::Send), timer(Due::Expire), timer(Due::Overdue);
    ServerWord: ServerWord { acked: 141, bundle: 142, submit: 143 };
    SeenMark: SeenMark { time: at(144), wall: at(145) };
}

fn timer(due: Due) -> Timer {
    Timer { due, id: message_id(0x1d) }
}
