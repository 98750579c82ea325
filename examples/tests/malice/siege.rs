//! A server that lies in several ways at once, again and again, while two people talk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chat_protocol::fixtures::worthless_envelope;
use chat_protocol::ids::{Head, HeadHash, Username};
use chat_protocol::limits::MAX_NUMBER;
use chat_protocol::message::server::{LogGrew, LoggedIn, Push};
use chat_protocol::time::Timestamp;
use chat_stories::{Footprint, Person};

use crate::cast::{acquainted, count, flip, get_on};
use crate::lies::{Claim, Tamper};
use crate::operator::Operator;
use crate::puppet::Puppet;

/// Words each of the two says, and logins of each.
const ROUNDS: usize = 8;
/// Accounts nobody has, whose logs are said to have grown, a round.
const INVENTED: usize = 1_000;
/// Envelopes of a stranger that open nowhere, a round and device.
const WORTHLESS: usize = 100;
/// What the lies may cost a daemon, in MiB. It is sent more bytes than it may keep.
const MOST: Footprint = Footprint { memory_mib: 96, disk_mib: 8 };

/// Different lies at a login.
const EXTREMES: u64 = 6;

/// What is carried comes with itself again, a broken copy, and what belongs to nothing.
fn multiplied(told: &Arc<AtomicU64>) -> Tamper {
    let told = Arc::clone(told);
    Box::new(move |envelope| {
        told.fetch_add(1, Ordering::Relaxed);
        let mut carried = vec![flip(envelope.clone()), envelope.clone(), envelope];
        carried.extend((0..5).map(|_| worthless_envelope(8 * 1024)));
        carried
    })
}

/// Another extreme at each login.
fn extremes(logins: &Arc<AtomicU64>) -> Claim {
    let login = Arc::clone(logins);
    Box::new(move |truth| {
        let nowhere = Head { seq: MAX_NUMBER, hash: HeadHash::new([9; 32]) };
        match login.fetch_add(1, Ordering::Relaxed) % EXTREMES {
            0 => LoggedIn { head: nowhere, ..truth },
            1 => LoggedIn { submit_counter: MAX_NUMBER, ..truth },
            2 => LoggedIn { room_last: MAX_NUMBER, ..truth },
            3 => LoggedIn { mailbox_generation: MAX_NUMBER, ..truth },
            4 => LoggedIn { reset_pending: Some(Timestamp::from_millis(1)), ..truth },
            _ => LoggedIn { bundle_seq: MAX_NUMBER, ..truth },
        }
    })
}

/// Speaks of growing logs of accounts that nobody has.
fn speak_of_strangers(operator: &Operator, round: usize) {
    for number in 0..INVENTED {
        let user: Username = format!("nobody{round}-{number}").parse().unwrap();
        let head = Head { seq: MAX_NUMBER, hash: HeadHash::new([8; 32]) };
        operator.tell_everybody(&Push::LogGrew(LogGrew { user, head }));
    }
}

/// How often somebody has heard each of the words, in the order of the words.
fn heard(person: &mut Person, chat: &str, words: &[String]) -> Vec<usize> {
    let history = person.history(chat);
    words.iter().map(|word| history.iter().filter(|line| line.ends_with(word.as_str())).count()).collect()
}

#[test]
fn what_two_people_say_arrives_once_and_at_a_bounded_cost_while_the_server_lies_all_the_time() {
    let operator = Operator::open();
    let (mut alice, mut bob) = acquainted(&operator);
    let stranger = Puppet::new("stranger", 5);
    operator.enrol(&stranger);
    let devices = [operator.device("alice"), operator.device("bob")];
    let told: Vec<_> = devices.iter().map(|_| (Arc::default(), Arc::default())).collect();
    for (device, (carried, logins)) in devices.into_iter().zip(&told) {
        operator.lies().tampered.insert(device, multiplied(carried));
        operator.lies().claims.insert(device, extremes(logins));
    }
    let mut words = Vec::new();
    for round in 0..ROUNDS {
        speak_of_strangers(&operator, round);
        for device in devices {
            let many: Vec<_> = (0..WORTHLESS).map(|_| worthless_envelope(8 * 1024)).collect();
            operator.deliver_all((&stranger.user, stranger.device()), device, &many);
        }
        let (one, other) = (format!("ask {round}."), format!("say {round}."));
        alice.send("@bob", &one);
        bob.hears("@alice", "alice", &one);
        bob.send("@alice", &other);
        alice.hears("@bob", "bob", &other);
        words.extend([one, other]);
        operator.reconnect(if round % 2 == 0 { &mut alice } else { &mut bob });
    }
    for (carried, logins) in &told {
        let (carried, logins) = (carried.load(Ordering::Relaxed), logins.load(Ordering::Relaxed));
        assert!(
            carried >= ROUNDS as u64 && logins >= EXTREMES,
            "lies told: {carried} of what was carried, {logins} at logins"
        );
    }
    for person in [&alice, &bob] {
        assert!(count(person, "message.undecryptable") >= ROUNDS, "the worthless ones came to {}", person.name());
    }
    operator.lies().tampered.clear();
    operator.lies().claims.clear();
    operator.reconnect(&mut alice);
    get_on(&mut alice, &mut bob);
    for (person, chat) in [(&mut alice, "@bob"), (&mut bob, "@alice")] {
        assert_eq!(heard(person, chat, &words), vec![1; words.len()], "each word once: {}", person.name());
        assert_eq!(count(person, "gap") + count(person, "message.missing"), 0, "{}", person.name());
        let cost = Footprint::of(person.id(), &person.data());
        println!("{} {cost}", person.name());
        assert!(cost.memory_mib <= MOST.memory_mib && cost.disk_mib <= MOST.disk_mib, "{} {cost}", person.name());
    }
}
