//! Whether a month ended as its diary says: on every device what belongs there, once, in order, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chat_protocol::ids::{SessionId, Username};
use chat_protocol::rpc::EventBody;
use chat_protocol::rpc::types::MessageState;
use chatd::engine::history::{self, Message, MessageKind};
use chatd::engine::{outbox, sessions};

use super::diary::{Diary, Said};
use super::{BOT, DESKTOP, LAPTOP, Month, TABLET};
use crate::world::World;

pub fn check(month: &Month) {
    let Month { world, diary, .. } = month;
    for who in 0..world.nodes.len() {
        let shown = everything(world, who);
        check_entitled(diary, who, &shown);
        check_order(diary, who, &shown);
        check_events(world, diary, who);
    }
    for who in diary.speakers() {
        check_rest(world, who);
        check_states(month, who);
    }
    check_sessions(world, &diary.speakers());
}

/// Every message a device shows in any chat, in the order of the chats.
pub fn everything(world: &World, who: usize) -> Vec<Message> {
    let chats = history::chats(&world.nodes[who].rows, usize::MAX).unwrap();
    chats.iter().flat_map(|chat| world.chat(who, &chat.id)).collect()
}

/// Everything it has to show, once, where it belongs and as it was said; and nothing it may not.
fn check_entitled(diary: &Diary, who: usize, shown: &[Message]) {
    let known: BTreeMap<_, _> = diary.said.iter().map(|said| (said.text.as_str(), said)).collect();
    let mut seen = BTreeSet::new();
    for message in shown {
        let said = known.get(message.text.as_str());
        let said = said.unwrap_or_else(|| panic!("device {who} shows what nobody said: {message:?}"));
        assert!(said.must.contains(&who) || said.may.contains(&who), "device {who} may not show {:?}", said.text);
        assert!(seen.insert(&said.text), "device {who} shows {:?} twice", said.text);
        assert_eq!((message.kind, message.id, &message.from), (MessageKind::Text, said.id, &said.author));
        assert_eq!(message.chat, chat_of(said, message.mine), "device {who}: {:?}", said.text);
    }
    let missing = diary.said.iter().filter(|said| said.must.contains(&who) && !seen.contains(&said.text));
    let missing: Vec<_> = missing.map(|said| &said.text).collect();
    assert!(missing.is_empty(), "device {who} lacks {missing:?}");
}

fn chat_of(said: &Said, mine: bool) -> String {
    history::private(if mine { &said.to } else { &said.author })
}

/// What one device said in one chat is shown in the order in which it was said. Only who lost a day may be late.
fn check_order(diary: &Diary, who: usize, shown: &[Message]) {
    let place: BTreeMap<_, _> = diary.said.iter().enumerate().map(|(n, said)| (said.id, (n, said.by))).collect();
    let mut last: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for message in shown {
        assert!(!message.late || who == DESKTOP, "device {who} was late with {:?}", message.text);
        let (n, by) = place[&message.id];
        let before = last.insert((&message.chat, by), n).filter(|_| !message.late);
        assert!(before.is_none_or(|before| before < n), "device {who} shows {:?} out of order", message.text);
    }
}

/// Nothing is told of losses but where there were any, and a changed identity once.
fn check_events(world: &World, diary: &Diary, who: usize) {
    let told = |is: fn(&EventBody) -> bool| world.count_events(who, is);
    let changed = told(|body| matches!(body, EventBody::IdentityChanged(_)));
    assert_eq!(changed, usize::from([LAPTOP, DESKTOP, TABLET, BOT].contains(&who)), "device {who}");
    if who == DESKTOP || !diary.speakers().contains(&who) {
        return;
    }
    // what failed after it had its number leaves a gap on its author's other devices
    let (me, failed) = (&world.nodes[who].user, diary.said.iter().filter(|said| said.failed));
    let gaps = failed.filter(|said| said.by != who && said.author == *me).count() as u64;
    let lost = world.events(who).into_iter().filter_map(|event| event.body()).filter(|body| match body {
        EventBody::MessageMissing(missing) => missing.from_user != *me || missing.count > gaps,
        EventBody::MessageUndecryptable(_) | EventBody::Gap(_) => true,
        _ => false,
    });
    let lost: Vec<_> = lost.collect();
    assert!(lost.is_empty(), "device {who} was told {lost:?}");
    let withheld = told(|body| matches!(body, EventBody::IdentityLogWithheld(_) | EventBody::IdentityForkEvidence(_)));
    assert_eq!(withheld, 0, "device {who}");
}

/// Nothing waits on a device or for it.
fn check_rest(world: &World, who: usize) {
    let node = &world.nodes[who];
    let mailbox = world.server.mailbox(node.device);
    assert!(node.engine.is_online(), "device {who}");
    assert_eq!(outbox::queued(&node.rows).unwrap(), 0, "device {who}");
    assert_eq!((mailbox.acked, mailbox.messages), (mailbox.last, 0), "device {who}");
}

/// How far own messages have come, on the device where they were said and on the others of its account.
fn check_states(month: &Month, who: usize) {
    let Month { world, diary, .. } = month;
    for (n, said) in diary.said.iter().enumerate().filter(|(_, said)| said.author == world.nodes[who].user) {
        if !said.must.contains(&who) {
            continue;
        }
        let state = world.state(who, said.id);
        let at_least_there = matches!(state, MessageState::Delivered | MessageState::Read);
        // what others said of it on the day that was lost is not said again
        let lost = who == DESKTOP && n < month.restored;
        let fits = match (said.by == who, said.failed, diary.has_arrived(said)) {
            (true, true, _) => state == MessageState::Failed,
            (false, ..) => state == MessageState::Accepted,
            // an acknowledgement of a device that came later covers what its author said before
            (true, _, false) => state == MessageState::Accepted || at_least_there,
            _ if diary.seen.contains(&said.id) && !lost => state == MessageState::Read,
            _ => at_least_there,
        };
        assert!(fits, "device {who}: {:?} is {state:?}", said.text);
    }
}

/// Both devices of every pair that may talk send on the same session.
fn check_sessions(world: &World, devices: &[usize]) {
    let sending = |one: usize, other: usize| {
        let known = sessions::standings(&world.nodes[one].rows, &world.nodes[other].device).unwrap();
        known.sending().map(|standing| standing.id)
    };
    for one in devices {
        for other in devices.iter().filter(|other| *other > one) {
            let session = sending(*one, *other);
            assert!(session.is_some(), "devices {one} and {other} have no session");
            assert_eq!(session, sending(*other, *one), "devices {one} and {other}");
        }
    }
}

/// What a device was submitted since the `from`th submit.
pub fn written_to(world: &World, device: usize, from: usize) -> usize {
    let device = world.nodes[device].device;
    world.server.seen[from..].iter().filter(|(_, submit)| submit.to.iter().any(|to| to.device == device)).count()
}

/// Sessions a device submitted on.
pub fn used(world: &World, who: usize, submits: Range<usize>) -> BTreeSet<SessionId> {
    let device = world.nodes[who].device;
    let of = world.server.seen[submits].iter().filter(|(author, _)| *author == device);
    of.flat_map(|(_, submit)| submit.to.iter().map(|to| to.envelope.sid)).collect()
}

/// Notes whatever of others a chat shows as seen.
pub fn note_seen(world: &World, diary: &mut Diary, who: usize, peer: &Username) {
    let theirs = world.chat(who, &history::private(peer)).into_iter().filter(|message| !message.mine);
    diary.seen.extend(theirs.map(|message| message.id));
}
