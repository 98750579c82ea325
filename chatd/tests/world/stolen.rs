//! A thief has every row of a device: each session and each key in them is tried against what went over the wire.

use std::collections::BTreeSet;
use std::time::Duration;

use chat_protocol::crypto::agreement::{PublicKey, SecretKey};
use chat_protocol::crypto::kdf;
use chat_protocol::crypto::labels::Label;
use chat_protocol::message::Envelope;
use chat_protocol::session::ratchet::{MessageKey, Session};
use chatd::store::Table;
use minicbor::Decode;

use crate::attacks::envelopes;
use crate::world::{World, acquainted};

/// Messages that are derived from each key, as if it were a chain's: that one begins anew with each answer.
const STEPS: usize = 8;

/// A session as a row keeps it, as far as it matters here.
#[derive(Decode)]
#[cbor(map)]
struct Kept {
    #[n(0)]
    session: Session,
}

struct Thief {
    sessions: Vec<Session>,
    keys: BTreeSet<[u8; 32]>,
    /// Those of them that stand beside a session: roots of ratchets are nowhere else.
    roots: BTreeSet<[u8; 32]>,
}

impl Thief {
    fn of(world: &World, who: usize) -> Self {
        let mut thief = Self { sessions: Vec::new(), keys: BTreeSet::new(), roots: BTreeSet::new() };
        for (table, value) in world.nodes[who].rows.values() {
            thief.sessions.extend(minicbor::decode::<Kept>(value).ok().map(|kept| kept.session));
            thief.keys.extend(found(value));
            if table == Table::Sessions {
                thief.roots.extend(found(value));
            }
        }
        assert!(!thief.sessions.is_empty() && thief.keys.len() > 20, "it looks in the right place");
        thief
    }

    /// Whether a message opens, by a session as it stands or by any key in whatever part it may have played. What a
    /// session learns by it the thief goes on with.
    fn opens(&mut self, envelope: &Envelope) -> bool {
        self.goes_on(envelope) || self.opens_by_a_key(envelope)
    }

    fn goes_on(&mut self, envelope: &Envelope) -> bool {
        let open = |session: &Session| session.open(&envelope.header, &envelope.token, None, &mut rand::rng()).ok();
        let Some((at, opened)) = self.sessions.iter().enumerate().find_map(|(at, it)| Some((at, open(it)?))) else {
            return false;
        };
        let learnt = found(&minicbor::to_vec(&opened.session).unwrap());
        self.keys.extend(&learnt);
        self.roots.extend(learnt);
        self.sessions[at] = opened.session;
        true
    }

    fn opens_by_a_key(&self, envelope: &Envelope) -> bool {
        // whom a session is between, which its messages are bound to, is no secret
        let Some(session) = self.sessions.iter().find(|session| session.id() == envelope.sid) else { return false };
        let fits = |key: &[u8; 32]| {
            let key: MessageKey = minicbor::decode(&[&[0x58, 0x20], &key[..]].concat()).unwrap();
            session.open(&envelope.header, &envelope.token, Some(&key), &mut rand::rng()).is_ok()
        };
        let n = u32::from_be_bytes(envelope.header[36..].try_into().unwrap()) as usize;
        self.keys.iter().any(|key| fits(key) || chain(*key).take(STEPS).any(|key| fits(&key)))
            || self.chains(envelope).into_iter().filter_map(|key| chain(key).nth(n)).any(|key| fits(&key))
    }

    /// Chains that would begin with the ratchet key of a message, were one of the keys the root and another the secret.
    fn chains(&self, envelope: &Envelope) -> Vec<[u8; 32]> {
        let theirs = PublicKey::new(envelope.header[..32].try_into().unwrap());
        let agreed = self.keys.iter().filter_map(|key| SecretKey::from_bytes(*key).agree(&theirs).ok());
        let agreed: Vec<_> = agreed.collect();
        let pairs = self.roots.iter().flat_map(|root| agreed.iter().map(move |shared| (root, shared)));
        let chain = |(root, shared): (&[u8; 32], &chat_protocol::crypto::secret::SecretBytes<32>)| {
            let okm: [u8; 64] = kdf::hkdf(root, shared.expose(), Label::RatchetRoot);
            okm[32..].try_into().unwrap()
        };
        pairs.map(chain).collect()
    }
}

/// The keys of messages that a chain yields.
fn chain(mut key: [u8; 32]) -> impl Iterator<Item = [u8; 32]> {
    std::iter::repeat_with(move || {
        let message = kdf::hmac(&key, &[1]);
        key = kdf::hmac(&key, &[2]);
        message
    })
}

/// Every string of 32 bytes in a row, and the row if it is one.
fn found(value: &[u8]) -> Vec<[u8; 32]> {
    let strings = value.windows(34).filter(|window| window.starts_with(&[0x58, 0x20])).map(|window| &window[2..]);
    strings.chain([value]).filter_map(|key| key.try_into().ok()).collect()
}

/// What `from` sent to `to` after so many envelopes, on sessions that were begun before.
fn sent(world: &World, from: usize, to: usize, after: usize) -> Vec<Envelope> {
    envelopes(world, from, to).into_iter().skip(after).collect()
}

fn talk(world: &mut World, alice: usize, bob: usize, times: usize) {
    for n in 0..times {
        world.send(alice, bob, &format!("{n} from alice"));
        world.settle();
        world.send(bob, alice, &format!("{n} from bob"));
        world.settle();
    }
}

#[test]
fn atk_46_nothing_that_was_consumed_a_minute_before_opens_with_any_key_that_is_kept() {
    let (mut world, alice, bob) = acquainted();
    talk(&mut world, alice, bob, 3);
    // some overtake others, so that keys are skipped, and used later
    world.go_offline(bob);
    for n in 0..5 {
        world.send(alice, bob, &format!("in disorder {n}"));
    }
    world.settle();
    let mut held = world.take_mailbox(bob);
    let mut thief = Thief::of(&world, bob);
    let waiting: Vec<_> = held.iter().map(|deliver| deliver.envelope.clone()).collect();
    assert!(waiting.iter().any(|envelope| thief.opens_by_a_key(envelope)), "keys of what has not come are found");
    assert!(waiting.iter().all(|envelope| thief.opens(envelope)), "and their sessions open it");
    held.reverse();
    world.come_online(bob);
    world.settle();
    for deliver in held {
        world.deliver(alice, bob, deliver.envelope);
        world.settle();
    }
    assert!(world.inbox(bob).ends_with(&["alice: in disorder 4".to_owned()]));
    world.advance(Duration::from_secs(61));
    let mut thief = Thief::of(&world, bob);
    let (to_bob, of_bob) = (sent(&world, alice, bob, 0), sent(&world, bob, alice, 0));
    assert!(to_bob.len() > 8 && of_bob.len() > 3);
    let opened = to_bob.iter().chain(&of_bob).filter(|envelope| thief.opens(envelope)).count();
    assert_eq!(opened, 0, "of {}", to_bob.len() + of_bob.len());
}

#[test]
fn atk_47_what_is_sent_a_round_trip_after_the_theft_opens_with_nothing_that_was_stolen() {
    let (mut world, alice, bob) = acquainted();
    talk(&mut world, alice, bob, 2);
    let mut thieves = [Thief::of(&world, alice), Thief::of(&world, bob)];
    let counts = |world: &World| (sent(world, alice, bob, 0).len(), sent(world, bob, alice, 0).len());
    let stolen = counts(&world);
    world.send(alice, bob, "read by the thief");
    world.settle();
    let next = sent(&world, alice, bob, stolen.0);
    assert!(next.iter().all(|envelope| thieves[1].opens(envelope)), "the next words open");
    talk(&mut world, alice, bob, 2);
    let healed = counts(&world);
    let between: Vec<_> =
        sent(&world, alice, bob, stolen.0 + 1).into_iter().chain(sent(&world, bob, alice, stolen.1)).collect();
    // they read along for as long as they can
    for thief in &mut thieves {
        let read = between.iter().filter(|envelope| thief.goes_on(envelope)).count();
        assert!(read < between.len(), "not for ever");
    }
    talk(&mut world, alice, bob, 2);
    let later: Vec<_> =
        sent(&world, alice, bob, healed.0).into_iter().chain(sent(&world, bob, alice, healed.1)).collect();
    assert!(later.len() >= 4);
    for thief in &mut thieves {
        assert_eq!(later.iter().filter(|envelope| thief.opens(envelope)).count(), 0);
    }
}
