//! Whatever whoever signs: readers agree, and what a group promises holds.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::world::*;
use crate::cbor;
use crate::crypto::group::LinkSecret;
use crate::group::{
    Action, Add, Body, Change, GroupName, HistoryCount, Link, Role, Settings, Shown, SignedOp, Snapshot, State, Unlink,
    Verdict,
};
use crate::identity::account_log::AccountLog;
use crate::limits::MAX_GROUP_MEMBERS;
use crate::time::Timestamp;

/// One op more: who signs, what it does, to whom, and with which number.
type Step = (usize, usize, usize, usize);

fn people() -> [&'static Person; 5] {
    [&ALICE, &BOB, &CAROL, &DAVE, &OTHER_BOB]
}

/// Their logs, as whoever looks later knows them.
static LATER: LazyLock<[AccountLog; 5]> = LazyLock::new(|| people().map(|person| person.with_device(6).log));

fn role(n: usize) -> Role {
    [Role::Member, Role::Admin, Role::Owner][n % 3]
}

fn action((_, kind, whom, n): Step) -> Action {
    let (whom, secret) = (people()[whom], u8::try_from(n % 3).unwrap());
    let hash = LinkSecret::new([secret; 16]).hash();
    match kind {
        0 => add(whom, role(n)).into(),
        1 => Add { link: Some(hash), ..add(whom, Role::Member) }.into(),
        2 => Add { history: HistoryCount::new(5).ok(), ..add(whom, Role::Member) }.into(),
        3 => remove(whom),
        4 => change_role(whom, role(n)),
        5 => rename(["duty", "ops", "all"][n % 3]),
        6 => {
            let settings = Settings { history: n.is_multiple_of(2), ..settings() };
            Action::Change(Change { name: None, about: None, settings: Some(settings) })
        }
        7 => {
            let until = Timestamp::from_millis(AT.as_millis() - u64::from(n.is_multiple_of(5)));
            Link { approval: n.is_multiple_of(2), until, ..link(secret, whom, 2) }.into()
        }
        8 => Action::Unlink(Unlink { hash }),
        _ => refresh(),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // alice, who may do anything, signs as often as all others
    let who = prop_oneof![Just(0_usize), 0..5_usize];
    proptest::collection::vec((who, 0..10_usize, 0..5_usize, 0..30_usize), 1..24)
}

/// The ops that come of these steps: what counts as its author writes it, anything else as nobody would.
fn ops(steps: &[Step]) -> Vec<(SignedOp, &'static AccountLog)> {
    let mut state = three();
    let mut ops = Vec::new();
    for step in steps {
        let by = people()[step.0];
        let op = match state.propose(by, action(*step)) {
            Ok(proposal) => proposal.op,
            Err(_) => sign(&state.forged(by, action(*step)), by),
        };
        state = settled(state.apply(&op, Some(&by.log)).unwrap());
        ops.push((op, &by.log));
    }
    ops
}

/// What somebody may show who made up a state.
fn lied(mut body: Body, lie: usize) -> Body {
    match lie {
        0 => {}
        1 => body.name = GroupName::new("theirs").unwrap(),
        2 => drop(body.members.remove(&CAROL.user())),
        _ => body.members.get_mut(&ALICE.user()).into_iter().for_each(|alice| alice.head.seq += 1),
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn readers_agree_and_a_group_keeps_its_promises(steps in steps()) {
        let ops = ops(&steps);
        let mut at_once = three();
        for (op, log) in &ops {
            let before = at_once.clone();
            let verdict = at_once.apply(op, Some(log)).unwrap();
            let counted = matches!(verdict, Verdict::Applied(_));
            at_once = settled(verdict);
            let author = &op.op().by.user;
            prop_assert!(at_once.body.is_possible() && at_once.body.members.len() <= MAX_GROUP_MEMBERS);
            if counted {
                prop_assert_eq!(before.body.role(author), at_once.body.role(author), "nobody changes his own role");
                prop_assert!(before.body.role(author) >= Some(Role::Admin));
                let shown = Snapshot::of(op, &at_once).verify(Some(log));
                prop_assert_eq!(shown, Ok(Shown::State(at_once.clone())), "a newcomer sees the same");
            } else {
                prop_assert_eq!(&before.body, &at_once.body);
            }
            prop_assert_eq!(at_once.head(), op.head());
            prop_assert_eq!(cbor::decode_own::<State>(&cbor::encode(&at_once)), Ok(at_once.clone()));
        }
        // who comes later knows more of each log, reads the bytes again, and stops in between
        let mut later = three();
        for (op, _) in &ops {
            later = cbor::decode_own(&cbor::encode(&later)).unwrap();
            let log = LATER.iter().find(|log| log.fingerprint() == op.op().by.fingerprint);
            later = settled(later.apply(&SignedOp::read(op.bytes()).unwrap(), log).unwrap());
        }
        prop_assert_eq!(at_once, later);
    }

    #[test]
    fn no_state_made_up_over_a_void_op_is_confirmed_by_whoever_judged_that_op(
        steps in steps(),
        by in 0..5_usize,
        last: Step,
        lie in 0..4_usize,
    ) {
        let honest = ops(&steps).iter().fold(three(), |state, (op, log)| settled(state.apply(op, Some(log)).unwrap()));
        let (by, action) = (people()[by], action((0, last.1 % 10, last.2 % 5, last.3 % 30)));
        let made_up = lied(honest.forged_body(by, &action), lie);
        let op = sign(&honest.op_to(by, action, &made_up), by);
        let verdict = honest.apply(&op, Some(&by.log)).unwrap();
        let snapshot = Snapshot { op: op.bytes().to_vec().into(), state: Some(cbor::encode(&made_up).into()) };
        if let (Verdict::Void(honest, _), Ok(Shown::State(shown))) = (verdict, snapshot.verify(Some(&by.log))) {
            prop_assert_eq!(honest.head(), shown.head());
            prop_assert_eq!(shown.is_confirmed_by(honest.head(), honest.hash()), shown == honest);
            let next = honest.propose(&ALICE, refresh()).unwrap();
            let (honest, shown) = (next.state, settled(shown.apply(&next.op, Some(&ALICE.log)).unwrap()));
            prop_assert_eq!(shown.is_confirmed_by(honest.head(), honest.hash()), shown == honest);
        }
    }

    #[test]
    fn any_bytes_are_no_op_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SignedOp::read(&bytes).is_err());
    }
}
