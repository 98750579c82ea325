//! A month in the life of three people: devices come, are lost, stolen and restored, and are off for weeks, while
//! everybody talks on a bad line. In the end every device shows what was for it, and no other anything of it.
//!
//! ```text
//! day  2  bob's bot goes off                 day 20  carol begins anew: she is `changed` for the others
//! day 13  a thief copies alice's phone       day 22  those who are there accept her
//! day 15  the phone is revoked               day 27  bob's desktop gets yesterday's data back
//! day 16  alice adds a tablet                day 32  alice's laptop is back
//! day 17  carol loses her only device        day 33  carol adds a second device
//! day 18  alice's laptop goes off            day 34  bob's bot is back, its bundle long expired
//! ```
//! `diary` is the model, `checks` compares.

mod checks;
mod diary;

use std::time::Duration;

use chat_protocol::ids::{SessionId, Username};
use chat_protocol::message::server::{Deliver, Push};
use chat_protocol::rpc::Target;
use chat_protocol::rpc::types::MsgSend;
use chatd::engine::sessions::{self, HighWater};
use chatd::engine::store::MemoryRows;
use chatd::engine::{Input, commands, devices, trust};

use crate::world::{BEGIN, Fate, World};
use checks::{check, everything, note_seen, used, written_to};
use diary::Diary;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAYS: u32 = 38;
/// The day that is lost on bob's desktop, and the one on which it gets the data of the evening before back.
const LOST_DAY: u32 = 26;
const RESTORE_DAY: u32 = LOST_DAY + 1;

// Devices, in the order in which they come.
const LAPTOP: usize = 0;
const DESKTOP: usize = 1;
const OLD: usize = 2;
const PHONE: usize = 3;
const BOT: usize = 4;
const TABLET: usize = 5;
const NEW: usize = 6;
const SECOND: usize = 7;
/// Not a device but a copy of the phone's data, in a thief's hands.
const THIEF: usize = 8;

/// A copy of a device's data.
struct Copy {
    rows: MemoryRows,
    marks: HighWater,
    /// What had been said, and what submitted, when it was made.
    said: usize,
    submits: usize,
}

struct Month {
    world: World,
    diary: Diary,
    stolen: Option<Copy>,
    yesterday: Option<Copy>,
    /// Submits there were when the phone was revoked, and when carol began anew.
    revoked: usize,
    reset: usize,
    /// Submits there were when everybody had been back since, and had heard of both.
    all_know: usize,
    /// What had been said when bob's desktop was restored.
    restored: usize,
    /// The session of alice's laptop and bob's bot at first.
    first_session: Option<SessionId>,
}

#[test]
fn a_month_of_three_people_and_their_devices_loses_nothing_and_tells_nobody_too_much() {
    for seed in 1..=3 {
        let mut month = Month::begin(seed);
        (1..DAYS).for_each(|day| month.day(day));
        month.goodbye();
        month.thief_tries();
        check(&month);
        month.check_keys();
    }
}

impl Month {
    fn begin(seed: u64) -> Self {
        let mut world = World::seeded(seed);
        let mut diary = Diary::default();
        for name in ["alice", "bob", "carol"] {
            world.user(name);
        }
        world.another_device(LAPTOP);
        world.another_device(DESKTOP);
        world.nodes.iter().for_each(|node| diary.joins(node.user.clone()));
        world.settle();
        let mut month = Self {
            world,
            diary,
            stolen: None,
            yesterday: None,
            revoked: 0,
            reset: 0,
            all_know: 0,
            restored: 0,
            first_session: None,
        };
        month.all_say_something();
        month.first_session = month.sending(LAPTOP, BOT);
        month
    }

    /// What happens in the morning, talk on a bad line, and a quiet rest of the day.
    fn day(&mut self, day: u32) {
        self.happens(day);
        (self.world.cuts, self.world.crashes) = (12, 24);
        (0..2).for_each(|_| self.talk());
        self.world.calm_as_it_is();
        self.read();
        let evening = BEGIN + DAY * (day + 1);
        self.world.advance(evening.since(self.world.now));
    }

    fn happens(&mut self, day: u32) {
        match day {
            2 => self.goes_off(BOT),
            13 => self.stolen = Some(self.copy(PHONE)),
            15 => self.phone_is_revoked(),
            16 => assert_eq!(self.joins(LAPTOP), TABLET),
            17 => self.carol_loses_everything(),
            18 => self.goes_off(LAPTOP),
            20 => self.carol_begins_anew(),
            22 => self.carol_is_accepted(),
            LOST_DAY => self.desktop_is_copied(),
            RESTORE_DAY => self.desktop_is_restored(),
            32 => self.comes_back(LAPTOP),
            33 => assert_eq!(self.joins(NEW), SECOND),
            34 => self.comes_back(BOT),
            _ => {}
        }
    }

    // What people say.

    /// Everybody says something to somebody, or not; also who has no connection.
    fn talk(&mut self) {
        for by in self.diary.speakers() {
            let rarely = if self.diary.is_awake(by) { 2 } else { 8 };
            if self.world.below(rarely) > 0 {
                continue;
            }
            let others = self.others(by);
            let to = others[self.world.below(others.len())].clone();
            let fate = [Fate::Done, Fate::Done, Fate::DiesAfter, Fate::DiesBefore][self.world.below(4)];
            self.says(by, to, fate);
            if self.world.below(2) == 0 {
                self.world.settle();
            }
        }
        self.world.settle();
    }

    fn all_say_something(&mut self) {
        for by in self.diary.speakers() {
            for to in self.others(by) {
                self.says(by, to, Fate::Done);
                self.world.settle();
            }
        }
    }

    fn says(&mut self, by: usize, to: Username, fate: Fate) {
        let text = self.diary.words(by, &to);
        let send = MsgSend::text(Target::User(to.clone()), text.clone());
        match self.world.command_with(by, fate, |txn| commands::send(txn, send)) {
            Ok(sent) if !fate.leaves_nothing() => self.diary.add((by, to), sent.id, text, self.world.now),
            Ok(_) => {}
            Err(refused) => assert!(self.diary.distrusts(by, &to), "device {by} to {to}: {refused}"),
        }
    }

    /// Everybody else's names.
    fn others(&self, who: usize) -> Vec<Username> {
        let names = [LAPTOP, DESKTOP, OLD].map(|first| self.world.name(first));
        names.into_iter().filter(|name| *name != self.world.name(who)).collect()
    }

    /// Somebody reads a chat on one device, when all is quiet.
    fn read(&mut self) {
        let awake: Vec<_> = self.diary.speakers().into_iter().filter(|who| self.diary.is_awake(*who)).collect();
        let who = awake[self.world.below(awake.len())];
        let others = self.others(who);
        let peer = others[self.world.below(others.len())].clone();
        if self.diary.distrusts(who, &peer) {
            return;
        }
        let chat = format!("@{peer}");
        // a device that came later may have no such chat yet
        if self.world.command(who, |txn| commands::mark_read(txn, &chat, None)).is_ok() {
            note_seen(&self.world, &mut self.diary, who, &peer);
            self.world.settle();
        }
    }

    // What happens to devices.

    fn goes_off(&mut self, who: usize) {
        self.world.go_offline(who);
        self.diary.sleeps(who);
    }

    /// A device is back after weeks, and decides about whoever changed meanwhile.
    fn comes_back(&mut self, who: usize) {
        self.diary.wakes(who, self.world.now);
        self.world.come_online(who);
        self.world.calm_as_it_is();
        self.accepts(who);
        self.all_know = self.world.server.seen.len();
    }

    /// A further device of the account of `by`, which makes itself known to everybody.
    fn joins(&mut self, by: usize) -> usize {
        let new = self.world.another_device(by);
        self.diary.joins(self.world.name(new));
        self.world.settle();
        for to in self.others(new) {
            self.says(new, to, Fate::Done);
        }
        self.world.settle();
        new
    }

    fn copy(&self, who: usize) -> Copy {
        let rows = self.world.nodes[who].rows.clone();
        let marks = HighWater::of(&rows).unwrap();
        Copy { rows, marks, said: self.diary.said.len(), submits: self.world.server.seen.len() }
    }

    fn phone_is_revoked(&mut self) {
        let stolen = self.stolen.as_ref().unwrap().said;
        let phone = self.world.nodes[PHONE].device;
        self.world.command(LAPTOP, |txn| devices::revoke(txn, &[phone])).unwrap();
        self.world.settle();
        self.diary.ends(PHONE);
        self.diary.is_copied(PHONE, THIEF, stolen);
        self.others_hear_of_it();
        self.revoked = self.world.server.seen.len();
    }

    /// Everybody who is there writes to alice, and is told by the server that her log has grown.
    fn others_hear_of_it(&mut self) {
        for who in [DESKTOP, OLD] {
            let alice = self.world.name(LAPTOP);
            self.says(who, alice, Fate::Done);
            self.world.settle();
            self.diary.hears(who);
        }
    }

    fn carol_loses_everything(&mut self) {
        self.world.go_offline(OLD);
        self.diary.ends(OLD);
    }

    /// Carol has a new device, and nothing but her password.
    fn carol_begins_anew(&mut self) {
        let carol = self.world.name(OLD);
        self.reset = self.world.server.seen.len();
        assert_eq!(self.world.lost_everything(&carol), NEW);
        self.diary.joins(carol.clone());
        self.diary.resets(&carol);
        self.diary.believes(NEW);
        self.world.settle();
        for to in self.others(NEW) {
            self.says(NEW, to, Fate::Done);
        }
        self.world.settle();
    }

    fn carol_is_accepted(&mut self) {
        assert_eq!(written_to(&self.world, NEW, self.reset), 0, "nothing leaves before she is accepted");
        [DESKTOP, TABLET].into_iter().for_each(|who| self.accepts(who));
    }

    fn accepts(&mut self, who: usize) {
        let (carol, log) = (self.world.name(NEW), self.world.log_of(NEW));
        let (fingerprint, head) = (log.fingerprint(), log.head());
        self.world.command(who, |txn| trust::accept(txn, &carol, &fingerprint, &head)).unwrap();
        self.diary.believes(who);
        self.world.settle();
    }

    fn desktop_is_copied(&mut self) {
        self.yesterday = Some(self.copy(DESKTOP));
        for to in self.others(DESKTOP) {
            self.says(DESKTOP, to, Fate::Done);
        }
    }

    /// The desktop's disk is replaced by yesterday's copy; every other time the daemon's file beside it is still there.
    fn desktop_is_restored(&mut self) {
        let Copy { rows, said, .. } = self.yesterday.take().unwrap();
        let noted = (self.world.below(2) == 0).then(|| self.copy(DESKTOP).marks);
        self.world.go_offline(DESKTOP);
        self.world.restore(DESKTOP, rows, noted);
        self.diary.forgets(DESKTOP, said);
        self.restored = self.diary.said.len();
        let before = self.world.server.seen.len();
        let old = used(&self.world, DESKTOP, 0..before);
        self.world.come_online(DESKTOP);
        for to in self.others(DESKTOP) {
            self.says(DESKTOP, to, Fate::Done);
        }
        self.world.calm_as_it_is();
        let since = used(&self.world, DESKTOP, before..self.world.server.seen.len());
        let again: Vec<_> = since.intersection(&old).collect();
        assert!(!since.is_empty() && again.is_empty(), "old sessions are sent on: {again:?} of {since:?}");
    }

    // How it ends.

    /// All is well, and everybody talks once more.
    fn goodbye(&mut self) {
        (0..2).for_each(|_| self.all_say_something());
        self.world.calm_as_it_is();
    }

    /// Whoever has the copy of the phone's data gets hold of everything that was ever submitted since.
    fn thief_tries(&mut self) {
        let Copy { rows, submits, .. } = self.stolen.take().unwrap();
        let local = self.world.nodes[PHONE].local.clone();
        assert_eq!(self.world.node(local), THIEF);
        self.world.go_offline(THIEF);
        self.world.nodes[THIEF].rows = rows;
        let before = everything(&self.world, THIEF).len();
        self.is_given(submits..self.revoked);
        let shown = everything(&self.world, THIEF).len();
        assert!(shown > before, "until the revocation the copy opens what is for the phone");
        self.is_given(self.revoked..self.world.server.seen.len());
        // the diary says what may be among this: what bob's bot had sealed when it had not heard of the revocation
        assert_eq!(written_to(&self.world, PHONE, self.all_know), 0, "nothing is sealed for it by who knows");
    }

    /// The thief's daemon is given every envelope of these submits, whomever they were for.
    fn is_given(&mut self, submits: std::ops::Range<usize>) {
        for n in submits {
            let (by, submit) = self.world.server.seen[n].clone();
            let from = self.world.nodes.iter().find(|node| node.device == by).unwrap().user.clone();
            for to in submit.to {
                // above every number its own mailbox had
                let mailbox_seq = (1 << 40) + HighWater::of(&self.world.nodes[THIEF].rows).unwrap().taken;
                let envelope = to.envelope;
                let deliver = Deliver { mailbox_seq, from: from.clone(), from_device: by, envelope };
                self.world.feed(THIEF, vec![Input::Push(Push::Deliver(deliver.into()))], Fate::Done);
            }
            self.world.settle();
        }
        self.world.calm_as_it_is();
    }

    /// Keys were renewed by themselves: bundles weekly, sessions after thirty days.
    fn check_keys(&self) {
        let bundles = self.world.server.state(self.world.nodes[DESKTOP].device).bundle_seq;
        assert!(bundles > u64::from(DAYS / 7), "{bundles} bundles");
        let session = self.sending(LAPTOP, BOT);
        assert!(self.first_session.is_some() && session != self.first_session, "the session is as old as the world");
    }

    fn sending(&self, who: usize, with: usize) -> Option<SessionId> {
        let known = sessions::standings(&self.world.nodes[who].rows, &self.world.nodes[with].device).unwrap();
        known.sending().map(|standing| standing.id)
    }
}
