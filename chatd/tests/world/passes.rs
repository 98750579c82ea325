//! What goes from one daemon to another is read and written once on its way.

use chat_protocol::cbor;
use chat_protocol::fixtures::counts::{self, Passes};
use chat_protocol::time::Timestamp;
use chatd::engine::{amend, events};
use chatd::store::{Place, Rows, Table};
use minicbor::Encode;

use crate::world::{World, acquainted};

/// As often as envelopes were handed in, and nothing of them by itself.
fn assert_once(passes: &Passes) {
    let submits = passes.written("client::Submit");
    assert!(submits > 0, "{passes:?}");
    for kind in ["push::Deliver", "wire::Wire"] {
        assert_eq!((passes.read(kind), passes.written(kind)), (submits, submits), "{kind}: {passes:?}");
    }
    assert_eq!(passes.read("client::Submit"), submits, "{passes:?}");
    assert_eq!((passes.read("message::Envelope"), passes.written("message::Envelope")), (0, 0), "{passes:?}");
}

#[test]
fn an_envelope_and_its_content_are_written_once_and_read_once_at_each_end() {
    let (mut world, alice, bob) = acquainted();
    let ((), passes) = counts::during(|| {
        world.send(alice, bob, "once");
        world.settle();
    });
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: once");
    assert_once(&passes);
}

#[test]
fn an_envelope_that_waited_in_the_mailbox_is_not_written_anew() {
    let (mut world, alice, bob) = acquainted();
    world.go_offline(bob);
    let ((), passes) = counts::during(|| {
        world.send(alice, bob, "once");
        world.settle();
        world.come_online(bob);
        world.settle();
    });
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: once");
    assert_once(&passes);
}

#[test]
fn an_init_is_read_once_however_often_it_comes() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.go_offline(bob);
    let ((), passes) = counts::during(|| {
        for text in ["one", "two", "three"] {
            world.send(alice, bob, text);
            world.settle();
        }
        world.come_online(bob);
        world.settle();
    });
    assert_eq!(world.inbox(bob), ["alice: one", "alice: two", "alice: three"]);
    assert_eq!((passes.read("init::Body"), passes.written("init::Body")), (1, 1), "{passes:?}");
    // by the server, and once by the device that notes that its INIT was accepted
    assert_eq!(passes.read("client::Submit"), passes.written("client::Submit") + 1, "{passes:?}");
}

#[test]
fn a_message_and_its_receipt_replay_no_account_log() {
    let (mut world, alice, bob) = acquainted();
    let ((), passes) = counts::during(|| {
        world.send(alice, bob, "once");
        world.settle();
    });
    assert_eq!(world.inbox(bob).last().unwrap(), "alice: once");
    assert_eq!(passes.read("account_log::AccountLog"), 0, "{passes:?}");
}

/// RSA keys and certificates that were parsed.
fn parsed(passes: &Passes) -> (u64, u64) {
    let keys = ["rsa::VerifyingKey", "rsa::EncryptionKey", "rsa::SigningKey", "rsa::DecryptionKey"];
    (keys.iter().map(|kind| passes.read(kind)).sum(), passes.read("device::CertBody"))
}

#[test]
fn a_warm_message_parses_no_key_and_no_certificate_and_its_envelope_once_at_server_and_reader() {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    let say = |world: &mut World, text: &str| {
        let ((), passes) = counts::during(|| {
            world.send(alice, bob, text);
            world.settle();
        });
        assert_eq!(world.inbox(bob).last().unwrap(), &format!("alice: {text}"));
        passes
    };
    let (keys, certificates) = parsed(&say(&mut world, "first"));
    assert!(keys > 0 && certificates > 0, "those that a session begins with are counted");
    for text in ["second", "third"] {
        let passes = say(&mut world, text);
        assert_eq!(parsed(&passes), (0, 0), "{passes:?}");
        assert_once(&passes);
        // neither looked over before it is pushed, nor kept until something else is there
        assert_eq!((passes.read("envelope::View"), passes.read("inbox::Raw")), (0, 0), "{passes:?}");
    }
}

/// The newest event of a daemon's log.
fn newest(world: &World, who: usize) -> u64 {
    events::newest(&world.nodes[who].rows).unwrap()
}

#[test]
fn an_event_is_written_once_and_parsed_for_no_reader() {
    let (mut world, alice, bob) = acquainted();
    let before = newest(&world, alice) + newest(&world, bob);
    let ((), passes) = counts::during(|| {
        world.send(alice, bob, "once");
        world.settle();
    });
    let appended = newest(&world, alice) + newest(&world, bob) - before;
    assert!(appended > 0);
    assert_eq!(passes.written("written::WrittenEvent"), appended, "{passes:?}");
    let (read, passes) = counts::during(|| {
        let read = |id: &str| {
            let mut text = String::new();
            for event in events::after(&world.nodes[bob].rows, 0, usize::MAX).unwrap() {
                event.write_into(&mut text, Some(id), false);
            }
            text
        };
        ["one", "two", "three"].map(read)
    });
    assert!(read.iter().all(|text| text.contains("once")));
    assert_eq!((passes.read("written::WrittenEvent"), passes.written("written::WrittenEvent")), (0, 0), "{passes:?}");
}

/// An event as the first version kept it.
#[derive(Encode)]
#[cbor(map)]
struct First {
    #[n(0)]
    json: String,
    #[n(1)]
    at: Timestamp,
}

#[test]
fn events_of_the_first_version_are_read_and_forget_what_was_deleted() {
    let (mut world, alice, bob) = acquainted();
    let message = world.send(alice, bob, "a secret");
    world.settle();
    let whole = |world: &World| -> Vec<_> {
        let found = events::after(&world.nodes[bob].rows, 0, usize::MAX).unwrap();
        found.iter().map(|event| serde_json::to_string(&event.event(false)).unwrap()).collect()
    };
    let (before, at) = (whole(&world), world.now);
    let first = newest(&world, bob) + 1 - before.len() as u64;
    for (seq, json) in (first..).zip(&before) {
        let row = cbor::encode(&First { json: json.clone(), at });
        let key = seq.to_be_bytes();
        world.nodes[bob].rows.put(Place::new(Table::Events, b"", &key), seq, &row).unwrap();
    }
    assert_eq!(whole(&world), before);
    assert!(before.iter().any(|json| json.contains("a secret")));
    world.command(alice, |txn| amend::delete_everywhere(txn, &message)).unwrap();
    world.settle();
    assert!(!whole(&world).iter().any(|json| json.contains("a secret")), "{:?}", whole(&world));
}
