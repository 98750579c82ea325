//! The link keeps its promises against servers that restart, fall silent, refuse, or are not the right ones.

mod keys;
use std::sync::Arc;
use std::time::Duration;

use crate::toy::{Toy, logged_in};
use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::frame::{Frame, FrameKind};
use chat_protocol::handshake::ServerKey;
use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::message::client::{Login, MailboxAck, Request, RoomSince};
use chat_protocol::message::server::{Code, LoggedIn, MailboxDrained, Post, Push, Refusal, ResetNotice, RoomPage};
use chat_protocol::message::{Answer, Call, Done};
use chat_protocol::record::Record;
use chatd::link::{AuthFailure, Heard, LinkEvent, LinkHandle, LinkSetup, RequestError, Server, Timing, spawn};
use tokio::sync::mpsc;

/// Waits as short as they can be; silence as long as it must not matter.
fn hasty() -> Timing {
    Timing {
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(5),
        refused_wait: Duration::from_secs(600),
        ..Timing::default()
    }
}

fn setup(server: Server, timing: Timing) -> LinkSetup {
    LinkSetup {
        server,
        next_key: None,
        pin: Arc::new(|_, _| true),
        user: "alice".parse().unwrap(),
        device: DeviceId::new([7; 16]),
        sign: Arc::new(|binding, key| [&binding[..], key.as_bytes()].concat()),
        timing,
        heard: Heard::default(),
    }
}

struct Fixture {
    toy: Toy,
    link: LinkHandle,
    events: mpsc::Receiver<LinkEvent>,
}

async fn linked(timing: Timing) -> Fixture {
    let toy = Toy::new().await;
    let (sender, events) = mpsc::channel(16);
    let link = spawn(setup(toy.server(), timing), sender);
    Fixture { toy, link, events }
}

impl Fixture {
    async fn next(&mut self) -> LinkEvent {
        self.events.recv().await.expect("the link lives")
    }

    async fn online(&mut self) {
        loop {
            match self.next().await {
                LinkEvent::Online { .. } => return,
                LinkEvent::Connecting | LinkEvent::Offline { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn offline(&mut self) -> String {
        loop {
            match self.next().await {
                LinkEvent::Offline { reason, .. } => return reason,
                LinkEvent::Connecting => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn login_is_bound_to_its_connection_and_tells_the_clock() {
    let mut f = linked(hasty()).await;
    let mut peer = f.toy.accept().await.unwrap();
    let frame = peer.frames().await.remove(0);
    let Ok(Request::Login(login)) = Request::decode(frame.number, &frame.payload) else { panic!("{frame:?}") };
    assert_eq!((login.user.as_str(), login.device), ("alice", DeviceId::new([7; 16])));
    let signed = [&peer.secured.channel_binding[..], f.toy.server().key.as_bytes()].concat();
    assert_eq!(*login.signature, signed);

    peer.send(&[Frame::ok(frame.id, Login::TYPE, &logged_in())]).await;
    assert!(matches!(f.next().await, LinkEvent::Connecting));
    match f.next().await {
        LinkEvent::Online { logged_in: found, server_offset_ms, .. } => {
            assert_eq!(found, logged_in());
            assert!((3_590_000..3_610_000).contains(&server_offset_ms), "{server_offset_ms}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_answers_and_pushes_keep_their_order() {
    let mut f = linked(hasty()).await;
    let drained = Frame::push(&Push::Drained(MailboxDrained { seq: 4 }));
    let mut peer = f.toy.accept().await.unwrap();
    let login = peer.frames().await.remove(0);
    // the first push travels in the same record as the answer to the login
    peer.send(&[Frame::ok(login.id, login.number, &logged_in()), drained]).await;
    f.online().await;
    assert!(matches!(f.next().await, LinkEvent::Push(Push::Drained(MailboxDrained { seq: 4 }))));

    let ack = chat_protocol::cbor::encode(&MailboxAck { seq: 4 });
    f.link.request(41, MailboxAck::TYPE, ack.clone()).unwrap();
    f.link.request(42, MailboxAck::TYPE, ack.clone()).unwrap();
    let mut frames = peer.frames().await;
    if frames.len() < 2 {
        frames.extend(peer.frames().await);
    }
    assert_eq!(frames.iter().map(|frame| frame.id).collect::<Vec<_>>(), [41, 42]);
    assert_eq!((frames[0].kind, frames[0].payload.clone()), (FrameKind::Request, ack));

    let busy = Refusal::new(Code::Busy);
    peer.send(&[Frame::error(42, MailboxAck::TYPE, &busy), Frame::ok(41, MailboxAck::TYPE, &Done {})]).await;
    assert!(matches!(f.next().await, LinkEvent::Answer { id: 42, result: Err(refusal) } if refusal == busy));
    assert!(matches!(f.next().await, LinkEvent::Answer { id: 41, result: Ok(Answer::MailboxAck(Done {})) }));
}

#[tokio::test]
async fn online_loses_its_connection_and_comes_back() {
    let mut f = linked(hasty()).await;
    for how in ["cut", "closed"] {
        let mut peer = f.toy.accept_login().await;
        f.online().await;
        if how == "closed" {
            peer.write(&Record::Close).await;
        }
        drop(peer);
        let reason = f.offline().await;
        let expected = if how == "closed" { "the server closed the connection" } else { "truncated" };
        assert!(reason.contains(expected) || reason.contains("broke"), "{reason}");
    }
    drop(f.toy.accept_login().await);
    f.online().await;
}

#[tokio::test]
async fn nothing_is_there_and_then_it_is() {
    let toy = Toy::new().await;
    let server = toy.server();
    drop(toy);
    let (sender, mut events) = mpsc::channel(16);
    let _link = spawn(setup(server.clone(), hasty()), sender);
    let reason = loop {
        match events.recv().await.unwrap() {
            LinkEvent::Offline { reason, retry_at, .. } => {
                assert!(retry_at > chat_protocol::time::Timestamp::ZERO);
                break reason;
            }
            LinkEvent::Connecting => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.starts_with(&format!("cannot reach {server}: ")), "{reason}");
}

#[tokio::test]
async fn a_wrong_secret_key_and_a_wrong_server_key_share_one_message() {
    let toy = Toy::new().await;
    let mut messages = Vec::new();
    for wrong in [
        Server { key: ServerKey::from_bytes([9; 32]).public(), ..toy.server() },
        Server { secret: FernetKey::from_bytes([9; 32]), ..toy.server() },
    ] {
        let (sender, events) = mpsc::channel(16);
        let link = spawn(setup(wrong, hasty()), sender);
        assert!(toy.accept().await.is_none());
        let mut f = Fixture { toy: Toy::new().await, link, events };
        messages.push(f.offline().await);
    }
    assert_eq!(messages[0], messages[1]);
    assert!(messages[0].contains("secret key or the server key"), "{}", messages[0]);
    assert!(messages[0].contains("chat-server invite"), "{}", messages[0]);
}

#[tokio::test]
async fn a_refused_device_waits_long_unless_kicked() {
    let mut f = linked(hasty()).await;
    for (code, reason) in [(Code::Denied, AuthFailure::Denied), (Code::ApprovalRequired, AuthFailure::ApprovalRequired)]
    {
        let mut peer = f.toy.accept().await.unwrap();
        let login = peer.frames().await.remove(0);
        peer.send(&[Frame::error(login.id, login.number, &Refusal::new(code))]).await;
        assert!(matches!(f.next().await, LinkEvent::Connecting));
        assert!(matches!(f.next().await, LinkEvent::AuthFailed { reason: found } if found == reason));
        f.link.kick();
    }
    f.toy.accept_login().await;
    f.online().await;
}

#[tokio::test]
async fn a_busy_server_is_asked_again_no_sooner_than_it_said() {
    let mut f = linked(hasty()).await;
    let mut peer = f.toy.accept().await.unwrap();
    let login = peer.frames().await.remove(0);
    let refusal = Refusal { retry_after_ms: Some(90_000), ..Refusal::new(Code::RateLimited) };
    let before = chatd::clock::now();
    peer.send(&[Frame::error(login.id, login.number, &refusal)]).await;
    assert!(matches!(f.next().await, LinkEvent::Connecting));
    match f.next().await {
        LinkEvent::Offline { retry_at, .. } => assert!(retry_at.since(before) >= Duration::from_secs(90)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn atk_95_a_server_that_says_in_a_year_is_asked_again_within_minutes() {
    let mut f = linked(hasty()).await;
    let mut peer = f.toy.accept().await.unwrap();
    let login = peer.frames().await.remove(0);
    let year = 365 * 24 * 60 * 60 * 1_000;
    let refusal = Refusal { retry_after_ms: Some(year), ..Refusal::new(Code::RateLimited) };
    let before = chatd::clock::now();
    peer.send(&[Frame::error(login.id, login.number, &refusal)]).await;
    assert!(matches!(f.next().await, LinkEvent::Connecting));
    match f.next().await {
        LinkEvent::Offline { retry_at, .. } => assert!(retry_at.since(before) < Duration::from_secs(660)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn atk_95_what_is_said_without_end_before_the_login_is_answered_is_not_kept() {
    let mut f = linked(hasty()).await;
    let mut peer = f.toy.accept().await.unwrap();
    let drained = Frame::push(&Push::Drained(MailboxDrained { seq: 1 }));
    let many = vec![drained; 2_000];
    peer.send(&many).await;
    assert_eq!(f.offline().await, "the server sent something malformed");
    let mut peer = f.toy.accept().await.unwrap();
    let payload = [&[0x5a, 0, 4, 0, 0][..], &vec![0; 256 * 1024]].concat();
    let large = Frame { kind: FrameKind::Push, id: 0, number: 999, payload };
    for _ in 0..3 {
        peer.send(std::slice::from_ref(&large)).await;
    }
    assert_eq!(f.offline().await, "the server sent something malformed");
}

#[tokio::test]
async fn atk_93_a_number_beyond_2_to_the_53_ends_the_connection() {
    let mut f = linked(hasty()).await;
    for number in [1 << 53, 1 << 63, u64::MAX] {
        let at = chat_protocol::time::Timestamp::from_millis(number);
        let answers = [
            LoggedIn { mailbox_acked: number, ..logged_in() },
            LoggedIn { bundle_seq: number, ..logged_in() },
            LoggedIn { reset_pending: Some(at), ..logged_in() },
        ];
        for answer in answers {
            let mut peer = f.toy.accept().await.unwrap();
            let login = peer.frames().await.remove(0);
            peer.send(&[Frame::ok(login.id, login.number, &answer)]).await;
            assert_eq!(f.offline().await, "the server sent something malformed", "{answer:?}");
        }
        let refusal = Refusal { retry_after_ms: Some(number), ..Refusal::new(Code::Busy) };
        let post = Post {
            room_seq: 1,
            user: "bob".parse().unwrap(),
            at: chat_protocol::time::Timestamp::ZERO,
            text: "hi".into(),
            submit_id: SubmitId::new(number, [1; 8]),
            device: DeviceId::new([1; 16]),
        };
        let page = RoomPage { posts: vec![post.clone()], last: 1, oldest: 1 };
        for frame in [
            Frame::push(&Push::Drained(MailboxDrained { seq: number })),
            Frame::push(&Push::Reset(ResetNotice { at: Some(at) })),
            Frame::push(&Push::Room(post)),
            Frame::ok(5, RoomSince::TYPE, &page),
            Frame::ok(number, MailboxAck::TYPE, &Done {}),
            Frame::error(5, MailboxAck::TYPE, &refusal),
        ] {
            let mut peer = f.toy.accept_login().await;
            f.online().await;
            peer.send(std::slice::from_ref(&frame)).await;
            assert_eq!(f.offline().await, "the server sent something malformed", "{frame:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_server_is_asked_and_then_given_up() {
    let timing = Timing { ping_after: Duration::from_millis(20), dead_after: Duration::from_millis(300), ..hasty() };
    let mut f = linked(timing).await;
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    assert_eq!(peer.record().await, Some(Record::Ping));
    assert_eq!(f.offline().await, "the server fell silent");
}

#[tokio::test]
async fn a_half_open_connection_is_given_up_within_45_seconds() {
    let mut f = linked(Timing::default()).await;
    let peer = f.toy.accept_login().await;
    f.online().await;
    // nothing comes any more, not even an end; from here on time passes as fast as nothing happens
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(f.offline().await, "the server fell silent");
    let took = began.elapsed();
    // timers are up to a millisecond late
    assert!(took > Timing::default().ping_after && took.as_secs() <= 45, "{took:?}");
    drop(peer);
}

#[tokio::test]
async fn a_kick_has_a_dead_connection_begun_anew_at_once() {
    let timing = Timing { kick: Duration::from_millis(50), first_wait: Duration::from_secs(600), ..Timing::default() };
    let mut f = linked(timing).await;
    let mut dead = f.toy.accept_login().await;
    f.online().await;
    f.link.kick();
    assert_eq!(dead.record().await, Some(Record::Ping));
    assert_eq!(f.offline().await, "the server fell silent");
    f.toy.accept_login().await;
    f.online().await;
}

#[tokio::test]
async fn a_kick_does_a_living_connection_no_harm() {
    let mut f = linked(Timing { kick: Duration::from_secs(600), ..hasty() }).await;
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    f.link.kick();
    assert_eq!(peer.record().await, Some(Record::Ping));
    peer.write(&Record::Pong).await;
    assert!(matches!(f.next().await, LinkEvent::RoundTrip(_)));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(19)).await;
    let drained = Frame::push(&Push::Drained(MailboxDrained { seq: 1 }));
    peer.send(&[drained]).await;
    assert!(matches!(f.next().await, LinkEvent::Push(_)), "the same connection");
}

#[tokio::test]
async fn a_kick_begins_an_attempt_anew_that_gets_nowhere() {
    let timing = Timing { kick: Duration::from_millis(50), ..Timing::default() };
    let mut f = linked(timing).await;
    let stuck = f.toy.accept().await.expect("a handshake");
    f.link.kick();
    f.toy.accept_login().await;
    f.online().await;
    drop(stuck);
}

#[tokio::test]
async fn every_record_shows_when_the_server_was_last_heard() {
    let toy = Toy::new().await;
    let (sender, events) = mpsc::channel(16);
    let setup = setup(toy.server(), hasty());
    let heard = setup.heard.clone();
    assert_eq!(heard.last_ms(), None);
    let link = spawn(setup, sender);
    let mut f = Fixture { toy, link, events };
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    let login = heard.last_ms().expect("a login was heard");
    while chatd::clock::now().as_millis() == login {
        std::thread::yield_now();
    }
    peer.write(&Record::Ping).await;
    assert_eq!(peer.record().await, Some(Record::Pong));
    assert!(heard.last_ms() > Some(login));
}

#[tokio::test]
async fn an_answered_ping_tells_how_far_the_server_is() {
    let timing = Timing { ping_after: Duration::from_millis(1), ..hasty() };
    let mut f = linked(timing).await;
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    // nobody asked for this one
    peer.write(&Record::Pong).await;
    assert_eq!(peer.record().await, Some(Record::Ping));
    peer.write(&Record::Pong).await;
    assert!(matches!(f.next().await, LinkEvent::RoundTrip(took) if took > Duration::ZERO));
}

#[tokio::test]
async fn a_ping_is_answered_while_nothing_else_happens() {
    let mut f = linked(hasty()).await;
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    peer.write(&Record::Ping).await;
    assert_eq!(peer.record().await, Some(Record::Pong));
}

#[tokio::test]
async fn what_was_asked_offline_is_not_sent_later() {
    let toy = Toy::new().await;
    let (sender, events) = mpsc::channel(16);
    let link = spawn(setup(toy.server(), hasty()), sender);
    let ack = |seq| chat_protocol::cbor::encode(&MailboxAck { seq });
    link.request(1, MailboxAck::TYPE, ack(1)).unwrap();
    let mut f = Fixture { toy, link, events };
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    f.link.request(2, MailboxAck::TYPE, ack(2)).unwrap();
    assert_eq!(peer.frames().await[0].id, 2);
}

#[tokio::test]
async fn a_full_queue_and_a_huge_request_are_refused_at_once() {
    let f = linked(hasty()).await;
    let huge = f.link.request(1, MailboxAck::TYPE, vec![0; 512 * 1024]);
    assert_eq!(huge, Err(RequestError::TooLarge));
    let refused = (0..10_000).find_map(|id| f.link.request(id, MailboxAck::TYPE, vec![0xa0]).err());
    assert_eq!(refused, Some(RequestError::Full));
}

#[tokio::test]
async fn stopping_says_good_bye() {
    let mut f = linked(hasty()).await;
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    f.link.stop();
    assert_eq!(peer.record().await, Some(Record::Close));
    assert!(f.events.recv().await.is_none(), "nothing is said after a stop");
}

#[tokio::test]
async fn bytes_changed_on_the_way_end_the_connection() {
    let mut f = linked(hasty()).await;
    let mut peer = f.toy.accept_login().await;
    f.online().await;
    let mut bytes = Vec::new();
    peer.secured.sealer.seal(&Record::Ping, chatd::clock::now(), &mut bytes);
    bytes[30] = if bytes[30] == b'A' { b'B' } else { b'A' };
    tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &bytes).await.unwrap();
    let reason = f.offline().await;
    assert!(reason.contains("not intact"), "{reason}");
}

#[test]
fn atk_62_a_setup_prints_no_secret() {
    let server = Server {
        host: "chat.example".into(),
        port: 1,
        key: ServerKey::from_bytes([1; 32]).public(),
        secret: FernetKey::from_bytes([2; 32]),
        offline_key: None,
    };
    assert!(format!("{server:?}").contains("FernetKey(..)"));
    assert_eq!(
        format!("{:?}", setup(server, hasty())),
        "LinkSetup(alice as 07070707070707070707070707070707 at chat.example:1)"
    );
}
