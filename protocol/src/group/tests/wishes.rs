//! What members and those who come by a link wish for, and which op fulfils it.

use super::world::*;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::group::{
    Action, Add, Change, HistoryCount, LinkSecret, Membership, Role, Settings, SignedWish, State, Wanted, Wish,
    WishError, Wishes,
};
use crate::ids::{GroupHead, GroupId, Head, OpHash};

fn membership(state: &State, person: &Person) -> Membership {
    Membership { state: state.head(), since: state.body().members.get(&person.user()).unwrap().since }
}

fn wish(state: &State, by: &Person, wanted: Wanted) -> SignedWish {
    let wish = Wish::sign(by.author(), state.group(), wanted, &mut rand::rng()).unwrap();
    assert_eq!(SignedWish::read(wish.bytes()), Ok(wish.clone()));
    wish
}

fn leave(state: &State, by: &Person) -> SignedWish {
    wish(state, by, Wanted::Leave { membership: membership(state, by) })
}

fn wanted(wish: &SignedWish, state: &State, by: &Person) -> Action {
    match wish.check(state, Some(&by.log)).unwrap() {
        Wishes::For(action) => *action,
        Wishes::Held(lacking) => panic!("{lacking:?}"),
    }
}

#[test]
fn whoever_wishes_to_leave_is_removed_by_an_op_that_names_the_wish() {
    let state = three();
    let wish = leave(&state, &CAROL);
    let action = wanted(&wish, &state, &CAROL);
    let after = state.then(&BOB, action.clone());
    assert_eq!(after.role_of(&CAROL), None);
    assert!(wish.is_fulfilled_by(&state, &action));
    assert!(!wish.is_fulfilled_by(&state, &remove(&CAROL)), "bob's own will");
    assert!(!wish.is_fulfilled_by(&state, &remove(&BOB)));
    assert_eq!(wish.check(&after, Some(&CAROL.log)), Err(WishError::NotMember), "it is done");
}

#[test]
fn an_owner_leaves_by_another_owner_alone() {
    let state = group(&[(&BOB, Role::Owner), (&CAROL, Role::Admin)]);
    let action = wanted(&leave(&state, &ALICE), &state, &ALICE);
    assert_eq!(state.refuses(&CAROL, action.clone()), crate::group::Void::NoPermission);
    assert_eq!(state.then(&BOB, action).role_of(&ALICE), None);
}

#[test]
fn an_old_wish_says_nothing_of_who_was_added_again() {
    let state = three();
    let wish = leave(&state, &CAROL);
    let again = state.then(&BOB, remove(&CAROL)).then(&BOB, add(&CAROL, Role::Member));
    assert_eq!(wish.check(&again, Some(&CAROL.log)), Err(WishError::NotMember));
    let ahead = GroupHead { seq: state.head().seq + 1, hash: OpHash::new([1; 32]) };
    let beside = GroupHead { hash: OpHash::new([1; 32]), ..state.head() };
    for head in [ahead, beside] {
        let membership = Membership { state: head, ..membership(&state, &CAROL) };
        let wish = self::wish(&state, &CAROL, Wanted::Leave { membership });
        assert_eq!(wish.check(&state, Some(&CAROL.log)), Err(WishError::NotMember), "of another history");
    }
}

#[test]
fn stepping_down_gives_a_lower_role() {
    let state = three();
    let down = |role| wish(&state, &BOB, Wanted::StepDown { membership: membership(&state, &BOB), role });
    let action = wanted(&down(Role::Member), &state, &BOB);
    assert_eq!(state.then(&ALICE, action).role_of(&BOB), Some(Role::Member));
    for role in [Role::Admin, Role::Owner] {
        assert_eq!(down(role).check(&state, Some(&BOB.log)), Err(WishError::Pointless));
    }
}

#[test]
fn members_wish_for_others_where_the_settings_let_them() {
    let state = three();
    let crate::group::NewMember { user, fingerprint, head, .. } = DAVE.new_member(Role::Member);
    let membership = membership(&state, &CAROL);
    let asked = wish(&state, &CAROL, Wanted::Add { membership, user, fingerprint, head });
    assert_eq!(asked.check(&state, Some(&CAROL.log)), Err(WishError::NotAllowed));
    let settings = Some(Settings { wishes: true, history: true, ..settings() });
    let open = state.then(&ALICE, Action::Change(Change { name: None, about: None, settings }));
    let Action::Add(add) = wanted(&asked, &open, &CAROL) else { panic!() };
    assert_eq!((add.role, add.wish), (Role::Member, Some(asked.hash())));
    let told = Add { history: Some(HistoryCount::new(5).unwrap()), ..add.clone() };
    let later = Add { head: Head { seq: 9, ..head }, ..add.clone() };
    let above = Add { role: Role::Admin, ..add.clone() };
    let fulfils = [add, told, later, above].map(|add| asked.is_fulfilled_by(&open, &Action::Add(add)));
    assert_eq!(fulfils, [true, true, true, false]);
    let full = open.then(&BOB, super::world::add(&DAVE, Role::Member));
    assert_eq!(asked.check(&full, Some(&CAROL.log)), Err(WishError::Pointless), "he is one");
}

#[test]
fn who_has_a_link_becomes_a_plain_member_by_it() {
    let state = three().then(&ALICE, link(1, &ALICE, 2));
    let join = |secret| wish(&state, &DAVE, Wanted::Join { secret: LinkSecret::new([secret; 16]) });
    let action = wanted(&join(1), &state, &DAVE);
    let after = state.then(&ALICE, action);
    assert_eq!((after.role_of(&DAVE), after.body().links.iter().next().unwrap().used), (Some(Role::Member), 1));
    assert_eq!(join(2).check(&state, Some(&DAVE.log)), Err(WishError::Pointless), "no such link");
    assert_eq!(join(1).check(&after, Some(&DAVE.log)), Err(WishError::Pointless), "he is in");
    let other_bob = wish(&state, &OTHER_BOB, Wanted::Join { secret: LinkSecret::new([1; 16]) });
    assert_eq!(other_bob.check(&state, Some(&OTHER_BOB.log)), Err(WishError::Pointless), "bob is not replaced");
}

#[test]
fn atk_62_a_wish_to_join_does_not_print_the_secret_of_the_link() {
    let state = three().then(&ALICE, link(1, &ALICE, 2));
    let join = wish(&state, &DAVE, Wanted::Join { secret: LinkSecret::new([201; 16]) });
    let text = format!("{join:?} {:?}", join.wish());
    assert!(text.contains("LinkSecret(SecretBytes<16>(..))"), "{text}");
    assert!(!text.contains("201, 201") && !text.contains("c9c9"), "{text}");
}

#[test]
fn a_wish_is_its_authors_alone() {
    let state = three();
    let right = leave(&state, &CAROL);
    for (key, context) in [(&BOB, Context::Wish), (&CAROL, Context::Group), (&CAROL, Context::Log)] {
        let object = crate::cbor::encode(right.wish());
        let signed = Signed::new(object, &key.keys.signing, context, &mut rand::rng());
        let forged = SignedWish::read(&crate::cbor::encode(&signed)).unwrap();
        assert_eq!(forged.check(&state, Some(&CAROL.log)), Err(WishError::NotSigned), "{context:?}");
    }
    assert!(matches!(right.check(&state, None), Ok(Wishes::Held(_))));
    assert_eq!(SignedWish::read(&right.bytes()[1..]), Err(WishError::Malformed));
    let elsewhere = Wish::sign(
        CAROL.author(),
        GroupId::new([1; 32]),
        Wanted::Leave { membership: membership(&state, &CAROL) },
        &mut rand::rng(),
    );
    assert_eq!(elsewhere.unwrap().check(&state, Some(&CAROL.log)), Err(WishError::NotMember));
}

#[test]
fn a_device_that_is_revoked_by_now_wishes_nothing() {
    let phone = CAROL.with_device(5);
    let laptop = CAROL.knowing(&phone.log);
    let state = three();
    let wish = leave(&state, &phone);
    assert!(wish.check(&state, Some(&phone.log)).is_ok());
    let later = laptop.revoking(phone.cert.id());
    assert_eq!(wish.check(&state, Some(&later)), Err(WishError::NotSigned));
}
