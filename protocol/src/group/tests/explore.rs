//! Three admins who act at once, and one of whom dies, explored to the end: whatever the order, all have one group.

use std::collections::{HashMap, HashSet};

use super::world::*;
use crate::cbor;
use crate::group::{Action, Proposal, Role, Shown, SignedOp, Snapshot, State, Verdict, Void};
use crate::identity::account_log::AccountLog;

const ADMINS: usize = 3;
const INTENTS: usize = 2;

/// The n-th intent of an admin; who, which.
type Intent = (usize, usize);

/// What a schedule depends on; everything else follows from it.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
struct Schedule {
    /// The ops the notary has called, after the first.
    called: Vec<Intent>,
    admins: [Admin; ADMINS],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Admin {
    /// How many of the ops called it has read.
    read: usize,
    /// How many intents it has done or given up.
    done: usize,
    /// Its op after so many called ones, which all other admins hold too.
    proposed: Option<usize>,
    dead: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Read(usize),
    Propose(usize),
    /// Somebody, its author if that lives, shows an op to the notary.
    Append(usize),
    Die(usize),
}

/// All groups there are, by the ops that led to them. An op depends on the ops before it, its author and his intent.
struct Groups<'a> {
    people: [&'a Person; ADMINS],
    /// The same accounts as a reader knows them who looks later.
    later: [AccountLog; ADMINS],
    intents: [[Action; INTENTS]; ADMINS],
    /// What each admin has after them.
    states: HashMap<Vec<Intent>, [State; ADMINS]>,
    proposals: HashMap<(Vec<Intent>, Intent), Result<Proposal, Void>>,
    /// How many ops were called that are void.
    void: usize,
}

/// Who has what he wants called although it is void.
const STUBBORN: usize = 1;

impl Groups<'_> {
    fn propose(&mut self, before: &[Intent], (who, which): Intent) -> Result<Proposal, Void> {
        let (state, by, action) = (&self.states[before][who], self.people[who], &self.intents[who][which]);
        let known = self.proposals.entry((before.to_vec(), (who, which)));
        let propose = || match state.propose(by, action.clone()) {
            Err(_) if who == STUBBORN => {
                let op = sign(&state.forged(by, action.clone()), by);
                let state = settled(state.apply(&op, Some(&by.log)).unwrap());
                Ok(Proposal { op, state })
            }
            proposal => proposal,
        };
        known.or_insert_with(propose).clone()
    }

    /// What all readers have once the notary has called one more; they read it in each order of ops once: the first as it
    /// came, the second later and from what he stored, and the third is shown each op that counts with the state after it.
    fn call(&mut self, before: &[Intent], intent: Intent) {
        let after = [before, &[intent]].concat();
        if self.states.contains_key(&after) {
            return;
        }
        let Proposal { op, state } = self.propose(before, intent).unwrap();
        let [first, second, third] = &self.states[before];
        let (earlier, later) = (&self.people[intent.0].log, &self.later[intent.0]);
        let first = settled(first.apply(&op, Some(earlier)).unwrap());
        let stored: State = cbor::decode_own(&cbor::encode(second)).unwrap();
        let second = settled(stored.apply(&SignedOp::read(op.bytes()).unwrap(), Some(later)).unwrap());
        let third = match third.apply(&op, Some(later)).unwrap() {
            Verdict::Applied(_) => match Snapshot::of(&op, &first).verify(Some(later)) {
                Ok(Shown::State(shown)) => shown,
                other => panic!("{other:?}: {intent:?} after {before:?}"),
            },
            void => {
                self.void += 1;
                settled(void)
            }
        };
        for reader in [&first, &second, &third] {
            assert_eq!(reader, &state, "{intent:?} after {before:?}");
            assert!(reader.is_confirmed_by(first.head(), first.hash()));
        }
        self.states.insert(after, [first, second, third]);
    }
}

impl Schedule {
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        let died = self.admins.iter().any(|admin| admin.dead);
        for (who, admin) in self.admins.iter().enumerate() {
            if admin.proposed.is_some() {
                steps.push(Step::Append(who));
            }
            if admin.dead {
                continue;
            }
            if admin.read < self.called.len() {
                steps.push(Step::Read(who));
            }
            if admin.proposed.is_none() && admin.done < INTENTS {
                steps.push(Step::Propose(who));
            }
            if !died {
                steps.push(Step::Die(who));
            }
        }
        steps
    }

    fn step(&mut self, step: Step, groups: &mut Groups<'_>) {
        match step {
            Step::Read(who) => self.admins[who].read = self.called.len(),
            Step::Propose(who) => {
                let Admin { read, done, .. } = self.admins[who];
                match groups.propose(&self.called[..read], (who, done)) {
                    Ok(_) => self.admins[who].proposed = Some(read),
                    Err(_) => self.admins[who].done += 1,
                }
            }
            Step::Append(who) => self.append(who, groups),
            Step::Die(who) => self.admins[who].dead = true,
        }
    }

    /// The notary takes what follows the last op it called, and nothing else; who comes too late may propose anew.
    fn append(&mut self, who: usize, groups: &mut Groups<'_>) {
        let admin = &mut self.admins[who];
        let after = admin.proposed.take();
        if after != Some(self.called.len()) {
            return;
        }
        let intent = (who, admin.done);
        admin.done += 1;
        groups.call(&self.called, intent);
        self.called.push(intent);
    }
}

fn groups(intents: [[Action; INTENTS]; ADMINS]) -> Groups<'static> {
    let people = [&*ALICE, &*BOB, &*CAROL];
    let begun = group(&[(&BOB, Role::Admin), (&CAROL, Role::Admin)]);
    Groups {
        people,
        later: people.map(|person| person.with_device(5).log),
        intents,
        states: HashMap::from([(vec![], [begun.clone(), begun.clone(), begun])]),
        proposals: HashMap::new(),
        void: 0,
    }
}

/// Walks through every schedule: how many states of it there are, and in how many groups they end.
fn explore(groups: &mut Groups<'_>) -> (usize, usize) {
    let mut seen = HashSet::from([Schedule::default()]);
    let (mut next, mut ends) = (vec![Schedule::default()], HashSet::new());
    while let Some(schedule) = next.pop() {
        // each has read a beginning of what was called, so all who have read as much have the same
        assert!(schedule.admins.iter().all(|admin| groups.states.contains_key(&schedule.called[..admin.read])));
        let steps = schedule.steps();
        if steps.iter().all(|step| matches!(step, Step::Die(_))) {
            ends.insert(schedule.called.clone());
        }
        for step in steps {
            let mut after = schedule.clone();
            after.step(step, groups);
            if seen.insert(after.clone()) {
                next.push(after);
            }
        }
    }
    (seen.len(), ends.len())
}

#[test]
fn atk_68_admins_who_act_at_once_end_in_one_group_in_every_order() {
    let against_each_other = [
        [remove(&BOB), rename("alice's")],
        [remove(&CAROL), add(&DAVE, Role::Member).into()],
        [change_role(&BOB, Role::Member), rename("carol's")],
    ];
    let side_by_side = [
        [add(&DAVE, Role::Admin).into(), link(1, &BOB, 1).into()],
        [add(&DAVE, Role::Member).into(), rename("bob's")],
        [remove(&DAVE), link(1, &CAROL, 1).into()],
    ];
    for intents in [against_each_other, side_by_side] {
        let mut groups = groups(intents);
        let (states, ends) = explore(&mut groups);
        println!("{states} states of schedules, {ends} orders of ops at the end");
        assert!(states > 5_000 && ends > 10, "only {states} states and {ends} ends");
        let owned = |state: &State| state.role_of(&ALICE) == Some(Role::Owner);
        assert!(groups.void > 0, "none of what was called was void");
        assert!(groups.states.values().flatten().all(owned), "alice stays whom nobody else may end");
    }
}
