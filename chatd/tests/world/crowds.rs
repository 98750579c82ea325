//! Hundreds of users wait for a first message of one who was away: counted in what is asked.

use std::time::Duration;

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::types::MessageState;

use crate::world::World;

/// More than a link holds requests.
const MANY: usize = 300;
/// Fetches, submits and one of each other kind that may be open at once.
const MOST_OPEN: usize = 112 + 64 + 8;
/// Requests at login, whoever waits.
const HANDFUL: usize = 8;
const MINUTES: Duration = Duration::from_secs(120);

/// Alice, who is away, and what she wrote to users who are away too: two messages to each.
fn crowd() -> (World, usize, Vec<(usize, [MessageId; 2])>) {
    let mut world = World::new();
    let alice = world.user("alice");
    world.settle();
    world.go_offline(alice);
    let mut wrote = Vec::new();
    for n in 0..MANY {
        let user = world.user(&format!("user{n}"));
        world.settle();
        world.go_offline(user);
        wrote.push((user, ["first", "second"].map(|text| world.send(alice, user, text))));
    }
    (world, alice, wrote)
}

fn all_are(world: &World, who: usize, wrote: &[(usize, [MessageId; 2])], state: MessageState) -> bool {
    wrote.iter().flat_map(|(_, ids)| ids).all(|id| world.state(who, *id) == state)
}

#[test]
fn a_connection_that_comes_back_while_hundreds_wait_for_a_first_message_is_begun_once() {
    let (mut world, alice, wrote) = crowd();
    // a refusal makes room for the next as well, and with the logs known all keys are asked for at once
    world.server.bundleless = wrote.iter().map(|(user, _)| world.nodes[*user].device).collect();
    world.come_online(alice);
    world.settle();
    assert!(all_are(&world, alice, &wrote, MessageState::Queued));
    world.go_offline(alice);
    world.server.bundleless.clear();

    let asked = world.nodes[alice].asked.len();
    world.come_online(alice);
    world.advance(MINUTES);
    let node = &world.nodes[alice];
    let (asked, most) = (node.asked.len() - asked, node.wire.as_ref().unwrap().most_open);
    assert!(asked < MANY * 3 + HANDFUL, "{asked} requests: the keys of each and two messages");
    assert!((MOST_OPEN / 2..=MOST_OPEN).contains(&most), "{most} open at once");
    assert!(all_are(&world, alice, &wrote, MessageState::Accepted));
    world.go_offline(alice);
    for (user, _) in wrote.into_iter().step_by(10) {
        world.come_online(user);
        world.settle();
        assert_eq!(world.inbox(user), ["alice: first", "alice: second"]);
        world.go_offline(user);
    }
}
