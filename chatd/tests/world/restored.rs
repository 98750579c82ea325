//! A server whose account logs end earlier than here: it was restored, or never took what somebody told.

use std::time::Duration;

use chat_protocol::ids::DeviceId;
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::MessageState;

use crate::logs::with_tablet;
use crate::world::World;

const MINUTES: Duration = Duration::from_secs(5 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

fn told(world: &World, who: usize, of: &str) -> usize {
    world.count_events(who, |body| matches!(body, EventBody::IdentityLogBehind(about) if about.user.as_str() == of))
}

fn hex(device: DeviceId) -> String {
    device.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl World {
    /// The server is restored from a copy of when the log of an account ended with its entry `seq`; these devices it
    /// takes for what they were then.
    fn restore_log(&mut self, who: usize, seq: u64, devices: &[(usize, i64)]) {
        let (name, head) = (self.name(who), self.log_of(who).head_at(seq).unwrap());
        let hash: String = head.hash.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let account = format!("(SELECT id FROM chat_app WHERE username = '{name}')");
        self.server.disk.meddle(&format!(
            "DELETE FROM log_entry WHERE account = {account} AND seq > {seq};
             UPDATE account_log SET seq = {seq}, head = x'{hash}' WHERE account = {account};"
        ));
        for (device, state) in devices {
            let device = hex(self.nodes[*device].device);
            self.server.disk.meddle(&format!("UPDATE device SET state = {state} WHERE device = x'{device}'"));
        }
    }
}

const WAITING: i64 = 0;
const ACTIVE: i64 = 1;

#[test]
fn atk_99_what_a_restored_server_lacks_of_a_log_is_told_once_and_appended_again_by_a_device_of_the_account() {
    let (mut world, alice, bob, tablet) = with_tablet();
    let whole = world.log_of(bob);
    world.go_offline(bob);
    world.go_offline(tablet);
    world.restore_log(bob, 0, &[(tablet, WAITING)]);
    let id = world.send(alice, bob, "are you there?");
    world.advance(MINUTES);
    assert_eq!(told(&world, alice, "bob"), 0, "a device may be back in a moment");
    world.advance(MINUTES * 3);
    assert_eq!(told(&world, alice, "bob"), 1);
    world.crash(alice);
    world.advance(HOUR * 5);
    assert_eq!((told(&world, alice, "bob"), world.state(alice, id)), (1, MessageState::Queued));

    world.come_online(bob);
    world.settle();
    assert_eq!(world.log_of(bob), whole);
    world.come_online(tablet);
    world.advance(MINUTES * 2);
    for device in [bob, tablet] {
        assert_eq!(world.inbox(device).last().unwrap(), "alice: are you there?");
    }
    assert_eq!((told(&world, alice, "bob"), told(&world, bob, "bob")), (1, 0));
}

#[test]
fn atk_99_a_second_restore_to_before_the_same_entry_is_told_of_too() {
    let (mut world, alice, bob, tablet) = with_tablet();
    for restores in 1..=2 {
        world.go_offline(bob);
        world.go_offline(tablet);
        world.restore_log(bob, 0, &[(tablet, WAITING)]);
        world.send(alice, bob, "are you there?");
        world.advance(MINUTES * 4);
        assert_eq!(told(&world, alice, "bob"), restores);
        world.come_online(bob);
        world.come_online(tablet);
        world.advance(HOUR * 24);
    }
}

#[test]
fn atk_99_a_device_that_was_revoked_is_none_of_a_restored_server_for_long() {
    let (mut world, _, bob, tablet) = with_tablet();
    world.revoke(bob, &[tablet]);
    world.settle();
    world.go_offline(bob);
    world.restore_log(bob, 1, &[(tablet, ACTIVE)]);
    world.come_online(bob);
    world.settle();
    assert_eq!(world.log_of(bob).head().seq, 2);
    assert!(world.server.devices_of(&world.name(bob)).contains(&world.nodes[tablet].device));
    world.come_online(tablet);
    world.settle();
    assert!(!world.nodes[tablet].engine.is_online());
}

#[test]
fn atk_99_an_entry_that_a_lying_server_never_takes_is_told_once_and_costs_little() {
    let (mut world, alice, bob, _) = with_tablet();
    world.show_only(bob, Some(1));
    let id = world.send(alice, bob, "does this arrive?");
    let asked = world.nodes[alice].asked.len();
    for _ in 0..10 {
        world.advance(HOUR);
        world.cut(alice);
    }
    assert_eq!((told(&world, alice, "bob"), world.state(alice, id)), (1, MessageState::Queued));
    let asked = world.nodes[alice].asked.len() - asked;
    assert!(asked < 10 * 60, "{asked} requests in ten hours");
    world.show_only(bob, None);
    world.advance(MINUTES * 2);
    assert_eq!(world.state(alice, id), MessageState::Delivered);
}

#[test]
fn atk_99_a_server_that_says_it_lacks_the_own_log_for_ever_is_handed_it_less_and_less() {
    let (mut world, _, bob, _) = with_tablet();
    world.server.own_too.insert(world.name(bob));
    world.show_only(bob, Some(1));
    let asked = world.nodes[bob].asked.len();
    for _ in 0..10 {
        world.cut(bob);
        world.advance(HOUR);
    }
    let asked = world.nodes[bob].asked.len() - asked;
    assert!(asked < 10 * 60, "{asked} requests in ten hours");
}
