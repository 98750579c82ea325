//! What is said in a group, and what cannot be.

use chat_protocol::ids::{
    ChainHash, ChainMark, DeviceId, GroupHead, GroupId, Head, HeadHash, MessageId, OpHash, StateHash,
};
use chat_protocol::limits::{MAX_ACKS, MAX_NUMBER, MAX_SEEN, MAX_TEXT_BYTES};
use chat_protocol::session::content::{
    Ack, Body, Chained, Content, ContentError, Conversation, Delete, Heads, InGroup, Seen, SenderSeq, pad, unpad,
};
use proptest::prelude::*;

use crate::common::AT;

const GROUP: GroupId = GroupId::new([3; 32]);
const SEQ: SenderSeq = SenderSeq { epoch: 9, n: 70, first: Some(40) };

const STATE: StateHash = StateHash::new([2; 32]);

fn head() -> GroupHead {
    GroupHead { seq: 12, hash: OpHash::new([4; 32]) }
}

fn seen(device: u8) -> Seen {
    Seen { device: DeviceId::new([device; 16]), epoch: 1, n: 8, mark: ChainMark::new([5; 16]) }
}

fn chained(last: Option<u64>) -> Chained {
    Chained { last, before: ChainHash::new([6; 32]) }
}

fn content(body: Body) -> Content {
    let chain = body.is_message().then_some(chained(Some(68)));
    let place = InGroup { head: head(), state: STATE, chain, seen: vec![seen(1), seen(2)] };
    let head = Head { seq: 1, hash: HeadHash::new([1; 32]) };
    Content {
        conversation: Conversation::Group(GROUP, place),
        id: MessageId::new([7; 16]),
        sender_seq: body.is_message().then_some(SEQ),
        sent: AT,
        heads: Heads { own: head, peer: head },
        acks: vec![],
        body,
    }
}

/// A message whose place and number are changed.
fn changed(change: impl FnOnce(&mut InGroup, &mut Option<SenderSeq>)) -> Result<Vec<u8>, ContentError> {
    let mut content = content(Body::text("hi".into()));
    let Conversation::Group(_, place) = &mut content.conversation else { panic!() };
    change(place, &mut content.sender_seq);
    content.encode()
}

#[test]
fn what_is_said_in_a_group_reads_back_as_written() {
    for body in [Body::text("hello".into()), Body::Delete(Delete { target: MessageId::new([1; 16]) }), Body::Heartbeat]
    {
        let content = content(body);
        let bytes = content.encode().unwrap();
        assert_eq!(Content::decode(&bytes).as_ref(), Ok(&content));
        let (read, said) = Content::decode_said(&bytes).unwrap();
        assert_eq!((&read, said), (&content, content.said_when_written()));
        assert_eq!(said.is_some(), content.body.is_message());
    }
}

#[test]
fn what_all_readers_share_is_all_but_what_is_for_one_of_them() {
    let said = |content: &Content| content.said_when_written().unwrap();
    let original = content(Body::text("hello".into()));
    let for_one: [fn(&mut Content); 4] = [
        |content| content.sender_seq = Some(SenderSeq { first: None, ..SEQ }),
        |content| content.heads.peer.seq += 1,
        |content| content.acks.push(Ack { device: DeviceId::new([1; 16]), epoch: 0, below: 2, given_up: vec![] }),
        |content| {
            content.conversation = Conversation::Group(
                GROUP,
                InGroup { head: head(), state: STATE, chain: Some(chained(None)), seen: vec![] },
            )
        },
    ];
    for change in for_one {
        let mut other = original.clone();
        change(&mut other);
        assert_eq!(said(&other), said(&original));
    }
    let place = |group, head, state| Conversation::Group(group, InGroup { head, state, chain: None, seen: vec![] });
    let (elsewhere, later) = (GroupHead { seq: 13, ..head() }, GroupHead { hash: OpHash::new([9; 32]), ..head() });
    let others = [
        Content { conversation: place(GroupId::new([9; 32]), head(), STATE), ..original.clone() },
        Content { conversation: place(GROUP, elsewhere, STATE), ..original.clone() },
        Content { conversation: place(GROUP, later, STATE), ..original.clone() },
        Content { conversation: place(GROUP, head(), StateHash::new([9; 32])), ..original.clone() },
        Content { id: MessageId::new([8; 16]), ..original.clone() },
        Content { sender_seq: Some(SenderSeq { epoch: 10, ..SEQ }), ..original.clone() },
        Content { sender_seq: Some(SenderSeq { n: 71, ..SEQ }), ..original.clone() },
        Content { sent: AT + std::time::Duration::from_millis(1), ..original.clone() },
        Content { body: Body::text("hallo".into()), ..original.clone() },
    ];
    let mut hashes: Vec<_> = others.iter().chain([&original]).map(said).collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), others.len() + 1);
}

#[test]
fn the_same_words_in_another_version_are_another_thing_to_say() {
    let bytes = content(Body::text("hello".into())).encode().unwrap();
    let mut later = unpad(&bytes).unwrap().to_vec();
    assert_eq!(later[1..3], [0, 1], "the version comes first");
    later[2] = 2;
    let said = |padded: &[u8]| Content::decode_said(padded).unwrap().1.unwrap();
    assert_ne!(said(&pad(later).unwrap()), said(&bytes));
}

#[test]
fn atk_53_a_chain_that_cannot_be_is_malformed() {
    let chain = |last: Option<u64>| changed(|place, _| place.chain = Some(chained(last))).map(drop);
    for last in [None, Some(40), Some(69)] {
        assert_eq!(chain(last), Ok(()), "{last:?}");
    }
    for last in [Some(0), Some(39), Some(70), Some(u64::MAX)] {
        assert_eq!(chain(last), Err(ContentError::Malformed), "{last:?}");
    }
    assert_eq!(changed(|place, _| place.chain = None), Err(ContentError::Malformed), "a message without one");
    let mut control = content(Body::Heartbeat);
    control.conversation =
        Conversation::Group(GROUP, InGroup { head: head(), state: STATE, chain: Some(chained(None)), seen: vec![] });
    assert_eq!(control.encode(), Err(ContentError::Malformed), "what is not numbered is in no chain");
    let first = |before: [u8; 32]| {
        changed(|place, seq| {
            *seq = Some(SenderSeq { epoch: 9, n: 1, first: None });
            place.chain = Some(Chained { last: None, before: ChainHash::new(before) });
        })
    };
    assert!(first([0; 32]).is_ok());
    assert_eq!(first([1; 32]), Err(ContentError::Malformed), "nothing was before the first");
}

#[test]
fn atk_53_counts_and_numbers_beyond_the_limits_are_malformed_in_a_group() {
    let seen_of = |count| changed(|place, _| place.seen = vec![seen(1); count]).map(drop);
    assert_eq!((seen_of(MAX_SEEN), seen_of(MAX_SEEN + 1)), (Ok(()), Err(ContentError::Malformed)));
    let one = |seen| changed(|place, _| place.seen = vec![seen]).map(drop);
    assert_eq!(one(Seen { n: MAX_NUMBER, epoch: MAX_NUMBER, ..seen(1) }), Ok(()));
    for seen in [Seen { n: 0, ..seen(1) }, Seen { n: 1 << 53, ..seen(1) }, Seen { epoch: 1 << 53, ..seen(1) }] {
        assert_eq!(one(seen), Err(ContentError::Malformed), "{seen:?}");
    }
    assert_eq!(changed(|place, _| place.head.seq = 1 << 53), Err(ContentError::Malformed));
}

#[test]
fn atk_53_a_place_in_no_group_and_a_group_without_one_are_malformed() {
    let padded = content(Body::Heartbeat).encode().unwrap();
    let good = unpad(&padded).unwrap();
    // the last key, 10, has the head, the state and two places of others
    let at = good.iter().rposition(|byte| *byte == 10).unwrap();
    let mut without = good[..at].to_vec();
    without[0] -= 1;
    assert_eq!(
        Content::decode(&pad(without.clone()).unwrap()),
        Err(ContentError::Malformed),
        "a group without a place"
    );
    let group = [&[0xa1, 1, 0x58, 32][..], GROUP.as_bytes()].concat();
    let direct = [&[0xa1, 0, 0x65][..], b"alice"].concat();
    let replace = |bytes: &[u8], with: &[u8]| {
        let at = bytes.windows(group.len()).position(|window| window == group).unwrap();
        [&bytes[..at], with, &bytes[at + group.len()..]].concat()
    };
    assert!(Content::decode(&pad(replace(&without, &direct)).unwrap()).is_ok());
    assert_eq!(Content::decode(&pad(replace(good, &direct)).unwrap()), Err(ContentError::Malformed), "a place in none");
    let later = [&[0xa1, 2, 0x65][..], b"alice"].concat();
    assert!(Content::decode(&pad(replace(&without, &later)).unwrap()).is_ok());
    assert_eq!(
        Content::decode(&pad(replace(good, &later)).unwrap()),
        Err(ContentError::Malformed),
        "in an unknown one"
    );
    let short = [&[0xa1, 1, 0x58, 31][..], &[3; 31]].concat();
    assert_eq!(Content::decode(&pad(replace(good, &short)).unwrap()), Err(ContentError::Malformed));
}

#[test]
fn the_longest_text_fits_in_a_group_with_all_that_may_come_with_it() {
    let mut longest = content(Body::text("x".repeat(MAX_TEXT_BYTES)));
    let ack =
        Ack { device: DeviceId::new([1; 16]), epoch: MAX_NUMBER, below: MAX_NUMBER, given_up: vec![MAX_NUMBER; 8] };
    longest.acks = vec![ack; MAX_ACKS];
    let Conversation::Group(_, place) = &mut longest.conversation else { panic!() };
    place.seen = vec![Seen { n: MAX_NUMBER, epoch: MAX_NUMBER, ..seen(1) }; MAX_SEEN];
    assert_eq!(longest.encode().map(|bytes| bytes.len()), Ok(65_504));
}

proptest! {
    #[test]
    fn atk_53_any_damage_of_a_content_in_a_group_is_read_without_panic(place in 0_usize..470, value: u8) {
        let mut bytes = content(Body::text("hello".into())).encode().unwrap();
        bytes[place] = value;
        let _ = Content::decode_said(&bytes);
    }
}
