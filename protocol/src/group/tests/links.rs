//! Links: who opens them, what they give, when they end.

use std::time::Duration;

use super::world::*;
use crate::group::{Action, Add, Link, LinkUses, Refused, Role, State, Unlink, Verdict, Void};
use crate::time::Timestamp;

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
    let unlink = |secret| Action::Unlink(Unlink { hash: link(secret, &ALICE, 1).hash });
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
fn atk_77_an_invitation_that_was_used_is_good_for_no_second_time() {
    let state = three().then(&ALICE, link(1, &ALICE, 2));
    let by_link = Add { link: Some(link(1, &ALICE, 2).hash), ..add(&DAVE, Role::Member) };
    let invitation = state.propose(&ALICE, by_link.clone()).unwrap();
    let gone = invitation.state.then(&BOB, remove(&DAVE));
    assert_eq!(gone.apply(&invitation.op, Some(&ALICE.log)), Err(Refused::Elsewhere));
    assert_eq!(gone.refuses(&ALICE, by_link), Void::NoSuchLink, "who was removed does not come back by it");
}
