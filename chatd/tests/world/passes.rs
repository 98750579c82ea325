//! What goes from one daemon to another is read and written once on its way.

use chat_protocol::fixtures::counts::{self, Passes};

use crate::world::World;

/// Alice and bob, who have written to each other.
fn acquainted() -> (World, usize, usize) {
    let mut world = World::new();
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.settle();
    world.send(alice, bob, "hello");
    world.settle();
    world.send(bob, alice, "hi");
    world.settle();
    (world, alice, bob)
}

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
}
