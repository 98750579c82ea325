//! Who may do what, and whose word is whose.

use super::world::*;
use crate::cbor;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::group::{
    Action, Add, Change, HistoryCount, Lacking, Link, LinkUses, Proposal, Refresh, Refused, Role, Settings, SignedOp,
    State, Verdict, Void, What,
};
use crate::ids::{DeviceId, Fingerprint, GroupId, OpHash, StateHash};
use crate::time::Timestamp;
use std::time::Duration;

fn refresh() -> Action {
    Action::Refresh(Refresh {})
}

/// alice owns it, bob is an admin, carol a member.
fn three() -> State {
    group(&[(&BOB, Role::Admin), (&CAROL, Role::Member)])
}

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
fn a_group_of_a_revoked_device_is_none() {
    let phone = ALICE.with_device(5);
    let laptop = ALICE.knowing(&phone.log);
    let after = phone.knowing(&laptop.revoking(phone.cert.id()));
    let mut op = begun(&[]).op.op().clone();
    op.by = after.party();
    assert_eq!(State::create(&sign(&op, &phone), Some(&after.log)), Err(Refused::NoGroup));
}

#[test]
fn nobody_names_himself_among_those_he_begins_with() {
    let twice = create(&[(&ALICE, Role::Member)]);
    assert!(Proposal::create(ALICE.author(), twice, None, token(0), &mut rand::rng()).is_err());
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
fn atk_73_an_op_that_a_removed_admin_wrote_before_belongs_to_no_later_state() {
    let before = three();
    let late = before.propose(&BOB, rename("still mine")).unwrap().op;
    let after = before.then(&ALICE, remove(&BOB));
    assert_eq!(after.apply(&late, Some(&BOB.log)), Err(Refused::Elsewhere));
    let moved = sign(&after.forged(&BOB, rename("still mine")), &BOB);
    assert!(matches!(after.apply(&moved, Some(&BOB.log)), Ok(Verdict::Void(_, Void::NotMember))));
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
    let mut claimed = op;
    claimed.by.fingerprint = BOB.log.fingerprint();
    let held = state.apply(&sign(&claimed, &OTHER_BOB), Some(&OTHER_BOB.log));
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
fn atk_77_a_link_lets_in_as_often_as_it_says() {
    let state = three().then(&ALICE, link(1, &ALICE, 2));
    let by_link = |person| Add { link: Some(link(1, &ALICE, 2).hash), ..add(person, Role::Member) };
    let once = state.then(&BOB, by_link(&DAVE));
    assert_eq!(once.body().links.iter().map(|open| open.used).collect::<Vec<_>>(), [1]);
    let erin = Person::new("erin", 4);
    let twice = once.then(&BOB, by_link(&erin));
    assert!(twice.body().links.is_empty(), "used up");
    let third = Person::new("frank", 5);
    assert_eq!(twice.refuses(&BOB, by_link(&third)), Void::NoSuchLink);
}

#[test]
fn atk_77_a_link_ends_by_the_ops_own_time() {
    let state = three().then(&ALICE, link(1, &ALICE, 2));
    let by_link = Add { link: Some(link(1, &ALICE, 2).hash), ..add(&DAVE, Role::Member) };
    let mut op = state.forged(&BOB, by_link);
    assert!(matches!(state.apply(&sign(&op, &BOB), Some(&BOB.log)), Ok(Verdict::Applied(_))), "at its last moment");
    op.time = AT + Duration::from_millis(1);
    assert_eq!(state.void(&BOB, &op), Void::LinkEnded);
}

#[test]
fn a_link_makes_new_plain_members_and_nothing_else() {
    let state = three().then(&ALICE, link(1, &ALICE, 2));
    let by_link = |person, role| Add { link: Some(link(1, &ALICE, 2).hash), ..add(person, role) };
    assert_eq!(state.refuses(&ALICE, by_link(&DAVE, Role::Admin)), Void::LinkGivesLess);
    assert_eq!(state.refuses(&ALICE, by_link(&OTHER_BOB, Role::Member)), Void::LinkGivesLess);
    let unknown = Add { link: Some(link(2, &ALICE, 1).hash), ..add(&DAVE, Role::Member) };
    assert_eq!(state.refuses(&ALICE, unknown), Void::NoSuchLink);
}

#[test]
fn atk_77_a_removal_ends_every_link_that_asks_nobody_and_those_of_whoever_is_gone() {
    let asked = |secret, admin| Link { approval: true, ..link(secret, admin, 2) };
    let state = three().then(&ALICE, link(1, &ALICE, 2)).then(&ALICE, asked(2, &ALICE)).then(&BOB, asked(3, &BOB));
    let hashes = |state: &State| state.body().links.iter().map(|open| open.link.hash).collect::<Vec<_>>();
    assert_eq!(hashes(&state.then(&BOB, remove(&CAROL))).len(), 2);
    assert_eq!(hashes(&state.then(&ALICE, remove(&BOB))), [asked(2, &ALICE).hash]);
    let lowered = state.then(&ALICE, change_role(&BOB, Role::Member));
    assert_eq!(lowered.body().links.len(), 2, "those of alice: {lowered:?}");
}

#[test]
fn links_are_opened_by_admins_for_admins_and_few_at_once() {
    let state = three().then(&BOB, link(1, &ALICE, 2));
    assert_eq!(state.refuses(&BOB, link(1, &BOB, 1)), Void::LinkExists);
    assert_eq!(state.refuses(&BOB, link(2, &CAROL, 1)), Void::LinkOfNoAdmin);
    assert_eq!(state.refuses(&BOB, link(2, &DAVE, 1)), Void::LinkOfNoAdmin);
    let full = (2..=16).fold(state, |state, secret| state.then(&ALICE, link(secret, &ALICE, 1)));
    assert_eq!(full.refuses(&ALICE, link(17, &ALICE, 1)), Void::TooManyLinks);
    let unlink = |secret| Action::Unlink(crate::group::Unlink { hash: link(secret, &ALICE, 1).hash });
    assert_eq!(full.then(&BOB, unlink(3)).body().links.len(), 15);
    assert_eq!(full.refuses(&BOB, unlink(17)), Void::NoSuchLink);
}

#[test]
fn links_that_have_ended_make_room() {
    let ended = Link { until: Timestamp::from_millis(5), ..link(1, &ALICE, 1) };
    let state = three().then(&ALICE, ended).then(&ALICE, link(2, &ALICE, 1));
    assert_eq!(state.body().links.iter().map(|open| open.link.until).collect::<Vec<_>>(), [AT]);
    assert!(LinkUses::new(0).is_err());
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
fn an_op_is_held_until_its_authors_log_is_known_up_to_its_head() {
    let phone = BOB.with_device(5);
    let state = three();
    let op = state.propose(&phone, rename("duty")).unwrap().op;
    for log in [None, Some(&BOB.log)] {
        let lacking = Lacking { user: BOB.user(), fingerprint: BOB.log.fingerprint(), head: phone.log.head() };
        assert_eq!(state.apply(&op, log), Ok(Verdict::Held(lacking)));
    }
    assert!(matches!(state.apply(&op, Some(&phone.log)), Ok(Verdict::Applied(_))));
}

#[test]
fn devices_that_are_not_in_the_log_at_the_head_named_say_nothing() {
    let phone = BOB.with_device(5);
    let state = three();
    let mut early = state.forged(&phone, rename("duty"));
    early.by.head = BOB.log.head();
    let verdict = state.apply(&sign(&early, &phone), Some(&phone.log));
    assert!(matches!(verdict, Ok(Verdict::Void(_, Void::UnknownDevice))), "added later: {verdict:?}");
    let mut nobody = state.forged(&BOB, rename("duty"));
    nobody.by.device = DeviceId::new([9; 16]);
    assert_eq!(state.void(&BOB, &nobody), Void::UnknownDevice);
    nobody.by.fingerprint = Fingerprint::new([9; 32]);
    assert_eq!(state.void(&BOB, &nobody), Void::OtherIdentity);
}

#[test]
fn a_device_that_was_revoked_later_signed_what_it_signed() {
    let phone = BOB.with_device(5);
    let laptop = BOB.knowing(&phone.log);
    let state = three();
    let op = state.propose(&phone, rename("duty")).unwrap();
    let after = laptop.revoking(phone.cert.id());
    for log in [&phone.log, &after] {
        assert_eq!(state.apply(&op.op, Some(log)), Ok(Verdict::Applied(op.state.clone())), "whenever one looks");
    }
    let revoked = phone.knowing(&after);
    assert_eq!(state.refuses(&revoked, rename("mine")), Void::Revoked);
}

#[test]
fn once_a_head_is_known_no_op_names_an_earlier_one() {
    let phone = BOB.with_device(5);
    let laptop = BOB.knowing(&phone.log);
    let safe = laptop.knowing(&laptop.revoking(phone.cert.id()));
    let state = three().then(&safe, refresh());
    assert_eq!(state.body().members.get(&BOB.user()).unwrap().head, safe.log.head());
    let stolen = sign(&state.forged(&phone, rename("mine")), &phone);
    for log in [&phone.log, &safe.log] {
        let verdict = state.apply(&stolen, Some(log));
        assert!(matches!(verdict, Ok(Verdict::Void(_, Void::OldHead))), "{verdict:?}");
    }
}

#[test]
fn an_op_on_another_history_of_its_authors_log_is_void() {
    let (one, other) = (BOB.with_device(5), BOB.with_device(6));
    let state = three().then(&one, refresh());
    assert_eq!(state.void(&other, &state.forged(&other, rename("mine"))), Void::OtherHistory);
    let longer = other.with_device(7);
    assert_eq!(state.void(&longer, &state.forged(&longer, rename("mine"))), Void::OtherHistory);
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
