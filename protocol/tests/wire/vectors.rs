//! Bytes that may never change. Other implementations made them: `tests/oracle/wire.py vectors`.

use chat_protocol::cbor;
use chat_protocol::crypto::fernet::{FernetKey, OpenError};
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::frame::{Frame, FrameKind, decode_frames};
use chat_protocol::limits::MAX_RECORD_BYTES_GUEST;
use chat_protocol::record::{Opener, Record, RecordError};
use serde_json::Value;

use super::connection::NOW;

pub(crate) fn vector(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn frozen_records_open_across_a_key_change_and_past_optional_ones() {
    let vector = vector(include_str!("../vectors/records.json"));
    let key = SecretBytes::new(bytes(&vector["key"]).try_into().unwrap());
    let mut opener = Opener::new(&key, MAX_RECORD_BYTES_GUEST, NOW);
    for record in vector["records"].as_array().unwrap() {
        opener.feed(&bytes(&record["record"]));
        let expected = match record["type"].as_u64().unwrap() {
            0 => Some(Record::Data(bytes(&record["body"]))),
            1 | 128.. => None,
            2 => Some(Record::Close),
            3 => Some(Record::Ping),
            _ => Some(Record::Pong),
        };
        assert_eq!(opener.next(NOW), Ok(expected));
    }
    assert_eq!(opener.end(), Ok(()));
}

#[test]
fn frozen_frames_are_read_and_written() {
    let vector = vector(include_str!("../vectors/frames.json"));
    let expected: Vec<Frame> = vector["frames"].as_array().unwrap().iter().map(frame).collect();
    assert_eq!(decode_frames(&bytes(&vector["body"])), Ok(expected.clone()));
    let mut body = Vec::new();
    expected.iter().for_each(|frame| frame.encode_into(&mut body));
    assert_eq!(body, bytes(&vector["body"]));
}

fn frame(value: &Value) -> Frame {
    let kind = FrameKind::try_from(u8::try_from(value[0].as_u64().unwrap()).unwrap()).unwrap();
    let number = u16::try_from(value[2].as_u64().unwrap()).unwrap();
    Frame { kind, id: value[1].as_u64().unwrap(), number, payload: bytes(&value[3]) }
}

fn assert_refused(key: &FernetKey, token: &str, why: &str) {
    assert_eq!(key.open(token), Err(OpenError), "{why}");
    let mut record = Vec::new();
    chat_protocol::crypto::kdf::put_prefixed(&mut record, token.as_bytes());
    let mut opener = Opener::new(key.bytes(), MAX_RECORD_BYTES_GUEST, NOW);
    opener.feed(&record);
    let refused = opener.next(NOW);
    assert!(matches!(refused, Err(RecordError::Token | RecordError::Length(_))), "{why}: {refused:?}");
}

#[test]
fn atk_10_malformed_tokens_are_refused_without_panic() {
    let vector = vector(include_str!("../vectors/fernet.json"));
    let key = FernetKey::from_base64(vector["key"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(key.open(vector["good"].as_str().unwrap()), Ok(b"hello".to_vec()));
    for case in vector["invalid"].as_array().unwrap() {
        assert_refused(&key, case["token"].as_str().unwrap(), case["desc"].as_str().unwrap());
    }
}

#[test]
fn atk_10_the_fernet_specifications_invalid_tokens_are_refused() {
    for case in vector(include_str!("../vectors/fernet_spec_invalid.json")).as_array().unwrap() {
        let key = FernetKey::from_base64(case["secret"].as_str().unwrap().as_bytes()).unwrap();
        assert_refused(&key, case["token"].as_str().unwrap(), case["desc"].as_str().unwrap());
    }
}

#[test]
fn vectors_are_strict_cbor() {
    let vector = vector(include_str!("../vectors/messages.json"));
    for group in ["requests", "answers", "pushes"] {
        for message in vector[group].as_array().unwrap() {
            let payload = bytes(&message["payload"]);
            assert_eq!(cbor::split_item(&payload), Ok((&payload[..], &[][..])), "{}", message["name"]);
        }
    }
}
