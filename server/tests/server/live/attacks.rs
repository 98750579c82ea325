//! What strangers, members with bad intentions and broken clients send.

use std::time::Duration;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::frame::Frame;
use chat_protocol::handshake::ServerKey;
use chat_protocol::handshake::client::Hello;
use chat_protocol::ids::SubmitId;
use chat_protocol::message::Call;
use chat_protocol::message::client::{LogFetch, MailboxAck, OneTimeStatus, RoomPost, RoomSince};
use chat_protocol::message::server::Code;
use chat_protocol::record::Record;
use chat_server::counters::Closed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, End, now};
use super::world::{World, login, settings, until};

/// Sends bytes and says whether anything came back before the connection ended.
async fn answered(world: &World, bytes: &[u8]) -> bool {
    let mut socket = TcpStream::connect(world.at).await.unwrap();
    let _closed_early = socket.write_all(bytes).await;
    let mut one = [0];
    matches!(socket.read(&mut one).await, Ok(1))
}

#[tokio::test]
async fn atk_01_strangers_hear_nothing() {
    let world = World::new().await;
    let stranger = FernetKey::from_bytes([99; 32]);
    let (_, wrong_secret) = Hello::start(&world.public_key(), &stranger);
    let (_, wrong_server) = Hello::start(&ServerKey::from_bytes([98; 32]).public(), &world.secret);
    let attempts: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n",
        b"CHAT\x02\x01\x01",
        b"CHAT\x01\x01\x01\xff\xff",
        b"CHAT\x01\x01\x01\x00\x00",
        &[0; 4096],
        &wrong_secret,
        &wrong_server,
    ];
    for bytes in attempts {
        assert!(!answered(&world, bytes).await, "{bytes:?}");
    }
    until(|| world.counters.closed.get(Closed::Handshake) == attempts.len() as u64).await;
    world.guest().await;
}

#[tokio::test]
async fn replayed_first_words_are_refused_without_a_byte() {
    let world = World::new().await;
    let (hello, first_words) = Hello::start(&world.public_key(), &world.secret);
    drop(hello);
    assert!(answered(&world, &first_words).await);
    assert!(!answered(&world, &first_words).await);
}

#[tokio::test]
async fn atk_11_opening_changed_in_flight_is_no_handshake() {
    let world = World::new().await;
    let (_, mut first_words) = Hello::start(&world.public_key(), &world.secret);
    first_words[6] = 9; // highest protocol version
    assert!(!answered(&world, &first_words).await);
}

#[tokio::test]
async fn atk_02_relayed_login_signature_is_rejected() {
    let honest = World::new().await;
    let alice = honest.join("alice", 0).await.vanish(&honest).await;
    // an insider with secret.key and another server key: alice connects to it, it relays what she signs
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let evil = World::start(dir, settings(), ServerKey::from_bytes([66; 32])).await;
    let victim = evil.guest().await;
    let signed = login(&victim, &alice.device);
    let mut relay = honest.guest().await;
    assert_eq!(relay.refused(&signed).await, Code::Denied);
    assert!(Client::connect(evil.at, &honest.public_key(), &honest.secret).await.is_none(), "the pin holds");
}

#[tokio::test]
async fn atk_14_login_signature_of_another_server_with_the_same_channel_is_rejected() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await.vanish(&world).await;
    let mut guest = world.guest().await;
    guest.binding.server_key = [66; 32];
    let signed = login(&guest, &alice.device);
    assert_eq!(guest.refused(&signed).await, Code::Denied);
}

#[tokio::test]
async fn atk_15_login_signature_of_an_earlier_connection_is_rejected() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await.vanish(&world).await;
    let mut first = world.guest().await;
    let signed = login(&first, &alice.device);
    first.call(&signed).await.expect("good on its own connection");
    let mut second = world.guest().await;
    assert_eq!(second.refused(&signed).await, Code::Denied);
}

#[tokio::test]
async fn atk_16_enrolment_signature_is_no_login() {
    let world = World::new().await;
    let alice = world.join("alice", 0).await.vanish(&world).await;
    let mut guest = world.guest().await;
    let enrolment = guest.binding.sign_enrol(&alice.device.keys.signing, &alice.device.cert, &mut rand::rng());
    let forged = chat_protocol::message::client::Login { signature: enrolment.into(), ..login(&guest, &alice.device) };
    assert_eq!(guest.refused(&forged).await, Code::Denied);
}

/// A record as the client would send it next.
fn sealed(client: &mut Client, call: &impl Call) -> Vec<u8> {
    let (mut body, mut out) = (Vec::new(), Vec::new());
    Frame::request(1, call).encode_into(&mut body);
    client.sealer.seal(&Record::Data(body), now(), &mut out);
    out
}

#[tokio::test]
async fn atk_04_records_of_another_connection_close_it() {
    let world = World::new().await;
    let (mut one, mut two) = (world.guest().await, world.guest().await);
    let recorded = sealed(&mut one, &OneTimeStatus {});
    two.send_raw(&recorded).await;
    assert_eq!(two.end().await, End::Cut);
    until(|| world.counters.closed.get(Closed::Record) == 1).await;
}

#[tokio::test]
async fn atk_05_replayed_reordered_and_dropped_records_close_the_connection() {
    let world = World::new().await;
    for order in [&[0usize, 0][..], &[1, 0], &[1]] {
        let mut guest = world.guest().await;
        let records = [sealed(&mut guest, &OneTimeStatus {}), sealed(&mut guest, &OneTimeStatus {})];
        for index in order {
            guest.send_raw(&records[*index]).await;
        }
        assert_eq!(guest.end().await, End::Cut, "{order:?}");
    }
    until(|| world.counters.closed.get(Closed::Record) == 3).await;
}

#[tokio::test]
async fn atk_06_server_records_reflected_to_it_close_the_connection() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    guest.ask(&OneTimeStatus {}).await;
    let mut from_server = [0; 4];
    guest.socket.read_exact(&mut from_server).await.unwrap();
    let mut token = vec![0; u32::from_be_bytes(from_server) as usize];
    guest.socket.read_exact(&mut token).await.unwrap();
    guest.send_raw(&[&from_server[..], &token].concat()).await;
    until(|| world.counters.closed.get(Closed::Record) == 1).await;
    let mut rest = Vec::new();
    let _ended = guest.socket.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn atk_13_silent_connections_take_nothing_from_members() {
    let world = World::new().await;
    let (mut alice, mut bob) = (world.join("alice", 0).await, world.join("bob", 1).await);
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(world.at).await.unwrap());
    }
    for n in 1..=20 {
        alice.send(&bob, "still here").await.unwrap();
        assert_eq!(bob.receive().await.0, n);
    }
    assert_eq!(world.counters.closed.get(Closed::Refused), 0);
}

#[tokio::test]
async fn atk_08_record_lengths_out_of_bounds_close_before_the_record_arrives() {
    let world = World::new().await;
    for length in [0u32, 1, 8 * 1024 + 1, u32::MAX] {
        let mut guest = world.guest().await;
        guest.send_raw(&length.to_be_bytes()).await;
        assert_eq!(guest.end().await, End::Cut, "{length}");
    }
    until(|| world.counters.closed.get(Closed::Record) == 4).await;
}

#[tokio::test]
async fn atk_08_handshake_one_byte_at_a_time_meets_the_deadline() {
    let mut config = settings();
    config.connections.handshake = Duration::from_millis(200);
    let world = World::with(config).await;
    let mut socket = TcpStream::connect(world.at).await.unwrap();
    socket.write_all(b"C").await.unwrap();
    let mut rest = Vec::new();
    let _ended = socket.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
    until(|| world.counters.closed.get(Closed::HandshakeDeadline) == 1).await;
}

#[tokio::test]
async fn guest_who_never_logs_in_meets_a_deadline_too() {
    let mut config = settings();
    config.connections.login = Duration::from_millis(200);
    let world = World::with(config).await;
    let mut guest = world.guest().await;
    assert_eq!(guest.end().await, End::Goodbye);
    assert_eq!(world.counters.closed.get(Closed::LoginDeadline), 1);
}

#[tokio::test]
async fn address_that_connects_too_often_is_turned_away() {
    let mut config = settings();
    config.connections.per_address_per_minute = 3;
    let world = World::with(config).await;
    for _ in 0..3 {
        world.guest().await;
    }
    assert!(Client::connect(world.at, &world.public_key(), &world.secret).await.is_none());
    assert_eq!(world.counters.closed.get(Closed::Refused), 1);
}

#[tokio::test]
async fn guests_cannot_take_all_connections() {
    let mut config = settings();
    config.connections.most_guests = 1;
    let world = World::with(config).await;
    let alice = world.join("alice", 0).await;
    let lurker = world.guest().await;
    assert!(Client::connect(world.at, &world.public_key(), &world.secret).await.is_none());
    drop(lurker);
    until(|| world.counters.closed.get(Closed::Truncated) == 1).await;
    drop(alice);
    world.guest().await;
}

#[tokio::test]
async fn unknown_request_is_unsupported_and_the_connection_stays() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let unknown = Frame { number: 9_999, ..Frame::request(5, &OneTimeStatus {}) };
    let malformed = Frame { number: RoomSince::TYPE, ..Frame::request(6, &OneTimeStatus {}) };
    alice.client.send(&[unknown, malformed]).await;
    let code = |frame: Frame| -> Code {
        chat_protocol::cbor::decode::<chat_protocol::message::server::Refusal>(&frame.payload).unwrap().code
    };
    assert_eq!(code(alice.client.answer_frame(5).await.unwrap()), Code::Unsupported);
    assert_eq!(code(alice.client.answer_frame(6).await.unwrap()), Code::BadRequest);
    alice.client.call(&OneTimeStatus {}).await.unwrap();
}

#[tokio::test]
async fn record_with_a_frame_that_is_none_is_not_processed_at_all() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    let post = chat_protocol::message::client::RoomPost { submit_id: alice.next_submit(), text: "hi".into() };
    let mut body = Vec::new();
    Frame::request(1, &post).encode_into(&mut body);
    body.push(0xff);
    alice.client.send_record(&Record::Data(body)).await;
    assert_eq!(alice.client.end().await, End::Cut);
    until(|| world.counters.closed.get(Closed::Malformed) == 1).await;
    assert_eq!(world.store.room_since(None, 10).await.unwrap().last, 0);
}

#[tokio::test]
async fn answers_and_pushes_from_a_client_close_the_connection() {
    let world = World::new().await;
    let mut guest = world.guest().await;
    let answer = Frame::ok(1, OneTimeStatus::TYPE, &chat_protocol::message::Done {});
    guest.send(&[answer]).await;
    guest.end().await;
    until(|| world.counters.closed.get(Closed::Malformed) == 1).await;
}

#[tokio::test]
async fn ping_is_answered_before_and_after_login() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    alice.client.send_record(&Record::Ping).await;
    alice.client.read_record().await.expect("a pong");
    let mut guest = world.guest().await;
    guest.send_record(&Record::Ping).await;
    guest.read_record().await.expect("a pong");
}

#[tokio::test]
async fn goodbye_is_answered_with_one() {
    let world = World::new().await;
    let mut alice = world.join("alice", 0).await;
    alice.client.send_record(&Record::Close).await;
    assert_eq!(alice.client.end().await, End::Goodbye);
    until(|| world.counters.closed.get(Closed::ByPeer) == 1).await;
}

#[tokio::test]
async fn atk_93_a_request_with_a_number_beyond_2_to_the_53_closes_the_connection() {
    let world = World::new().await;
    let mut refused = 0;
    for number in [1 << 53, 1 << 63, u64::MAX] {
        let beyond = [
            Frame::request(number, &OneTimeStatus {}),
            Frame::request(7, &MailboxAck { seq: number }),
            Frame::request(7, &RoomSince { seq: Some(number), max: 5 }),
            Frame::request(7, &RoomSince { seq: None, max: number }),
            Frame::request(7, &LogFetch { user: "alice".parse().unwrap(), from: number }),
        ];
        for frame in beyond {
            let mut guest = world.guest().await;
            guest.send(&[frame]).await;
            guest.end().await;
            refused += 1;
            until(|| world.counters.closed.get(Closed::Malformed) == refused).await;
        }
    }
    // a counter is no integer of its own there: it is the request that is wrong
    let mut alice = world.join("alice", 0).await;
    let post = |counter| RoomPost { submit_id: SubmitId::new(counter, [1; 8]), text: "hi".into() };
    assert_eq!(alice.client.refused(&post(1 << 53)).await, Code::BadRequest);
    assert!(alice.client.call(&post((1 << 53) - 1)).await.is_ok());
    assert_eq!(world.store.login_state(alice.id()).await.unwrap().unwrap().submit_counter, (1 << 53) - 1);
}
