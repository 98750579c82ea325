//! Everybody who takes part: a server, its database, people with their daemons, and their readers.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use super::Kind;
use super::sender::Route;
use super::verdict::{Notes, Verdict};
use crate::disk::Disk;
use crate::wire::Wire;
use crate::{Database, Person, Process, Stage, binaries};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
/// Limits that would otherwise be what is measured.
const OPEN: [&str; 9] = [
    "rates.submits_per_minute=10000000",
    "rates.envelopes_per_minute=10000000",
    "rates.submit_bytes_per_minute=400000000",
    "rates.submits_burst=1000000",
    "rates.group_appends_per_hour=1000000",
    "rates.room_posts_per_minute=1000000",
    "rates.room_bytes_per_minute=100000000",
    "mailbox.per_sender=100000",
    "connections.per_address_per_minute=1000000",
];

/// All of them.
pub(crate) struct Cast {
    // first the processes end, then the wire, the database and the directories go
    members: Vec<Member>,
    pub(crate) stage: Stage,
    pub(crate) wire: Wire,
    pub(crate) database: Option<Database>,
}

/// A person, the daemon and the reader.
pub(crate) struct Member {
    person: Person,
    home: PathBuf,
    // both end before the disk goes
    daemon: Option<Process>,
    reader: Option<Process>,
    disk: Option<Disk>,
}

impl Cast {
    /// Starts everything and registers everybody.
    pub(crate) fn assemble(kind: Kind) -> Self {
        let mut stage = Stage::dark();
        OPEN.iter().for_each(|setting| stage.server.set(setting));
        let database = (kind == Kind::Mariadb).then(|| Database::start(""));
        if let Some(database) = &database {
            stage.server.use_database(&database.url());
        }
        stage.server.start();
        let wire = Wire::to(stage.server.address());
        let invite = stage.server.admin(&["invite", "--public", wire.address()]).success();
        let members = NAMES.iter().map(|name| Member::register(&stage, name, invite.trim())).collect();
        Self { members, stage, wire, database }
    }

    /// Everybody writes to everybody else, and into the room.
    pub(crate) fn routes(&self, messages: u64) -> Vec<Route> {
        let mut routes = Vec::new();
        for (from, member) in self.members.iter().enumerate() {
            let others: Vec<_> = (0..self.members.len()).filter(|other| *other != from).collect();
            let route = |to: String, heard_by| Route {
                name: member.name().to_owned(),
                socket: member.socket(),
                to,
                heard_by,
                messages: 0,
            };
            let whispers = others
                .iter()
                .map(|other| route(self.members[*other].person.at(), vec![(*other, format!("@{}", member.name()))]));
            routes.extend(whispers.collect::<Vec<_>>());
            let everybody = others.iter().map(|other| (*other, "room:public".to_owned())).collect();
            routes.push(route("room:public".to_owned(), everybody));
        }
        let count = routes.len() as u64;
        for (number, route) in (0..).zip(&mut routes) {
            route.messages = messages / count + u64::from(number < messages % count);
        }
        routes
    }

    /// How many people there are.
    pub(crate) fn people(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn member(&mut self, who: usize) -> &mut Member {
        &mut self.members[who]
    }

    /// What the notes say now.
    pub(crate) fn verdict(&self, routes: &[Route]) -> Verdict {
        let notes: Vec<_> = self.members.iter().map(Member::notes).collect();
        Verdict::of(routes, &notes)
    }

    /// Starts again whatever does not run, and lets everything pass.
    pub(crate) fn heal(&mut self) {
        self.wire.set_dead(false);
        self.members.iter_mut().for_each(Member::heal);
    }
}

impl Member {
    fn register(stage: &Stage, name: &str, invite: &str) -> Self {
        let home = stage.room(name);
        let mut person = Person::new(name, &home);
        let disk = Disk::mount(&person.data());
        person.start();
        let _ = person.enter("register", invite).success();
        person.turns("online");
        person.stop();
        let mut member = Self { person, home, daemon: None, reader: None, disk };
        member.heal();
        member
    }

    fn name(&self) -> &str {
        self.person.name()
    }

    fn socket(&self) -> PathBuf {
        self.person.data().join("chat.sock")
    }

    fn notes_path(&self) -> PathBuf {
        self.home.join("notes")
    }

    fn notes(&self) -> Notes {
        Notes::read(&fs::read_to_string(self.notes_path()).unwrap_or_default())
    }

    fn heal(&mut self) {
        if self.daemon.is_none() {
            self.daemon = Some(Process::start(&format!("chatd of {}", self.name()), self.person.chatd()));
        }
        if self.reader.is_none() {
            let mut command = binaries::program("chaos", &self.home);
            command.arg("read").arg(self.socket()).arg(self.notes_path());
            self.reader = Some(Process::start(&format!("reader of {}", self.name()), command));
        }
    }

    /// Kills the daemon and starts it again.
    pub(crate) fn kill_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
        self.heal();
    }

    /// Kills the reader and starts it again.
    pub(crate) fn kill_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.kill();
        }
        self.heal();
    }

    /// Lets the daemon sleep, or wakes it.
    pub(crate) fn freeze(&self, frozen: bool) {
        if let Some(daemon) = &self.daemon {
            daemon.signal(if frozen { Signal::STOP } else { Signal::CONT });
        }
    }

    /// Takes all room from the daemon's disk; false if it is no disk of its own.
    pub(crate) fn fill(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::fill)
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        self.disk.iter().for_each(Disk::empty);
    }
}
