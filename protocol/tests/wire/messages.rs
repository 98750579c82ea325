//! Every message of the protocol against its frozen bytes: numbers and fields may never move.

use chat_protocol::cbor;
use chat_protocol::crypto::group::AppendToken;
use chat_protocol::ids::{
    DeviceId, Fingerprint, GroupAt, GroupHead, GroupId, Head, HeadHash, KeyHash, OpHash, SessionId, SubmitId,
    TokenHash, Username,
};
use chat_protocol::message::client::*;
use chat_protocol::message::server::*;
use chat_protocol::message::{Blob, Call, Done, Envelope};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};
use serde_json::Value;

use super::vectors::{bytes, vector};

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn user(name: &str) -> Username {
    name.parse().unwrap()
}

fn blob(text: &str) -> Blob {
    Blob(text.as_bytes().to_vec())
}

fn password(text: &str) -> Password {
    Password::new(text.into()).unwrap()
}

fn head() -> Head {
    Head { seq: 3, hash: HeadHash::new([0xaa; 32]) }
}

fn device() -> DeviceId {
    DeviceId::new([0xdd; 16])
}

fn submit_id() -> SubmitId {
    SubmitId::new(7, [9; 8])
}

fn envelope() -> Envelope {
    let (sid, header) = (SessionId::new([0x51; 16]), Blob(vec![0; 40]));
    Envelope { sid, header, token: blob("token"), init: Some(blob("init")) }
}

fn user_head() -> UserHead {
    UserHead { user: user("bob"), head: head() }
}

fn group() -> GroupAt {
    GroupAt { group: GroupId::new([0xaa; 32]), head: GroupHead { seq: 3, hash: OpHash::new([0xaa; 32]) } }
}

fn next_token() -> TokenHash {
    TokenHash::new([0x70; 32])
}

fn logged_in() -> LoggedIn {
    LoggedIn {
        head: head(),
        mailbox_acked: 10,
        mailbox_last: 12,
        bundle_seq: 2,
        submit_counter: 7,
        room_last: 99,
        reset_pending: Some(AT),
        mailbox_generation: 1,
    }
}

fn post() -> Post {
    let (at, text) = (AT, "hi all".into());
    Post { room_seq: 99, user: user("bob"), at, text, submit_id: submit_id(), device: device() }
}

/// The frozen messages of one group, each to be asked for once.
struct Frozen(Vec<Value>);

impl Frozen {
    fn group(name: &str) -> Self {
        Self(vector(include_str!("../vectors/messages.json"))[name].as_array().unwrap().clone())
    }

    fn take(&mut self, name: &str) -> Value {
        let index = self.0.iter().position(|message| message["name"] == name).unwrap();
        self.0.remove(index)
    }

    fn request<T: Call + Clone>(&mut self, name: &str, call: &T, wrap: fn(T) -> Request) {
        let frozen = self.take(name);
        assert_eq!(frozen["number"], T::TYPE, "{name}");
        assert_eq!(hex::encode(cbor::encode(call)), frozen["payload"], "{name}");
        assert_eq!(Request::decode(T::TYPE, &bytes(&frozen["payload"])), Ok(wrap(call.clone())), "{name}");
    }

    fn answer<T>(&mut self, name: &str, answer: &T)
    where
        T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + std::fmt::Debug + Clone,
    {
        let frozen = self.take(name);
        assert_eq!(hex::encode(cbor::encode(answer)), frozen["payload"], "{name}");
        assert_eq!(cbor::decode::<T>(&bytes(&frozen["payload"])), Ok(answer.clone()), "{name}");
    }

    fn push(&mut self, name: &str, push: &Push) {
        let frozen = self.take(name);
        assert_eq!(frozen["number"], push.number(), "{name}");
        assert_eq!(hex::encode(push.encode()), frozen["payload"], "{name}");
        assert_eq!(Push::decode(push.number(), &bytes(&frozen["payload"])), Ok(Some(push.clone())), "{name}");
    }

    fn done(self) {
        assert!(self.0.is_empty(), "not tested: {:?}", self.0);
    }
}

#[test]
fn requests_of_guests_and_about_people_are_frozen() {
    let mut frozen = Frozen::group("requests");
    frozen.0.retain(|message| message["number"].as_u64() < Some(32));
    let (user, password) = (user("alice"), password("correct horse"));
    let (cert, signature) = (blob("cert"), blob("signature"));
    let register = Register { user: user.clone(), password: password.clone(), invite: Some(Blob(vec![0; 16])) };
    frozen.request("register", &register, Request::Register);
    let enrol = Enrol {
        user: user.clone(),
        password: password.clone(),
        cert: cert.clone(),
        signature: signature.clone(),
        genesis: Some(blob("genesis")),
    };
    frozen.request("enrol", &enrol, Request::Enrol);
    let reset =
        Reset { user: user.clone(), password, cert, signature: signature.clone(), genesis: Some(blob("genesis")) };
    frozen.request("reset", &reset, Request::Reset);
    let login = Login { user: user.clone(), device: device(), signature, acceptance: Some(blob("acceptance")) };
    frozen.request("login", &login, Request::Login);
    frozen.request("lookup", &Lookup { users: vec![user.clone(), self::user("bob")] }, Request::Lookup);
    frozen.request("log_fetch", &LogFetch { user, from: 2 }, Request::LogFetch);
    frozen.request("log_append", &LogAppend { head: head(), entry: blob("entry") }, Request::LogAppend);
    let change = ChangePassword { old: self::password("old one"), new: self::password("new one") };
    frozen.request("change_password", &change, Request::ChangePassword);
    frozen.request("reset_cancel", &ResetCancel {}, Request::ResetCancel);
    frozen.request("devices_waiting", &DevicesWaiting {}, Request::DevicesWaiting);
    frozen.request("presence_watch", &PresenceWatch { visible: true }, Request::PresenceWatch);
    frozen.done();
}

#[test]
fn requests_about_messages_are_frozen() {
    let mut frozen = Frozen::group("requests");
    frozen.0.retain(|message| message["number"].as_u64() >= Some(32));
    let publish = BundlePublish { bundle: blob("bundle"), one_time: vec![Blob(vec![0; 32])] };
    frozen.request("bundle_publish", &publish, Request::BundlePublish);
    frozen.request("bundle_fetch", &BundleFetch { user: user("bob"), device: device() }, Request::BundleFetch);
    frozen.request("one_time_status", &OneTimeStatus {}, Request::OneTimeStatus);
    let to = vec![Addressed { device: device(), envelope: envelope() }];
    let submit = Submit { submit_id: submit_id(), heads: vec![user_head()], to, group: None };
    frozen.request("submit", &submit, |submit| Request::Submit(cbor::decode(&cbor::encode(&submit)).unwrap()));
    frozen.request("mailbox_ack", &MailboxAck { seq: 300 }, Request::MailboxAck);
    frozen.request("room_post", &RoomPost { submit_id: submit_id(), text: "hi all".into() }, Request::RoomPost);
    frozen.request("room_since", &RoomSince { seq: Some(98), max: 500 }, Request::RoomSince);
    let token = Some(AppendToken::new([0x71; 32]));
    let append = GroupAppend { group: group().group, head: group().head, next_token: next_token(), token };
    frozen.request("group_append", &append, Request::GroupAppend);
    let query = GroupHeadQuery { group: group().group, head: group().head };
    frozen.request("group_head", &query, Request::GroupHead);
    frozen.done();
}

#[test]
fn a_submit_in_a_group_is_frozen() {
    let mut frozen = Frozen::group("in_group");
    let to = vec![Addressed { device: device(), envelope: envelope() }];
    let submit = Submit { submit_id: submit_id(), heads: vec![user_head()], to, group: Some(group()) };
    frozen.request("submit", &submit, |submit| Request::Submit(cbor::decode(&cbor::encode(&submit)).unwrap()));
    frozen.done();
}

#[test]
fn atk_62_a_token_on_its_way_to_the_notary_does_not_print() {
    let token = Some(AppendToken::new([0x71; 32]));
    let append = GroupAppend { group: group().group, head: group().head, next_token: next_token(), token };
    let text = format!("{append:?}");
    assert!(text.contains("AppendToken(SecretBytes<32>(..))") && !text.contains(&"71".repeat(4)), "{text}");
    assert_eq!(minicbor::len(&append), cbor::encode(&append).len());
}

#[test]
fn answers_are_frozen() {
    let mut frozen = Frozen::group("answers");
    frozen.answer("done", &Done {});
    frozen.answer("enrolled_ready", &Enrolled::Ready(logged_in()));
    frozen.answer("enrolled_approval_required", &Enrolled::ApprovalRequired(head(), Fingerprint::new([0xaa; 32])));
    frozen.answer("reset_done", &ResetState::Done(logged_in()));
    frozen.answer("reset_waiting", &ResetState::Waiting(AT));
    frozen.answer("logged_in", &logged_in());
    let alice = KnownUser { user: user("alice"), head: Some(head()), online: true };
    let bob = KnownUser { user: user("bob"), head: None, online: false };
    frozen.answer("looked_up", &LookedUp { users: vec![alice, bob] });
    frozen.answer("log_page", &LogPage { entries: vec![blob("entry"); 2], head: head() });
    frozen.answer("bundle", &Bundle { bundle: blob("bundle"), one_time: Some(Blob(vec![0; 32])) });
    frozen.answer("one_time_left", &OneTimeLeft { hashes: vec![KeyHash::new([0xaa; 32])], bundle_seq: 2 });
    frozen.answer("accepted", &Accepted { full: vec![device()] });
    frozen.answer("room_posted", &RoomPosted { room_seq: 99, at: AT });
    frozen.answer("room_page", &RoomPage { posts: vec![post()], last: 99, oldest: 1 });
    frozen.answer("presence_list", &PresenceList { users: vec![user("alice"), user("bob")] });
    frozen.answer("group_stands", &GroupStands { last: 7, there: OpThere::NotYet, next_token: next_token() });
    let waiting = WaitingDevice { cert: blob("cert"), acceptance: Some(blob("acceptance")) };
    frozen.answer("waiting_devices", &WaitingDevices { devices: vec![waiting] });
    let refusal = Refusal { code: Code::Stale, retry_after_ms: Some(1500), heads: Some(vec![user_head()]) };
    frozen.answer("refusal", &refusal);
    let next_key_proof = Some(Box::new(NextKeyProof { key: blob("key"), signature: blob("signature") }));
    let next_key = Some(Blob(vec![0; 32]));
    let welcome = Welcome { server_time: AT, next_key, next_key_proof, ..super::connection::welcome() };
    frozen.answer("welcome", &welcome);
    frozen.done();
}

#[test]
fn pushes_are_frozen() {
    let mut frozen = Frozen::group("pushes");
    let deliver = Deliver { mailbox_seq: 12, from: user("bob"), from_device: device(), envelope: envelope() };
    frozen.push("deliver", &Push::Deliver(deliver.into()));
    frozen.push("room", &Push::Room(post()));
    let change = PresenceChange { online: vec![user("alice")], offline: vec![user("bob")] };
    frozen.push("presence", &Push::Presence(change));
    frozen.push("reset_notice", &Push::Reset(ResetNotice { at: Some(AT) }));
    frozen.push("log_grew", &Push::LogGrew(LogGrew { user: user("alice"), head: head() }));
    frozen.push("drained", &Push::Drained(MailboxDrained { seq: 12 }));
    frozen.push("device_waits", &Push::DeviceWaits(DeviceWaits { device: device() }));
    frozen.push("room_grew", &Push::RoomGrew(RoomGrew { seq: 99 }));
    frozen.done();
}

#[test]
fn codes_are_frozen() {
    let codes = [
        Code::BadRequest,
        Code::Unsupported,
        Code::Denied,
        Code::ApprovalRequired,
        Code::Busy,
        Code::RateLimited,
        Code::Stale,
        Code::MailboxFull,
        Code::TooLarge,
        Code::Exists,
        Code::NotFound,
        Code::Internal,
        Code::Revoked,
    ];
    for (number, code) in (0u8..).zip(codes) {
        assert_eq!(cbor::encode(&code), [number], "{code:?}");
    }
}

#[test]
fn the_document_names_every_number() {
    let document = include_str!("../../PROTOCOL.md");
    let vector = vector(include_str!("../vectors/messages.json"));
    for (group, heading) in [("requests", "### 6.1"), ("pushes", "### 6.2")] {
        let (_, section) = document.split_once(heading).unwrap();
        for message in vector[group].as_array().unwrap() {
            let row = format!("| {} | `{}` |", message["number"], message["name"].as_str().unwrap());
            assert!(section.contains(&row), "{row}");
        }
    }
}

#[test]
fn the_document_states_the_limits_that_hold() {
    use chat_protocol::limits::{MAX_RECORD_BYTES, MAX_RECORD_BYTES_GUEST};
    use chat_protocol::record::max_body;
    assert_eq!((max_body(MAX_RECORD_BYTES_GUEST), max_body(MAX_RECORD_BYTES)), (6_070, 393_142));
    let document = include_str!("../../PROTOCOL.md");
    for number in ["8,192", "524,288", "6,070", "393,142"] {
        assert!(document.contains(number), "{number}");
    }
}
