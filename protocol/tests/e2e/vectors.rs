//! Frozen vectors: what an independent implementation once wrote must be read for ever.

use chat_protocol::ids::{DeviceId, Head, HeadHash, MessageId, Username};
use chat_protocol::session::content::{
    Ack, Body, Content, Conversation, Delete, Edit, Heads, LogEntries, Profile, Reaction, Receipt, Reply, SenderSeq,
    Text, Unsupported,
};
use serde_json::Value;

use crate::checks::{bytes, check_identity, check_session};
use crate::common::AT;

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn names(names: &[&str]) -> Vec<Username> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn frozen_account_logs_logins_and_digits() {
    check_identity(&read(include_str!("../vectors/identity.json")));
}

#[test]
fn frozen_sessions_open() {
    check_session(&read(include_str!("../vectors/session.json")));
}

#[test]
fn frozen_contents_are_read_and_written_byte_for_byte() {
    let vector = read(include_str!("../vectors/content.json"));
    let head = Head { seq: 3, hash: HeadHash::new([0xaa; 32]) };
    let ack = Ack { device: DeviceId::new([0xdd; 16]), epoch: 5, below: 1000, given_up: vec![998, 999] };
    let target = MessageId::new([0x77; 16]);
    let bodies = [
        ("text", Body::text("hello".into())),
        ("reply", Body::Reply(Reply { text: "yes".into(), to: target, mentions: vec![], ttl_s: None })),
        ("edit", Body::Edit(Edit { target, text: "hallo".into() })),
        ("delete", Body::Delete(Delete { target })),
        ("reaction", Body::Reaction(Reaction { target, emoji: "👍".into() })),
        ("receipt", Body::Receipt(Receipt { read: vec![ack.clone()] })),
        ("heartbeat", Body::Heartbeat),
        ("reset", Body::Reset),
        (
            "log_entries",
            Body::LogEntries(LogEntries { user: "bob".parse().unwrap(), entries: vec![b"entry".to_vec().into()] }),
        ),
        (
            "profile",
            Body::Profile(Profile {
                display_name: "Bob's bot".into(),
                about: "says when something breaks".into(),
                bot: true,
                version: AT.as_millis(),
            }),
        ),
        (
            "text_with_all",
            Body::Text(Text { text: "hello @bob".into(), mentions: names(&["bob", "carol"]), ttl_s: Some(3600) }),
        ),
        (
            "reply_with_all",
            Body::Reply(Reply { text: "yes @bob".into(), to: target, mentions: names(&["bob"]), ttl_s: Some(5) }),
        ),
        ("unsupported", Body::Unsupported(Unsupported { kind: 40, body: vec![0xa1, 0, 1] })),
        ("owed_from", Body::text("hello".into())),
    ];
    assert_eq!(vector.as_object().unwrap().len(), bodies.len() + 1, "and one of a later version");
    for (name, body) in bodies {
        let first = (name == "owed_from").then_some(42);
        let content = Content {
            conversation: Conversation::Direct("alice".parse().unwrap()),
            id: MessageId::new([7; 16]),
            sender_seq: body.is_message().then_some(SenderSeq { epoch: 9, n: 70, first }),
            sent: AT,
            heads: Heads { own: head, peer: head },
            acks: vec![ack.clone()],
            body,
        };
        let frozen = bytes(&vector[name]);
        assert_eq!(content.encode().unwrap(), frozen, "{name}");
        assert_eq!(Content::decode(&frozen), Ok(content), "{name}");
    }
}

#[test]
fn a_frozen_content_of_a_later_version_is_numbered_and_acknowledges_and_says_nothing_known() {
    let later = Content::decode(&bytes(&read(include_str!("../vectors/content.json"))["later_version"])).unwrap();
    let Body::Unsupported(said) = &later.body else { panic!("{:?}", later.body) };
    assert_eq!((said.kind, said.body[0]), (1, 0xa2), "kept as it came");
    assert_eq!(later.sender_seq.map(|seq| (seq.epoch, seq.n)), Some((9, 70)));
    assert_eq!((later.id, later.acks.len()), (MessageId::new([7; 16]), 1));
}
