//! No number of a message is beyond 2^53 - 1, whatever field it stands in: a message that says otherwise is none.

use std::ops::Range;

use chat_protocol::cbor::{self, Malformed};
use chat_protocol::frame::{Frame, FrameKind, decode_frames};
use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::message::client::{LogFetch, Login, Request, RequestError, RoomPost, RoomSince};
use chat_protocol::message::server::{Post, Push, RoomPage};
use chat_protocol::message::{Answer, Answered, Call};
use chat_protocol::time::Timestamp;
use minicbor::Decoder;
use minicbor::data::Type;
use serde_json::Value;

use super::vectors::{bytes, vector};

const BEYOND: [u64; 5] = [MAX_NUMBER + 1, MAX_NUMBER + 2, (1 << 63) - 1, 1 << 63, u64::MAX];

/// Where in an item its integers are, keys of maps left out.
fn integers(decoder: &mut Decoder<'_>, found: &mut Vec<Range<usize>>) {
    match decoder.datatype().unwrap() {
        Type::Map => {
            for _ in 0..decoder.map().unwrap().unwrap() {
                decoder.skip().unwrap();
                integers(decoder, found);
            }
        }
        Type::Array => (0..decoder.array().unwrap().unwrap()).for_each(|_| integers(decoder, found)),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
            let start = decoder.position();
            decoder.skip().unwrap();
            found.push(start..decoder.position());
        }
        _ => decoder.skip().unwrap(),
    }
}

fn with(payload: &[u8], field: &Range<usize>, number: u64) -> Vec<u8> {
    [&payload[..field.start], &cbor::encode(&number), &payload[field.end..]].concat()
}

/// What a receiver makes of a record with such a frame in it.
fn received(payload: Vec<u8>) -> Result<Vec<Frame>, Malformed> {
    let mut body = Vec::new();
    Frame { kind: FrameKind::Ok, id: 1, number: 1, payload }.encode_into(&mut body);
    decode_frames(&body)
}

#[test]
fn atk_93_numbers_beyond_2_to_the_53_are_malformed_in_every_field_of_every_message() {
    let frozen = vector(include_str!("../vectors/messages.json"));
    let mut fields = 0;
    for message in ["requests", "answers", "pushes"].iter().flat_map(|group| frozen[group].as_array().unwrap()) {
        let (name, payload) = (&message["name"], bytes(&message["payload"]));
        let mut found = Vec::new();
        integers(&mut Decoder::new(&payload), &mut found);
        fields += found.len();
        for field in found {
            assert!(received(with(&payload, &field, MAX_NUMBER)).is_ok(), "{name}: {field:?}");
            for number in BEYOND {
                assert_eq!(received(with(&payload, &field, number)), Err(Malformed), "{name}: {field:?} {number}");
            }
        }
    }
    assert!(fields > 50, "{fields} fields");
}

#[test]
fn atk_93_so_is_the_id_of_a_frame() {
    for (id, fits) in [(MAX_NUMBER, true), (MAX_NUMBER + 1, false), (u64::MAX, false)] {
        let mut body = Vec::new();
        Frame { kind: FrameKind::Ok, id, number: 1, payload: vec![0xa0] }.encode_into(&mut body);
        assert_eq!(decode_frames(&body).is_ok(), fits, "{id}");
    }
}

fn post(counter: u64) -> Post {
    let (user, at, device) = ("bob".parse().unwrap(), Timestamp::ZERO, DeviceId::new([1; 16]));
    Post { room_seq: 1, user, at, text: "hi".into(), submit_id: SubmitId::new(counter, [2; 8]), device }
}

#[test]
fn atk_93_so_is_a_counter_within_a_submit_id() {
    let asked = |counter| RoomPost { submit_id: SubmitId::new(counter, [2; 8]), text: "hi".into() };
    let page = |counter| RoomPage { posts: vec![post(1), post(counter)], last: 2, oldest: 1 };
    let read = |counter| {
        let push = Push::Room(post(counter));
        (
            Request::decode(RoomPost::TYPE, &cbor::encode(&asked(counter))).map(drop),
            Push::decode(push.number(), &push.encode()).map(drop),
            Answer::decode(RoomSince::TYPE, &cbor::encode(&page(counter))).map(drop),
        )
    };
    assert_eq!(read(MAX_NUMBER), (Ok(()), Ok(()), Ok(())));
    for number in BEYOND {
        assert_eq!(read(number), (Err(RequestError::Malformed(RoomPost::TYPE)), Err(Malformed), Err(Malformed)));
    }
}

#[test]
fn an_answer_is_read_as_that_of_its_request() {
    let frozen = vector(include_str!("../vectors/messages.json"));
    let answer = |name: &str| {
        let found = frozen["answers"].as_array().unwrap().iter().find(|answer: &&Value| answer["name"] == name);
        bytes(&found.unwrap()["payload"])
    };
    assert!(matches!(Answer::decode(Login::TYPE, &answer("logged_in")), Ok(Answer::Login(_))));
    assert_eq!(Answer::decode(Login::TYPE, &answer("log_page")), Err(Malformed));
    let page = Answer::decode(LogFetch::TYPE, &answer("log_page")).unwrap();
    assert!(LogFetch::of(page.clone()).is_some() && Login::of(page).is_none());
    assert_eq!(Answer::decode(9_999, &answer("done")), Ok(Answer::Unknown), "of a later version");
}
