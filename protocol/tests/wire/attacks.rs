use std::fmt::Write;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::kdf;
use chat_protocol::crypto::labels::Label;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::handshake::{HandshakeError, ServerKey, client::Hello, server::Listening};
use chat_protocol::limits::{MAX_RECORD_BYTES, MAX_RECORD_BYTES_GUEST, REKEY_AFTER, REKEY_RECORDS};
use chat_protocol::record::{Opener, Record, RecordError, Sealer};
use chat_protocol::time::Timestamp;

use super::connection::*;

const KEY: [u8; 32] = [7; 32];

fn opener() -> Opener {
    Opener::new(&SecretBytes::new(KEY), MAX_RECORD_BYTES, NOW)
}

fn read(opener: &mut Opener, bytes: &[u8]) -> Result<Option<Record>, RecordError> {
    opener.feed(bytes);
    opener.next(NOW)
}

fn successor(key: &FernetKey) -> FernetKey {
    FernetKey::from_bytes(kdf::hkdf(&[], key.bytes().expose(), Label::TransportRekey))
}

#[test]
fn atk_01_no_psk_gets_no_reply_bytes() {
    let stranger = FernetKey::from_bytes([0; 32]);
    let (_, well_formed) = Hello::start(&server_key().public(), &stranger);
    let http = b"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a-stranger-at-the-door\r\n\r\n".to_vec();
    let zeros = [b"CHAT\x01\x01\x01\x00\x30".to_vec(), vec![0; 48]].concat();
    for words in [well_formed, http, zeros, vec![], vec![0xff; 57]] {
        // an error is all there is: the only way to reply goes through a greeting
        assert!(listening().read(&words).is_err());
    }
}

#[test]
fn atk_02_an_insider_cannot_pose_as_the_server() {
    let insider = ServerKey::from_bytes([0x66; 32]);
    let (hello, first) = Hello::start(&server_key().public(), &secret());
    let posing = Listening::new(&insider, &secret());
    assert_eq!(posing.read(&first).unwrap_err(), HandshakeError::Failed);
    // not even by answering a handshake the client began with somebody else
    let (_, other_first) = Hello::start(&insider.public(), &secret());
    let (second, _) = posing.read(&other_first).unwrap().reply(&welcome(), NOW).unwrap();
    assert_eq!(finish_with(hello, &second), Err(HandshakeError::Failed));
}

#[test]
fn atk_03_stolen_long_term_keys_do_not_open_recorded_sessions() {
    let (hello, first) = Hello::start(&server_key().public(), &secret());
    let (second, _) = listening().read(&first).unwrap().reply(&welcome(), NOW).unwrap();
    let (mut client, _) = hello.finish(&second[2..], NOW).unwrap();
    let recorded = sealed(&mut client, &[data("a secret")]);
    // the thief holds both keys and the recording, but not the ephemeral keys: it can only answer anew
    let (_, mut thief) = listening().read(&first).unwrap().reply(&welcome(), NOW).unwrap();
    assert_eq!(read(&mut thief.opener, &recorded), Err(RecordError::Token));
}

#[test]
fn atk_04_records_of_another_connection_are_refused_at_the_first() {
    let (mut first, _) = connect();
    let recorded = sealed(&mut first, &[data("pay 5"), data("pay 6")]);
    let (_, mut server) = connect();
    assert_eq!(read(&mut server.opener, &recorded), Err(RecordError::Token));
}

#[test]
fn atk_05_replay_reorder_duplicate_and_loss_close_the_connection() {
    let key = FernetKey::from_bytes(KEY);
    let records = [0, 1, 2].map(|sequence| forge(&key, sequence, 0, b"text"));
    for (order, processed) in [([0, 0, 1], 1), ([1, 0, 2], 0), ([0, 2, 1], 1), ([0, 1, 0], 2), ([0, 1, 1], 2)] {
        let mut opener = opener();
        order.iter().for_each(|index: &usize| opener.feed(&records[*index]));
        for _ in 0..processed {
            assert_eq!(opener.next(NOW), Ok(Some(data("text"))), "{order:?}");
        }
        assert_eq!(opener.next(NOW), Err(RecordError::Sequence), "{order:?}");
    }
}

#[test]
fn atk_06_a_reflected_record_does_not_open() {
    let (mut client, mut server) = connect();
    let from_server = sealed(&mut server, &[data("hello")]);
    let from_client = sealed(&mut client, &[data("hello")]);
    assert_eq!(read(&mut server.opener, &from_server), Err(RecordError::Token));
    assert_eq!(read(&mut client.opener, &from_client), Err(RecordError::Token));
}

#[test]
fn atk_07_bit_flips_are_rejected_all_alike() {
    for body in ["", "a", "ab", "hello world", "thirty-two bytes of text, no mor"] {
        let mut sealer = Sealer::new(&SecretBytes::new(KEY), NOW);
        let mut record = Vec::new();
        sealer.seal(&data(body), NOW, &mut record);
        for bit in 32..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&mut opener(), &flipped), Err(RecordError::Token), "bit {bit} of {body:?}");
        }
        for bit in 0..32 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(read(&mut opener(), &flipped), Ok(Some(_))), "length bit {bit} of {body:?}");
        }
    }
}

#[test]
fn atk_08_lengths_out_of_bounds_close_at_once() {
    for (limit, max) in [(MAX_RECORD_BYTES_GUEST, 8 * 1024), (MAX_RECORD_BYTES, 512 * 1024)] {
        for len in [0, 1, 99, max + 1, u32::MAX] {
            let mut opener = Opener::new(&SecretBytes::new(KEY), limit, NOW);
            assert_eq!(read(&mut opener, &len.to_be_bytes()), Err(RecordError::Length(len)));
        }
        let mut opener = Opener::new(&SecretBytes::new(KEY), limit, NOW);
        assert_eq!(read(&mut opener, &max.to_be_bytes()), Ok(None), "the longest is waited for");
    }
}

#[test]
fn atk_09_an_end_without_close_is_truncation() {
    let mut sealer = Sealer::new(&SecretBytes::new(KEY), NOW);
    let mut stream = Vec::new();
    [data("one"), Record::Close].iter().for_each(|record| sealer.seal(record, NOW, &mut stream));
    let mut opener = opener();
    assert_eq!(read(&mut opener, &stream[..stream.len() - 1]), Ok(Some(data("one"))));
    assert_eq!(opener.next(NOW), Ok(None));
    assert_eq!(opener.end(), Err(RecordError::Truncated));
    assert_eq!(read(&mut opener, &stream[stream.len() - 1..]), Ok(Some(Record::Close)));
    assert_eq!(opener.end(), Ok(()));
    assert_eq!(read(&mut opener, b"x"), Err(RecordError::AfterClose));
}

#[test]
fn atk_11_changed_opening_bytes_fail_the_handshake() {
    let (_, first) = Hello::start(&server_key().public(), &secret());
    for bit in 0..first.len() * 8 {
        let mut changed = first.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(listening().read(&changed).is_err(), "bit {bit}");
    }
    // a version range that still makes sense is refused because the prologue binds it
    let mut wider = first;
    wider[6] = 9;
    assert_eq!(listening().read(&wider).unwrap_err(), HandshakeError::Failed);
}

#[test]
fn atk_11_changed_answers_fail_at_the_client() {
    let len = 2 + 32 + chat_protocol::cbor::encode(&welcome()).len() + 16;
    for byte in 2..len {
        let (hello, first) = Hello::start(&server_key().public(), &secret());
        let (mut second, _) = listening().read(&first).unwrap().reply(&welcome(), NOW).unwrap();
        assert_eq!(second.len(), len);
        second[byte] ^= 0x80;
        // the top bit of a u-coordinate is ignored by X25519 but hashed by Noise: it fails too
        assert_eq!(finish_with(hello, &second), Err(HandshakeError::Failed), "byte {byte}");
    }
}

#[test]
fn atk_12_the_old_key_after_a_key_change_is_refused() {
    let key = FernetKey::from_bytes(KEY);
    let mut opener = opener();
    assert_eq!(read(&mut opener, &forge(&key, 0, 1, &[])), Ok(None));
    assert_eq!(read(&mut opener, &forge(&key, 1, 0, b"late")), Err(RecordError::Token));
}

#[test]
fn atk_12_a_new_key_without_the_change_is_refused() {
    let key = FernetKey::from_bytes(KEY);
    assert_eq!(read(&mut opener(), &forge(&successor(&key), 0, 0, b"early")), Err(RecordError::Token));
}

#[test]
fn atk_12_an_overdue_key_change_closes() {
    let late = NOW + 2 * REKEY_AFTER;
    let record = forge(&FernetKey::from_bytes(KEY), 0, 3, &[]);
    let mut by_time = opener();
    by_time.feed(&record);
    assert_eq!(by_time.next(late), Err(RecordError::Overdue));

    let key = FernetKey::from_bytes(KEY);
    let mut by_count = opener();
    for sequence in 0..2 * REKEY_RECORDS {
        assert_eq!(read(&mut by_count, &forge(&key, sequence, 3, &[])), Ok(Some(Record::Ping)));
    }
    assert_eq!(read(&mut by_count, &forge(&key, 2 * REKEY_RECORDS, 3, &[])), Err(RecordError::Overdue));
}

#[test]
fn atk_12_a_generation_opens_neither_neighbour() {
    let first = FernetKey::from_bytes(KEY);
    let (second, third) = (successor(&first), successor(&successor(&first)));
    let keys = [&first, &second, &third];
    for (a, sealing) in keys.iter().enumerate() {
        for (b, opening) in keys.iter().enumerate() {
            assert_eq!(opening.open(&sealing.seal(b"x")).is_ok(), a == b, "{a} and {b}");
        }
    }
}

#[test]
fn atk_15_every_connection_has_its_own_binding() {
    let bindings: std::collections::BTreeSet<[u8; 32]> = (0..20).map(|_| connect().0.channel_binding).collect();
    assert_eq!(bindings.len(), 20);
}

#[test]
fn records_of_unknown_type_or_with_a_body_they_cannot_have_close() {
    let key = FernetKey::from_bytes(KEY);
    for (kind, body) in [(5, &b""[..]), (127, b""), (1, b"x"), (2, b"x"), (3, b"x"), (4, b"x")] {
        assert_eq!(read(&mut opener(), &forge(&key, 0, kind, body)), Err(RecordError::Malformed));
    }
    for short in [&b""[..], &[0; 8]] {
        assert_eq!(read(&mut opener(), &framed(key.seal(short).as_bytes())), Err(RecordError::Malformed));
    }
}

#[test]
fn atk_62_nothing_of_a_connection_prints_its_keys() {
    let (hello, first) = Hello::start(&server_key().public(), &secret());
    let listening = listening();
    let greeting = listening.read(&first).unwrap();
    let mut words = String::new();
    write!(words, "{hello:?} {listening:?} {greeting:?} {:?}", secret()).unwrap();
    let (_, secured) = greeting.reply(&welcome(), Timestamp::ZERO).unwrap();
    write!(words, "{:?}{:?}", secured.sealer, secured.opener).unwrap();
    assert!(!words.contains("94, 94") && !words.contains("17, 17") && words.contains("FernetKey(..)"));
}
