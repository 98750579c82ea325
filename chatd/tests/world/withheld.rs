//! Heads that are named and not shown: what the server and others can make of the alarm, and of what it brings.

use std::time::Duration;

use chat_protocol::ids::{Head, HeadHash, MessageId};
use chat_protocol::message::server::{LogGrew, Push};
use chat_protocol::rpc::EventBody;
use chatd::engine::{Input, peers};

use crate::identities::bob;
use crate::lies::Shown;
use crate::logs::{forge, with_tablet};
use crate::world::{Fate, World, acquainted};

const MINUTES: Duration = Duration::from_secs(120);
const HOUR: Duration = Duration::from_secs(60 * 60);

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

impl World {
    /// Bob's device names a head of alice's log.
    fn names(&mut self, by: usize, to: usize, seq: u64) {
        let id = MessageId::from_parts(self.now, rand::random());
        forge(self, by, to, |content| {
            content.heads.peer = Head { seq, hash: HeadHash::new([9; 32]) };
            content.id = id;
        });
        self.advance(MINUTES);
    }
}

#[test]
fn no_head_uses_up_the_alarm_for_those_that_are_named_later() {
    let (mut world, alice, bob_) = acquainted();
    world.names(bob_, alice, u64::MAX);
    assert_eq!(alarms(&world, alice), 0, "no log is that long");
    world.names(bob_, alice, 1_023);
    assert_eq!(alarms(&world, alice), 1);
    world.names(bob_, alice, 50);
    world.advance(HOUR * 22);
    world.names(bob_, alice, 51);
    assert_eq!(alarms(&world, alice), 1, "once a day");
    world.advance(HOUR * 2);
    world.names(bob_, alice, 50);
    assert_eq!(alarms(&world, alice), 2);
    world.another_device(alice);
    world.settle();
    let own = peers::get(&world.nodes[alice].rows, &world.name(alice)).unwrap().unwrap();
    assert_eq!((own.pinned.log.head().seq, own.withheld), (1, None), "the log goes on: that is over");
}

impl World {
    /// Makes the log of an account longer than one message holds.
    fn lengthen(&mut self, who: usize) {
        for _ in 0..40 {
            let new = self.waiting_device(who);
            let (cert, acceptance) = (self.nodes[new].local.cert.clone(), self.acceptance(new));
            self.write_log(who, |log, author| log.add_device(author, &cert, acceptance, &mut rand::rng()));
            self.revoke(who, &[new]);
        }
        self.settle();
    }

    /// Long messages from one device to another.
    fn long_ones(&self, from: usize, to: usize) -> usize {
        let (from, to) = (self.nodes[from].device, self.nodes[to].device);
        let mine = self.server.seen.iter().filter(|(by, _)| *by == from);
        let long = |submit: &&chat_protocol::message::client::Submit| {
            submit.to.iter().any(|it| it.device == to && it.envelope.token.len() > 16 * 1024)
        };
        mine.map(|(_, submit)| submit).filter(long).count()
    }
}

#[test]
fn whoever_names_no_entry_of_a_long_log_is_told_it_once() {
    let (mut world, alice, bob_) = acquainted();
    world.lengthen(bob_);
    world.send(bob_, alice, "many devices");
    world.settle();
    world.go_offline(bob_);
    for n in 0..6 {
        let id = MessageId::from_parts(world.now, [n; 10]);
        forge(&mut world, bob_, alice, |content| {
            content.heads.own = Head { seq: 0, hash: HeadHash::new([9; 32]) };
            content.id = id;
        });
        world.advance(MINUTES);
    }
    assert_eq!(world.long_ones(alice, bob_), 2, "the whole of it, in two parts");
}

#[test]
fn atk_98_logs_of_strangers_that_a_server_announces_leave_no_rows_and_raise_no_alarm() {
    let (mut world, alice, _) = acquainted();
    let strangers: Vec<_> = (0..20).map(|n| world.user(&format!("stranger{n}"))).collect();
    world.settle();
    let (pins, asked) = (peers::all(&world.nodes[alice].rows).unwrap().len(), world.nodes[alice].asked.len());
    let nobody = (0..1_000).map(|n| format!("nobody{n}").parse().unwrap());
    let named: Vec<_> = strangers.iter().map(|who| world.name(*who)).chain(nobody).collect();
    for user in named {
        let head = Head { seq: 5, hash: HeadHash::new([9; 32]) };
        world.feed(alice, vec![Input::Push(Push::LogGrew(LogGrew { user, head }))], Fate::Done);
    }
    world.advance(HOUR);
    assert_eq!(peers::all(&world.nodes[alice].rows).unwrap().len(), pins);
    assert!(world.nodes[alice].asked.len() - asked < 10, "the server is believed nothing of those nobody here knows");
    assert_eq!(alarms(&world, alice), 0);
}

#[test]
fn a_false_head_of_a_contact_pushed_by_the_server_stops_nothing() {
    let (mut world, alice, bob_) = acquainted();
    let user = world.name(bob_);
    for seq in [5, 50, 1_000] {
        let head = Head { seq, hash: HeadHash::new([9; 32]) };
        world.feed(alice, vec![Input::Push(Push::LogGrew(LogGrew { user: user.clone(), head }))], Fate::Done);
        world.advance(HOUR);
    }
    assert_eq!(alarms(&world, alice), 0);
    world.send(bob_, alice, "nothing has changed");
    world.settle();
    assert!(world.inbox(alice).ends_with(&["bob: nothing has changed".to_owned()]));
}
