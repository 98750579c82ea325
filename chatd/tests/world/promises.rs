//! What is promised, and whether a world keeps it: everything arrives, once and in order, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use chat_protocol::ids::MessageId;
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::{ConnectionState, MessageState};
use chatd::engine::history::{self, Message};
use chatd::engine::outbox;

use crate::schedule::NAMES;
use crate::stage::{Beginning, HELLO};
use crate::world::World;

/// What was sent, as its senders were told.
pub struct Ledger {
    people: usize,
    private: BTreeMap<(usize, usize), Vec<String>>,
    posts: BTreeMap<usize, Vec<String>>,
    /// Counts tries too, so that a message that was not stored cannot be taken for the next one.
    tries: usize,
}

impl Ledger {
    pub fn of(beginning: Beginning, people: usize) -> Self {
        let said = if beginning == Beginning::Acquainted { vec![HELLO.to_owned()] } else { Vec::new() };
        let pairs = (0..people).flat_map(|from| (0..people).map(move |to| (from, to)));
        let private = pairs.filter(|(from, to)| from != to).map(|pair| (pair, said.clone())).collect();
        Self { people, private, posts: BTreeMap::new(), tries: 0 }
    }

    pub fn next(&mut self, from: usize, to: usize) -> String {
        self.tries += 1;
        format!("{} from {} to {}", self.tries, NAMES[from], NAMES[to])
    }

    pub fn next_post(&mut self, who: usize) -> String {
        self.tries += 1;
        format!("{} of {}", self.tries, NAMES[who])
    }

    pub fn sent(&mut self, from: usize, to: usize, text: String) {
        self.private.entry((from, to)).or_default().push(text);
    }

    pub fn said(&mut self, who: usize, text: String) {
        self.posts.entry(who).or_default().push(text);
    }

    /// Whether nothing is under way any more.
    pub fn is_fulfilled(&self, world: &World) -> bool {
        let at_rest = |who: usize| {
            let node = &world.nodes[who];
            let mailbox = world.server.mailbox(node.device);
            node.engine.is_online() && outbox::queued(&node.rows).unwrap() == 0 && mailbox.acked == mailbox.last
        };
        (0..self.people).all(at_rest)
            && self.private.iter().all(|((from, to), sent)| {
                received(world, *from, *to).len() >= sent.len() && all_delivered(world, *from, *to)
            })
    }

    /// Checks everything, in a world that is calm. `stalled` is whether anybody may have waited so long for a
    /// message that those behind it were shown.
    pub fn check(&self, world: &mut World, stalled: bool) {
        for ((from, to), sent) in &self.private {
            check_chat(world, *from, *to, sent, stalled);
        }
        for (who, said) in &self.posts {
            for (reader, name) in NAMES.iter().enumerate().take(self.people) {
                let got = heard(world, *who, reader);
                assert_eq!(&got, said, "{name} reads another room than {} wrote", NAMES[*who]);
            }
        }
        for who in 0..self.people {
            check_rest(world, who);
            check_events(world, who, stalled);
            check_states(world, who);
            check_restart(world, who);
        }
    }
}

/// Private messages of one person in the order another sees them.
fn received(world: &World, from: usize, to: usize) -> Vec<Message> {
    let chat = world.chat(to, &format!("@{}", NAMES[from]));
    chat.into_iter().filter(|message| !message.mine).collect()
}

/// Everything once, and in order but for what is marked late.
fn check_chat(world: &World, from: usize, to: usize, sent: &[String], stalled: bool) {
    let got = received(world, from, to);
    let texts = |late: bool| got.iter().filter(move |message| message.late <= late).map(|message| &message.text);
    let (all, in_time): (BTreeSet<_>, Vec<_>) = (texts(true).collect(), texts(false).collect());
    let (name, other) = (NAMES[to], NAMES[from]);
    assert!(all.len() == got.len(), "{name} got something of {other} twice: {:?}", texts(true).collect::<Vec<_>>());
    assert!(stalled || in_time.len() == got.len(), "{name} got something of {other} late, and nobody waited");
    assert_eq!(all, sent.iter().collect(), "what {name} got of {other} is not what was sent");
    let expected: Vec<_> = sent.iter().filter(|text| in_time.contains(text)).collect();
    assert_eq!(in_time, expected, "what {name} got of {other} is not in order");
}

/// Whether one person knows that another has everything.
fn all_delivered(world: &World, from: usize, to: usize) -> bool {
    let chat = world.chat(from, &format!("@{}", NAMES[to]));
    let mut own = chat.into_iter().filter(|message| message.mine);
    own.all(|message| world.state(from, message.id) >= MessageState::Delivered)
}

/// Posts of one person in the order another sees them.
fn heard(world: &World, who: usize, reader: usize) -> Vec<String> {
    let author = world.name(who);
    let posts = world.chat(reader, history::ROOM).into_iter().filter(|post| post.from == author);
    posts.map(|post| post.text).collect()
}

/// Nothing waits anywhere.
fn check_rest(world: &World, who: usize) {
    let (node, name) = (&world.nodes[who], NAMES[who]);
    assert!(node.engine.is_online(), "{name} did not come back online");
    assert_eq!(outbox::queued(&node.rows).unwrap(), 0, "{name} still has something to send");
    let mailbox = world.server.mailbox(node.device);
    assert_eq!((mailbox.acked, mailbox.messages), (mailbox.last, 0), "{name}'s mailbox is not empty");
}

/// Nothing was reported lost, and the last connection said when everything was there.
fn check_events(world: &World, who: usize, stalled: bool) {
    let mut synced = true;
    for event in world.events(who) {
        match event.body() {
            Some(EventBody::Connection(change)) if change.state == ConnectionState::Online => synced = false,
            Some(EventBody::SyncDone(_)) => synced = true,
            Some(EventBody::MessageMissing(_)) if stalled => {}
            Some(
                bad @ (EventBody::MessageMissing(_)
                | EventBody::MessageUndecryptable(_)
                | EventBody::MessageHeld(_)
                | EventBody::IdentityChanged(_)
                | EventBody::IdentityLogWithheld(_)
                | EventBody::Gap(_)),
            ) => panic!("{} was told {bad:?}", NAMES[who]),
            _ => {}
        }
    }
    assert!(synced, "{} was not told that everything is there", NAMES[who]);
}

/// How far a message is never goes back, and all are where they were sent.
fn check_states(world: &World, who: usize) {
    let mut known: BTreeMap<MessageId, MessageState> = BTreeMap::new();
    for event in world.events(who) {
        let Some(EventBody::MessageStatus(change)) = event.body() else { continue };
        if let Some(before) = known.insert(change.id, change.state) {
            assert!(before <= change.state, "{}: {before:?} became {:?}", NAMES[who], change.state);
        }
        assert!(change.state < MessageState::Failed, "{}: {change:?}", NAMES[who]);
    }
    for (to, name) in NAMES.iter().enumerate() {
        assert!(all_delivered(world, who, to), "{} does not know that {name} has everything", NAMES[who]);
    }
}

/// What is read after a restart is what was there before.
fn check_restart(world: &mut World, who: usize) {
    let seen = |world: &World| (world.events(who), world.inbox(who), world.room(who));
    let before = seen(world);
    world.crash(who);
    let after = seen(world);
    assert!(after.0.starts_with(&before.0), "{} has other events after a restart", NAMES[who]);
    assert_eq!((before.1, before.2), (after.1, after.2));
}
