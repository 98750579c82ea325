//! What a newcomer, or a laggard, is shown.

use super::world::*;
use crate::cbor;
use crate::group::{
    Action, Body, Member, Proposal, Refused, Role, Shown, Snapshot, SnapshotError, State, Verdict, Void,
};
use crate::ids::GroupAt;
use crate::message::Blob;

/// The op that adds dave, and how it is shown to him.
fn added() -> (Proposal, Snapshot) {
    let proposal = three().propose(&BOB, add(&DAVE, Role::Member)).unwrap();
    let snapshot = Snapshot::of(&proposal.op, &proposal.state);
    (proposal, snapshot)
}

#[test]
fn a_newcomer_has_what_the_others_have() {
    let (Proposal { state, .. }, snapshot) = added();
    let read: Snapshot = cbor::decode(&cbor::encode(&snapshot)).unwrap();
    assert_eq!(read.verify(Some(&BOB.log)), Ok(Shown::State(state)));
    assert!(matches!(read.verify(None), Ok(Shown::Held(_))));
    assert!(matches!(read.verify(Some(&ALICE.log)), Ok(Shown::Held(_))));
}

#[test]
fn whoever_is_there_from_the_beginning_needs_the_first_op_alone() {
    let Proposal { op, state } = begun(&[(&BOB, Role::Admin)]);
    let snapshot = Snapshot::of(&op, &state);
    assert_eq!(snapshot.state, None);
    assert_eq!(snapshot.verify(Some(&ALICE.log)), Ok(Shown::State(state.clone())));
    assert!(matches!(snapshot.verify(None), Ok(Shown::Held(_))));
    let with_state = Snapshot { state: Some(cbor::encode(state.body()).into()), ..snapshot };
    assert_eq!(with_state.verify(Some(&ALICE.log)), Err(SnapshotError::OtherState));
}

#[test]
fn another_state_than_the_op_names_is_not_shown() {
    let (Proposal { state, .. }, snapshot) = added();
    let bytes = cbor::encode(state.body());
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let snapshot = Snapshot { state: Some(Blob(flipped)), ..snapshot.clone() };
        assert_eq!(snapshot.verify(Some(&BOB.log)), Err(SnapshotError::OtherState), "byte {at}");
    }
    assert_eq!(Snapshot { state: None, ..snapshot }.verify(Some(&BOB.log)), Err(SnapshotError::OtherState));
}

#[test]
fn a_snapshot_that_its_author_did_not_sign_shows_nothing() {
    let (Proposal { op, .. }, snapshot) = added();
    let forged = Snapshot { op: sign(op.op(), &CAROL).bytes().to_vec().into(), ..snapshot.clone() };
    assert_eq!(forged.verify(Some(&BOB.log)), Err(Refused::Signature.into()));
    assert!(matches!(Snapshot { op: Blob(vec![1]), ..snapshot }.verify(None), Err(SnapshotError::Op(_))));
}

/// What somebody shows who signs `action` over a state that he made up.
fn made_up(by: &Person, action: Action, change: impl FnOnce(&mut Body)) -> Result<Shown, SnapshotError> {
    let state = three();
    let mut body = state.forged_body(by, &action);
    change(&mut body);
    let op = sign(&state.op_to(by, action, &body), by);
    Snapshot { op: op.bytes().to_vec().into(), state: Some(cbor::encode(&body).into()) }.verify(Some(&by.log))
}

#[test]
fn a_state_to_which_its_op_does_not_lead_is_not_shown() {
    let bring_dave = || Action::Add(add(&DAVE, Role::Member));
    assert!(made_up(&BOB, bring_dave(), |_| ()).is_ok());
    let impossible = Err(SnapshotError::Impossible);
    assert_eq!(made_up(&CAROL, bring_dave(), |_| ()), impossible, "a plain member adds");
    assert_eq!(made_up(&DAVE, rename("mine"), |_| ()), impossible, "a stranger");
    assert_eq!(made_up(&BOB, remove(&BOB), |_| ()), impossible, "on himself");
    let dave = |change: fn(&mut Member)| {
        made_up(&BOB, bring_dave(), move |body| change(body.members.get_mut(&DAVE.user()).unwrap()))
    };
    assert_eq!(dave(|dave| dave.role = Role::Admin), impossible);
    assert_eq!(dave(|dave| (dave.since, dave.given) = (7, 7)), impossible);
    assert_eq!(dave(|dave| dave.given = 7), impossible, "of a later op");
    assert_eq!(dave(|dave| dave.since = 0), impossible);
    let role = |change: fn(&mut Member)| {
        let raised = change_role(&CAROL, Role::Admin);
        made_up(&BOB, raised, move |body| change(body.members.get_mut(&CAROL.user()).unwrap()))
    };
    assert!(role(|_| ()).is_ok());
    assert_eq!(role(|carol| carol.role = Role::Member), impossible);
    assert_eq!(role(|carol| carol.head.seq += 1), impossible);
    assert_eq!(role(|carol| carol.given = 0), impossible);
    let carol = |change: fn(&mut Member)| {
        made_up(&BOB, bring_dave(), move |body| change(body.members.get_mut(&CAROL.user()).unwrap()))
    };
    assert!(carol(|carol| carol.given = 1).is_ok());
    assert_eq!(carol(|carol| carol.given = 2), impossible, "a role of a later op");
    let other_state = Err(SnapshotError::OtherState);
    assert_eq!(carol(|carol| carol.since = 1), other_state, "no role is given before there is a member");
    assert_eq!(carol(|carol| carol.head.seq = 1_024), other_state, "no account log has that head");
    let without = made_up(&BOB, bring_dave(), |body| drop(body.members.remove(&DAVE.user())));
    assert_eq!(without, impossible, "somebody else was added");
    assert_eq!(made_up(&BOB, rename("duty"), |body| body.name = three().body().name.clone()), impossible);
    assert_eq!(made_up(&BOB, link(1, &BOB, 2).into(), |body| body.links.retain(|_| false)), impossible);
    let no_owner = made_up(&BOB, bring_dave(), |body| drop(body.members.remove(&ALICE.user())));
    assert_eq!(no_owner, Err(SnapshotError::OtherState), "a group has an owner");
}

/// What bob's void `refresh` is for those who have the state before it, and for whom he shows a state he made up.
fn two_states_under_one_head() -> (State, State) {
    let honest = three();
    let mut body = honest.body().clone();
    body.members.get_mut(&CAROL.user()).unwrap().fingerprint = OTHER_BOB.log.fingerprint();
    let op = sign(&honest.op_to(&BOB, refresh(), &body), &BOB);
    let Ok(Verdict::Void(honest, Void::OtherState)) = honest.apply(&op, Some(&BOB.log)) else { panic!() };
    let snapshot = Snapshot { op: op.bytes().to_vec().into(), state: Some(cbor::encode(&body).into()) };
    let Ok(Shown::State(shown)) = snapshot.verify(Some(&BOB.log)) else { panic!() };
    (honest, shown)
}

#[test]
fn a_head_alone_confirms_no_state() {
    let (honest, shown) = two_states_under_one_head();
    assert_eq!(honest.head(), shown.head());
    assert!(honest.is_confirmed_by(honest.head(), honest.hash()));
    assert!(!shown.is_confirmed_by(honest.head(), honest.hash()));
}

#[test]
fn who_was_shown_a_made_up_state_finds_the_next_op_void_for_its_state() {
    let (honest, shown) = two_states_under_one_head();
    let Proposal { op, state } = honest.propose(&ALICE, rename("duty")).unwrap();
    let Ok(Verdict::Void(shown, why)) = shown.apply(&op, Some(&ALICE.log)) else { panic!() };
    assert_eq!((why, shown.head()), (Void::OtherState, state.head()));
    assert!(!shown.is_confirmed_by(state.head(), state.hash()));
}

#[test]
fn a_laggard_takes_a_later_op_and_the_void_ones_behind_it() {
    let state = three().then(&BOB, rename("a"));
    let Proposal { op, state } = state.propose(&ALICE, rename("b")).unwrap();
    let void = sign(&state.forged(&CAROL, rename("c")), &CAROL);
    let Ok(Shown::State(shown)) = Snapshot::of(&op, &state).verify(Some(&ALICE.log)) else { panic!() };
    let (honest, laggard) = (state.apply(&void, Some(&CAROL.log)), shown.apply(&void, Some(&CAROL.log)));
    assert!(matches!(honest, Ok(Verdict::Void(..))));
    assert_eq!(honest, laggard);
}

#[test]
fn a_newcomer_sees_the_same_whatever_becomes_of_the_signer() {
    let phone = BOB.with_device(5);
    let laptop = BOB.knowing(&phone.log);
    let Proposal { op, state } = three().propose(&phone, add(&DAVE, Role::Member)).unwrap();
    let later = laptop.revoking(phone.cert.id());
    assert_eq!(Snapshot::of(&op, &state).verify(Some(&later)), Ok(Shown::State(state)));
}

#[test]
fn a_successor_names_what_it_continues() {
    let former = three();
    let succeeds = GroupAt { group: former.group(), head: former.head() };
    let members = create(&[(&BOB, Role::Admin)]);
    let made = Proposal::create(ALICE.author(), members, Some(succeeds), token(0), &mut rand::rng()).unwrap();
    assert_eq!(made.state.body().succeeds, Some(succeeds));
    assert_ne!(made.state.group(), former.group());
    let grown = made.state.then(&ALICE, refresh());
    assert_eq!(grown.body().succeeds, Some(succeeds), "it is never forgotten");
}
