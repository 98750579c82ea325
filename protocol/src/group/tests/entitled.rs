//! Who may do what, and whose word is whose.

use super::world::*;
use crate::cbor;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::group::{
    Action, Add, Change, HistoryCount, Lacking, NotProposed, Proposal, Refused, Role, Settings, SignedOp, State,
    Verdict, Void, What,
};
use crate::ids::{GroupId, OpHash, StateHash};

#[test]
fn whoever_creates_a_group_owns_it_and_its_id_is_its_first_head() {
    let Proposal { op, state } = begun(&[(&BOB, Role::Admin)]);
    assert_eq!(state.group().as_bytes(), op.head().hash.as_bytes());
    assert_eq!((op.head().seq, state.head()), (0, op.head()));
    assert_eq!((state.role_of(&ALICE), state.role_of(&BOB)), (Some(Role::Owner), Some(Role::Admin)));
    assert_eq!(State::create(&op, Some(&ALICE.log)), Ok(Verdict::Applied(state)));
}

#[test]
fn a_first_op_that_is_not_right_makes_no_group() {
    let Proposal { op, state } = begun(&[(&BOB, Role::Admin)]);
    let lacking = Lacking { user: ALICE.user(), fingerprint: ALICE.log.fingerprint(), head: ALICE.log.head() };
    for log in [None, Some(&BOB.log), Some(&Person::new("alice", 5).log)] {
        assert_eq!(State::create(&op, log), Ok(Verdict::Held(lacking.clone())));
    }
    let mut other_state = op.op().clone();
    other_state.state = StateHash::new([1; 32]);
    assert_eq!(State::create(&sign(&other_state, &ALICE), Some(&ALICE.log)), Err(Refused::NoGroup));
    let mut other_device = op.op().clone();
    other_device.by.device = BOB.cert.id();
    assert_eq!(State::create(&sign(&other_device, &BOB), Some(&ALICE.log)), Err(Refused::NoGroup));
    assert_eq!(State::create(&sign(op.op(), &BOB), Some(&ALICE.log)), Err(Refused::Signature));
    let second = state.propose(&ALICE, refresh()).unwrap().op;
    assert_eq!(State::create(&second, Some(&ALICE.log)), Err(Refused::NoGroup));
    assert_eq!(state.apply(&op, Some(&ALICE.log)), Err(Refused::Elsewhere));
}

#[test]
fn nobody_names_himself_among_those_he_begins_with() {
    let twice = create(&[(&ALICE, Role::Member)]);
    let proposed = Proposal::create(ALICE.author(), twice, None, token(0), &mut rand::rng());
    assert_eq!(proposed, Err(NotProposed::Malformed));
}

#[test]
fn admins_add_remove_and_change_all_but_owners() {
    let state = three();
    let grown = state.then(&BOB, add(&DAVE, Role::Admin));
    assert_eq!(grown.role_of(&DAVE), Some(Role::Admin));
    assert_eq!(grown.then(&DAVE, remove(&BOB)).role_of(&BOB), None, "admins end each other");
    assert_eq!(state.then(&BOB, change_role(&CAROL, Role::Admin)).role_of(&CAROL), Some(Role::Admin));
    assert_eq!(state.then(&BOB, rename("duty")).body().name.as_str(), "duty");
    for action in [
        Action::Add(add(&DAVE, Role::Owner)),
        change_role(&CAROL, Role::Owner),
        remove(&ALICE),
        change_role(&ALICE, Role::Admin),
        Action::Add(add(&Person::new("alice", 5), Role::Member)),
    ] {
        assert_eq!(state.refuses(&BOB, action), Void::NoPermission);
    }
}

#[test]
fn atk_64_plain_members_and_strangers_change_nothing() {
    let state = three();
    let actions = [
        Action::Add(add(&DAVE, Role::Member)),
        remove(&BOB),
        rename("mine"),
        refresh(),
        link(1, &BOB, 1).into(),
        change_role(&BOB, Role::Member),
    ];
    for action in actions {
        assert_eq!(state.refuses(&CAROL, action.clone()), Void::NoPermission);
        let stranger = sign(&state.forged(&DAVE, action), &DAVE);
        let verdict = state.apply(&stranger, Some(&DAVE.log));
        assert!(matches!(verdict, Ok(Verdict::Void(_, Void::NotMember))), "{verdict:?}");
    }
}

#[test]
fn atk_64_a_removed_member_does_not_come_back_by_itself() {
    let state = three().then(&ALICE, remove(&BOB));
    let back = state.forged(&BOB, add(&BOB, Role::Admin));
    assert_eq!(state.void(&BOB, &back), Void::NotMember);
}

#[test]
fn atk_73_what_a_removed_admin_writes_over_any_earlier_head_belongs_to_no_later_state() {
    let earlier = [rename("a"), refresh(), rename("b")].into_iter().fold(vec![three()], |mut states, action| {
        states.push(states.last().unwrap().then(&ALICE, action));
        states
    });
    let removed = earlier.last().unwrap().then(&ALICE, remove(&BOB));
    for after in [&removed, &removed.then(&ALICE, rename("c"))] {
        for before in &earlier {
            let late = before.propose(&BOB, rename("still mine")).unwrap().op;
            assert_eq!(after.apply(&late, Some(&BOB.log)), Err(Refused::Elsewhere));
        }
        let moved = after.forged(&BOB, rename("still mine"));
        assert_eq!(after.void(&BOB, &moved), Void::NotMember);
    }
}

#[test]
fn atk_65_an_op_under_the_name_of_another_is_refused() {
    let state = three();
    let op = state.forged(&BOB, rename("duty"));
    assert!(matches!(state.apply(&sign(&op, &BOB), Some(&BOB.log)), Ok(Verdict::Applied(_))));
    assert_eq!(state.apply(&sign(&op, &CAROL), Some(&BOB.log)), Err(Refused::Signature));
    for context in Context::ALL.into_iter().filter(|context| *context != Context::Group) {
        let signed = Signed::new(cbor::encode(&op), &BOB.keys.signing, context, &mut rand::rng());
        let op = SignedOp::read(&cbor::encode(&signed)).unwrap();
        assert_eq!(state.apply(&op, Some(&BOB.log)), Err(Refused::Signature), "{context:?}");
    }
}

#[test]
fn a_name_of_another_identity_is_not_the_member() {
    let state = three();
    let op = state.forged(&OTHER_BOB, rename("duty"));
    assert_eq!(state.void(&OTHER_BOB, &op), Void::OtherIdentity);
    let longer = OTHER_BOB.with_device(5);
    let mut claimed = state.forged(&longer, rename("duty"));
    claimed.by.fingerprint = BOB.log.fingerprint();
    let held = state.apply(&sign(&claimed, &longer), Some(&longer.log));
    assert!(matches!(held, Ok(Verdict::Held(_))), "a log of another identity says nothing: {held:?}");
}

#[test]
fn nobody_changes_his_own_membership() {
    let state = group(&[(&BOB, Role::Owner)]);
    for action in [
        remove(&BOB),
        change_role(&BOB, Role::Member),
        change_role(&BOB, Role::Owner),
        Action::Add(add(&BOB, Role::Member)),
        Action::Add(add(&OTHER_BOB, Role::Member)),
    ] {
        assert_eq!(state.refuses(&BOB, action), Void::OnSelf);
    }
}

#[test]
fn whoever_replaces_a_member_begins_as_a_plain_one() {
    let state = three().then(&ALICE, link(1, &ALICE, 5));
    assert_eq!(state.refuses(&ALICE, add(&OTHER_BOB, Role::Admin)), Void::ReplacedAbove);
    assert_eq!(state.refuses(&ALICE, add(&BOB, Role::Member)), Void::AlreadyMember);
    let after = state.then(&ALICE, add(&OTHER_BOB, Role::Member));
    let bob = after.body().members.get(&BOB.user()).unwrap();
    assert_eq!((bob.fingerprint, bob.role, bob.since), (OTHER_BOB.log.fingerprint(), Role::Member, 2));
    assert!(after.body().links.is_empty(), "who was replaced does not come back by a link");
    assert_eq!(after.void(&BOB, &after.forged(&BOB, rename("mine"))), Void::OtherIdentity);
}

#[test]
fn what_changes_nothing_is_void() {
    let state = three();
    assert_eq!(state.refuses(&ALICE, remove(&DAVE)), Void::NoSuchMember);
    assert_eq!(state.refuses(&ALICE, change_role(&DAVE, Role::Admin)), Void::NoSuchMember);
    assert_eq!(state.refuses(&ALICE, change_role(&BOB, Role::Admin)), Void::SameRole);
}

#[test]
fn messages_from_before_are_given_where_the_settings_allow_it() {
    let state = three();
    let told = Add { history: Some(HistoryCount::new(50).unwrap()), ..add(&DAVE, Role::Member) };
    assert_eq!(state.refuses(&ALICE, told.clone()), Void::NoHistory);
    let settings = Some(Settings { history: true, ..settings() });
    let open = state.then(&ALICE, Action::Change(Change { name: None, about: None, settings }));
    assert_eq!(open.then(&BOB, told).role_of(&DAVE), Some(Role::Member));
}

#[test]
fn a_group_has_at_most_128_members() {
    let names = (0..127).map(|n| (Person::new("somebody", 1).new_member(Role::Member), format!("member{n:03}")));
    let members = names.map(|(member, name)| crate::group::NewMember { user: name.parse().unwrap(), ..member });
    let full = crate::group::Create { members: crate::group::Ascending::new(members).unwrap(), ..create(&[]) };
    let full = Proposal::create(ALICE.author(), full, None, token(0), &mut rand::rng()).unwrap().state;
    assert_eq!(full.body().members.len(), 128);
    let op = full.op_to(&ALICE, add(&BOB, Role::Member).into(), full.body());
    assert_eq!(full.void(&ALICE, &op), Void::Full);
}

#[test]
fn the_state_after_an_op_is_the_one_it_names() {
    let state = three();
    let mut op = state.forged(&BOB, rename("duty"));
    op.state = state.body().hash();
    assert_eq!(state.void(&BOB, &op), Void::OtherState);
}

#[test]
fn an_op_for_another_place_is_nothing() {
    let state = three();
    let right = state.forged(&BOB, rename("duty"));
    let moves: [fn(&mut What); 3] = [
        |what| {
            if let What::Next { group, .. } = what {
                *group = GroupId::new([1; 32])
            }
        },
        |what| {
            if let What::Next { seq, .. } = what {
                *seq += 1
            }
        },
        |what| {
            if let What::Next { prev, .. } = what {
                *prev = OpHash::new([1; 32])
            }
        },
    ];
    for (n, change) in moves.into_iter().enumerate() {
        let mut op = right.clone();
        change(&mut op.what);
        assert_eq!(state.apply(&sign(&op, &BOB), Some(&BOB.log)), Err(Refused::Elsewhere), "{n}");
    }
}

#[test]
fn a_void_op_gives_the_token_on() {
    let state = three();
    let void = sign(&state.forged(&CAROL, rename("mine")), &CAROL);
    let Ok(Verdict::Void(after, Void::NoPermission)) = state.apply(&void, Some(&CAROL.log)) else { panic!() };
    assert_eq!((after.head(), after.next_token()), (void.head(), void.op().next_token));
    assert_eq!(after.then(&BOB, rename("duty")).body().name.as_str(), "duty");
}

#[test]
fn rights_in_a_group_are_those_of_the_identity_that_is_the_member() {
    let state = three();
    let may = |state: &State, person: &Person| {
        let (user, fingerprint) = (person.user(), person.log.fingerprint());
        (state.body().may_write(&user, fingerprint), state.body().may_delete_of_others(&user, fingerprint))
    };
    let all = |state: &State| [&ALICE, &BOB, &CAROL, &OTHER_BOB, &DAVE].map(|person| may(state, person));
    let (nothing, both) = ((false, false), (true, true));
    assert_eq!(all(&state), [both, both, (true, false), nothing, nothing]);
    let settings = Some(Settings { writers: crate::group::Writers::Admins, ..settings() });
    let closed = state.then(&ALICE, Action::Change(Change { name: None, about: None, settings }));
    assert_eq!(all(&closed), [both, both, nothing, nothing, nothing]);
    assert_eq!(may(&closed.then(&ALICE, remove(&BOB)), &BOB), nothing);
}
