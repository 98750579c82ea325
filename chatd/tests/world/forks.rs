//! Two versions of one account log, and what the user's choice between them means for those who are on both.

use std::time::Duration;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::rpc::{EventBody, Target};

use crate::identities::{accept, bob, peer, show};
use crate::logs::{forge, with_tablet};
use crate::world::World;

const MINUTES: Duration = Duration::from_secs(120);

/// Alice was shown a fork of bob's log, in which his first device is active too.
fn forked() -> (World, usize, usize, [AccountLog; 2]) {
    let (mut world, alice, bob_, _) = with_tablet();
    let pinned = peer(&world, alice).pinned.log;
    let old = AccountLog::verify(&bob(), &pinned.entries_from(0).take(1).collect::<Vec<_>>()).unwrap();
    let fork = world.grown(&old, bob_);
    show(&mut world, &fork);
    drop(world.try_send(alice, Target::User(bob()), "hm", None));
    world.advance(MINUTES);
    assert_eq!(peer(&world, alice).rival.map(|rival| rival.log), Some(fork.clone()));
    (world, alice, bob_, [pinned, fork])
}

#[test]
fn whichever_version_was_chosen_the_devices_in_it_are_heard() {
    for chosen in [0, 1] {
        let (mut world, alice, bob_, versions) = forked();
        accept(&mut world, alice, &versions[chosen]).unwrap();
        forge(&mut world, bob_, alice, |_| {});
        world.advance(MINUTES);
        let refused = |body: &EventBody| matches!(body, EventBody::MessageHeld(_));
        assert_eq!(world.count_events(alice, refused), 0);
        assert!(world.inbox(alice).contains(&"bob: forged".to_owned()), "version {chosen}");
    }
}
