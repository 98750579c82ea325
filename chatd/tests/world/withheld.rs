//! Heads that are named and not shown: what the server and others can make of the alarm, and of what it brings.

use std::time::Duration;

use chat_protocol::rpc::EventBody;

use crate::identities::bob;
use crate::lies::Shown;
use crate::logs::with_tablet;
use crate::world::World;

fn alarms(world: &World, who: usize) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::IdentityLogWithheld(_)))
}

#[test]
fn atk_30_a_server_that_answers_with_what_is_known_is_told_of_and_not_asked_without_end() {
    let (mut world, alice, bob_, tablet) = with_tablet();
    world.show_only(bob_, Some(2));
    world.revoke(bob_, &[tablet]);
    world.settle();
    // whoever asks for the third entry is given the second one again
    let known = world.server.shown[&bob()].entries.clone();
    let entries = known.iter().chain(known.last()).cloned().collect();
    world.server.shown.insert(bob(), Shown { entries, head: world.log_of(bob_).head() });
    world.server.takes_all = true;
    world.server.swallow.insert(world.server.seen.len());
    world.send(bob_, alice, "stolen");
    let before = world.nodes[alice].asked.len();
    world.advance(Duration::from_secs(70));
    assert_eq!(alarms(&world, alice), 1);
    let asked = world.nodes[alice].asked.len() - before;
    assert!(asked < 30, "it is asked now and then, not {asked} times");
}
