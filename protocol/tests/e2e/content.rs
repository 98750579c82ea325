//! What is inside messages: equal sizes, strict reading, unknown types.

use crate::common::{AT, session_pair};
use chat_protocol::ids::{DeviceId, Head, HeadHash, MessageId, Username};
use chat_protocol::limits::{
    MAX_ABOUT_BYTES, MAX_ACKS, MAX_DISPLAY_NAME_BYTES, MAX_MENTIONS, MAX_NUMBER, MAX_REACTION_BYTES, MAX_TEXT_BYTES,
    MAX_TTL_S, MIN_TTL_S,
};
use chat_protocol::session::content::{
    Ack, Body, Content, ContentError, Conversation, Delete, Edit, Heads, LogEntries, Profile, Reaction, Receipt, Reply,
    SenderSeq, Text, Unsupported, kind, pad, text_bytes, unpad,
};
use proptest::prelude::*;

const ID: MessageId = MessageId::new([7; 16]);

fn content(body: Body) -> Content {
    let head = Head { seq: 12, hash: HeadHash::new([1; 32]) };
    Content {
        conversation: Conversation::Direct("alice".parse().unwrap()),
        id: ID,
        sender_seq: body.is_message().then_some(SenderSeq { epoch: 1_700_000_000_000, n: 70_000, first: Some(2) }),
        sent: AT,
        heads: Heads { own: head, peer: head },
        acks: vec![],
        body,
    }
}

fn ack(device: u8) -> Ack {
    Ack { device: DeviceId::new([device; 16]), epoch: 1, below: 1000, given_up: vec![998, 999] }
}

fn names(count: usize) -> Vec<Username> {
    (0..count).map(|n| format!("user{n}").parse().unwrap()).collect()
}

fn profile(name: usize, about: usize) -> Profile {
    Profile { display_name: "n".repeat(name), about: "a".repeat(about), bot: true, version: 1_700_000_000_000 }
}

fn every_body() -> Vec<Body> {
    vec![
        Body::text("hello".into()),
        Body::Reply(Reply { text: "yes".into(), to: ID, mentions: names(2), ttl_s: Some(60) }),
        Body::Edit(Edit { target: ID, text: "hallo".into() }),
        Body::Delete(Delete { target: ID }),
        Body::Reaction(Reaction { target: ID, emoji: "👍".into() }),
        Body::Receipt(Receipt { read: vec![ack(1)] }),
        Body::Heartbeat,
        Body::Reset,
        Body::LogEntries(LogEntries { user: "bob".parse().unwrap(), entries: vec![vec![1; 900].into()] }),
        Body::Profile(profile(9, 20)),
    ]
}

#[test]
fn every_type_reads_back_as_written() {
    for body in every_body() {
        let content = content(body);
        assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content));
    }
}

#[test]
fn types_keep_their_numbers() {
    let numbers: Vec<_> = every_body().iter().map(Body::kind).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 128, 129, 130, 131, 132]);
}

#[test]
fn unknown_types_are_kept_as_they_came() {
    for (number, message) in [(kind::FILE, true), (kind::GROUP_FIRST, true), (200, false)] {
        let content = content(Body::Unsupported(Unsupported { kind: number, body: vec![0xa0] }));
        assert_eq!(content.sender_seq.is_some(), message);
        assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content));
    }
}

#[test]
fn any_type_of_a_later_version_is_an_unknown_one_and_of_version_0_malformed() {
    for body in every_body() {
        let sent = content(body);
        let mut padded = sent.encode().unwrap();
        assert_eq!((padded[1], padded[2]), (0, 1), "key 0 holds the version");
        for later in [2, 23] {
            padded[2] = later;
            let read = Content::decode(&padded).unwrap();
            assert!(matches!(&read.body, Body::Unsupported(said) if said.kind == sent.body.kind()));
            assert_eq!((read.sender_seq, read.id, &read.acks), (sent.sender_seq, sent.id, &sent.acks));
        }
        padded[2] = 0;
        assert_eq!(Content::decode(&padded), Err(ContentError::Malformed));
    }
}

#[test]
fn atk_52_short_texts_receipts_and_heartbeats_have_equal_sizes() {
    let (mut alice, _) = session_pair(true);
    let mut sizes = |body| {
        let sealed = alice.session.seal(&content(body).encode().unwrap()).unwrap();
        (sealed.header.len(), sealed.token.len())
    };
    let heartbeat = sizes(Body::Heartbeat);
    assert_eq!(sizes(Body::Receipt(Receipt::default())), heartbeat);
    assert_eq!(sizes(Body::Reset), heartbeat);
    for len in 1..=150 {
        assert_eq!(sizes(Body::text("x".repeat(len))), heartbeat, "{len} bytes");
    }
    assert_eq!(sizes(Body::text("é".repeat(75))), heartbeat);
}

#[test]
fn acks_never_make_a_content_larger() {
    let acks: Vec<_> = (0..20).map(ack).collect();
    for len in [1, 150, 200, 250, 900, 2000] {
        let mut content = content(Body::text("x".repeat(len)));
        let size = content.encode().unwrap().len();
        let taken = content.fit_acks(&acks);
        assert_eq!(content.acks, acks[..taken]);
        assert_eq!(content.encode().unwrap().len(), size);
    }
    let mut roomy = content(Body::text("x".repeat(1000)));
    assert_eq!(roomy.fit_acks(&acks), MAX_ACKS);
    assert_eq!(roomy.fit_acks(&acks[16..]), 0);
}

#[test]
fn texts_end_at_their_limit() {
    let longest = content(Body::text("x".repeat(MAX_TEXT_BYTES)));
    assert_eq!(Content::decode(&longest.encode().unwrap()), Ok(longest));
    assert_eq!(content(Body::text("x".repeat(MAX_TEXT_BYTES + 1))).encode(), Err(ContentError::TooLarge));
}

#[test]
fn the_longest_profile_takes_the_second_size_and_a_longer_one_is_the_readers_to_drop() {
    let longest = profile(MAX_DISPLAY_NAME_BYTES, MAX_ABOUT_BYTES);
    assert!(longest.fits());
    assert_eq!(content(Body::Profile(longest)).encode().unwrap().len(), 992);
    for over in [profile(MAX_DISPLAY_NAME_BYTES + 1, 0), profile(0, MAX_ABOUT_BYTES + 1)] {
        assert!(!over.fits());
        let content = content(Body::Profile(over));
        assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content), "it is no malformed message");
    }
    let beyond = Profile { version: MAX_NUMBER + 1, ..profile(1, 1) };
    assert_eq!(content(Body::Profile(beyond)).encode(), Err(ContentError::Malformed));
}

#[test]
fn the_longest_text_fits_with_all_its_mentions_and_acks() {
    let mentions: Vec<Username> = (0..MAX_MENTIONS).map(|n| format!("{n:0>150}").parse().unwrap()).collect();
    let text = "x".repeat(MAX_TEXT_BYTES - text_bytes("", &mentions));
    let reply = Reply { text: text.clone(), to: ID, mentions: mentions.clone(), ttl_s: Some(MAX_TTL_S) };
    let longest = content(Body::Reply(reply));
    assert_eq!(Content::decode(&longest.encode().unwrap()), Ok(longest));
    let longer = Text { text: text + "x", mentions, ttl_s: None };
    assert_eq!(content(Body::Text(longer)).encode(), Err(ContentError::TooLarge));
}

#[test]
fn atk_53_lives_names_and_signs_beyond_the_limits_are_malformed() {
    let refused = |body| content(body).encode() == Err(ContentError::Malformed);
    let text = |mentions, ttl_s| Body::Text(Text { text: "hi".into(), mentions, ttl_s });
    assert!(!refused(text(names(MAX_MENTIONS), Some(MIN_TTL_S))));
    assert!(refused(text(names(MAX_MENTIONS + 1), None)));
    assert!(refused(text(vec![], Some(MIN_TTL_S - 1))));
    assert!(refused(text(vec![], Some(MAX_TTL_S + 1))));
    assert!(refused(Body::Reply(Reply { text: "hi".into(), to: ID, mentions: vec![], ttl_s: Some(0) })));
    let sign = |emoji: &str| Body::Reaction(Reaction { target: ID, emoji: emoji.to_owned() });
    assert!(!refused(sign("")) && !refused(sign(&"x".repeat(MAX_REACTION_BYTES))));
    assert!(refused(sign(&"x".repeat(MAX_REACTION_BYTES + 1))));
    assert!(refused(sign("\u{1b}[2J")) && refused(sign("a b")));
}

#[test]
fn atk_53_counts_beyond_the_limits_are_malformed() {
    let mut many = content(Body::text("hi".into()));
    many.acks = (0..17).map(ack).collect();
    assert_eq!(many.encode(), Err(ContentError::Malformed));
    let mut given_up = content(Body::text("hi".into()));
    given_up.acks = vec![Ack { given_up: (0..9).collect(), ..ack(1) }];
    assert_eq!(given_up.encode(), Err(ContentError::Malformed));
    let read = (0..17).map(ack).collect();
    assert_eq!(content(Body::Receipt(Receipt { read })).encode(), Err(ContentError::Malformed));
}

#[test]
fn atk_53_numbers_at_the_end_of_their_range_are_malformed() {
    let numbered = |epoch, n| {
        let mut text = content(Body::text("hi".into()));
        text.sender_seq = Some(SenderSeq { epoch, n, first: None });
        text.encode().map(drop)
    };
    assert_eq!(numbered(MAX_NUMBER, MAX_NUMBER), Ok(()));
    assert_eq!(numbered(1, MAX_NUMBER + 1), Err(ContentError::Malformed));
    assert_eq!(numbered(u64::MAX, 1), Err(ContentError::Malformed));
    let mut owed = content(Body::text("hi".into()));
    owed.sender_seq = Some(SenderSeq { epoch: 1, n: MAX_NUMBER + 1, first: Some(MAX_NUMBER + 1) });
    assert_eq!(owed.encode(), Err(ContentError::Malformed));
    for (number, outcome) in
        [(MAX_NUMBER, Ok(())), (1 << 53, Err(ContentError::Malformed)), (u64::MAX, Err(ContentError::Malformed))]
    {
        for beyond in [
            Ack { epoch: number, ..ack(1) },
            Ack { below: number, ..ack(1) },
            Ack { given_up: vec![1, number], ..ack(1) },
        ] {
            let read = vec![beyond];
            let receipt = content(Body::Receipt(Receipt { read: read.clone() }));
            assert_eq!(receipt.encode().map(drop), outcome, "{read:?}");
            let acked = Content { acks: read.clone(), ..content(Body::text("hi".into())) };
            assert_eq!(acked.encode().map(drop), outcome, "{read:?}");
        }
    }
}

#[test]
fn atk_93_a_position_of_2_to_the_53_that_was_sealed_all_the_same_is_malformed() {
    // what a peer's program seals need not have passed through ours
    let given_up = |n: u64| {
        let mut text = content(Body::text("hi".into()));
        text.acks = vec![Ack { given_up: vec![MAX_NUMBER], ..ack(1) }];
        let padded = text.encode().unwrap();
        let (known, wanted) = (MAX_NUMBER.to_be_bytes(), n.to_be_bytes());
        let at = padded.windows(8).position(|window| window == known).unwrap();
        [&padded[..at], &wanted, &padded[at + 8..]].concat()
    };
    assert!(Content::decode(&given_up(MAX_NUMBER)).is_ok());
    assert_eq!(Content::decode(&given_up(1 << 53)), Err(ContentError::Malformed));
    assert_eq!(Content::decode(&given_up(u64::MAX)), Err(ContentError::Malformed));
}

#[test]
fn a_number_that_names_no_first_one_is_owed_from_one_on() {
    let seq = |bytes: &[u8]| chat_protocol::cbor::decode::<SenderSeq>(bytes).unwrap();
    let (short, long) = ([0xa2, 0, 9, 1, 0x18, 70], [0xa3, 0, 9, 1, 0x18, 70, 2, 0x18, 42]);
    assert_eq!((seq(&short).first(), seq(&long).first()), (1, 42));
    for bytes in [short.as_slice(), &long] {
        assert_eq!(chat_protocol::cbor::encode(&seq(bytes)), bytes);
    }
}

#[test]
fn atk_53_a_first_number_of_0_or_above_the_messages_own_is_malformed() {
    let numbered = |n, first| {
        let mut text = content(Body::text("hi".into()));
        text.sender_seq = Some(SenderSeq { epoch: 9, n, first });
        text.encode().map(drop)
    };
    for (n, first) in [(1, None), (1, Some(1)), (70, Some(69)), (70, Some(70)), (MAX_NUMBER, Some(MAX_NUMBER))] {
        assert_eq!(numbered(n, first), Ok(()), "{n} {first:?}");
    }
    for (n, first) in [(0, None), (0, Some(0)), (1, Some(0)), (70, Some(71)), (1, Some(MAX_NUMBER))] {
        assert_eq!(numbered(n, first), Err(ContentError::Malformed), "{n} {first:?}");
    }
    // sealed by a program that does not look
    let (mut text, wanted) = (content(Body::text("hi".into())), [0xa3, 0, 9, 1, 2, 2]);
    text.sender_seq = Some(SenderSeq { epoch: 9, n: 2, first: Some(2) });
    let mut padded = text.encode().unwrap();
    let first = padded.windows(6).position(|window| window == wanted).unwrap() + wanted.len();
    for (number, outcome) in [(0, Err(ContentError::Malformed)), (1, Ok(())), (3, Err(ContentError::Malformed))] {
        padded[first] = number;
        assert_eq!(Content::decode(&padded).map(drop), outcome, "{number}");
    }
}

#[test]
fn atk_53_numbered_control_and_unnumbered_messages_are_malformed() {
    let mut text = content(Body::text("hi".into()));
    text.sender_seq = None;
    assert_eq!(text.encode(), Err(ContentError::Malformed));
    let mut heartbeat = content(Body::Heartbeat);
    heartbeat.sender_seq = Some(SenderSeq { epoch: 1, n: 1, first: None });
    assert_eq!(heartbeat.encode(), Err(ContentError::Malformed));
}

#[test]
fn atk_53_malformed_cbor_in_correct_padding_is_malformed() {
    let good = content(Body::text("hello".into())).encode().unwrap();
    let good = unpad(&good).unwrap();
    let damage: [(&str, Vec<u8>); 6] = [
        ("empty", vec![]),
        ("trailing byte", [good, &[0]].concat()),
        ("truncated", good[..good.len() - 1].to_vec()),
        ("indefinite map", [&[0xbf], &good[1..], &[0xff]].concat()),
        ("too deep", vec![0x81; 400]),
        ("not UTF-8", good.iter().map(|byte| if *byte == b'h' { 0xff } else { *byte }).collect()),
    ];
    for (what, bytes) in damage {
        assert_eq!(Content::decode(&pad(bytes).unwrap()), Err(ContentError::Malformed), "{what}");
    }
}

proptest! {
    #[test]
    fn atk_53_any_damage_is_read_without_panic(place in 0_usize..300, value: u8) {
        let mut bytes = content(Body::text("hello".into())).encode().unwrap();
        bytes[place] = value;
        let _ = Content::decode(&bytes);
    }

    #[test]
    fn texts_read_back_as_written(text in ".{0,400}") {
        let content = content(Body::text(text));
        prop_assert_eq!(Content::decode(&content.encode().unwrap()), Ok(content));
    }
}
