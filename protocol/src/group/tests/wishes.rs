//! What members and those who come by a link wish for, and which op fulfils it.

use super::world::*;
use crate::crypto::group::LinkSecret;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::group::{
    Action, Add, Change, HistoryCount, Known, Membership, NewMember, Proposal, Role, Settings, SignedOp, SignedWish,
    State, Wanted, Wish, WishError, Wishes,
};
use crate::identity::account_log::AccountLog;
use crate::ids::{GroupHead, GroupId, Head, HeadHash, OpHash};

/// A group, and all its ops but the first.
#[derive(Clone)]
struct Group {
    state: State,
    ops: Vec<SignedOp>,
}

impl Group {
    fn of(state: State) -> Self {
        Self { state, ops: vec![] }
    }

    fn then(&self, by: &Person, action: impl Into<Action>) -> Self {
        let Proposal { op, state } = self.state.propose(by, action).unwrap();
        Self { state, ops: [&self.ops[..], &[op]].concat() }
    }

    fn check(&self, wish: &SignedWish, author: &Person) -> Result<Wishes, WishError> {
        self.check_by(wish, Some(&author.log))
    }

    fn check_by(&self, wish: &SignedWish, author: Option<&AccountLog>) -> Result<Wishes, WishError> {
        wish.check(&self.state, Known { ops: &self.ops, author, added: Some(&DAVE.log) })
    }

    fn wanted(&self, wish: &SignedWish, author: &Person) -> Action {
        match self.check(wish, author).unwrap() {
            Wishes::For(action) => *action,
            Wishes::Held(lacking) => panic!("{lacking:?}"),
        }
    }

    fn membership(&self, person: &Person) -> Membership {
        let since = self.state.body().members.get(&person.user()).unwrap().since;
        Membership { state: self.state.head(), since }
    }

    fn wish(&self, by: &Person, wanted: Wanted) -> SignedWish {
        let wish = Wish::sign(by.author(), self.state.group(), wanted, &mut rand::rng()).unwrap();
        assert_eq!(SignedWish::read(wish.bytes()), Ok(wish.clone()));
        wish
    }

    fn leave(&self, by: &Person) -> SignedWish {
        self.wish(by, Wanted::Leave { membership: self.membership(by) })
    }

    fn step_down(&self, by: &Person, role: Role) -> SignedWish {
        self.wish(by, Wanted::StepDown { membership: self.membership(by), role })
    }

    fn bring_dave(&self, by: &Person) -> SignedWish {
        let NewMember { user, fingerprint, head, .. } = DAVE.new_member(Role::Member);
        self.wish(by, Wanted::Add { membership: self.membership(by), user, fingerprint, head })
    }

    fn letting_members_wish(&self) -> Self {
        let settings = Some(Settings { wishes: true, history: true, ..settings() });
        self.then(&ALICE, Action::Change(Change { name: None, about: None, settings }))
    }
}

/// As [`super::world::three`].
fn three() -> Group {
    Group::of(super::world::three())
}

fn join(group: &Group, by: &Person, secret: u8) -> SignedWish {
    group.wish(by, Wanted::Join { secret: LinkSecret::new([secret; 16]) })
}

#[test]
fn whoever_wishes_to_leave_is_removed_by_an_op_that_names_the_wish() {
    let group = three();
    let wish = group.leave(&CAROL);
    let action = group.wanted(&wish, &CAROL);
    let after = group.then(&BOB, action.clone());
    assert_eq!(after.state.role_of(&CAROL), None);
    assert!(wish.is_fulfilled_by(&group.state, &action));
    assert!(!wish.is_fulfilled_by(&group.state, &remove(&CAROL)), "bob's own will");
    assert!(!wish.is_fulfilled_by(&group.state, &remove(&BOB)));
    assert_eq!(after.check(&wish, &CAROL), Err(WishError::NotMember), "it is done");
}

#[test]
fn an_owner_leaves_by_another_owner_alone() {
    let group = Group::of(group(&[(&BOB, Role::Owner), (&CAROL, Role::Admin)]));
    let action = group.wanted(&group.leave(&ALICE), &ALICE);
    assert_eq!(group.state.refuses(&CAROL, action.clone()), crate::group::Void::NoPermission);
    assert_eq!(group.then(&BOB, action).state.role_of(&ALICE), None);
}

#[test]
fn an_old_wish_says_nothing_of_who_was_added_again() {
    let group = three();
    let wish = group.leave(&CAROL);
    let again = group.then(&BOB, remove(&CAROL)).then(&BOB, add(&CAROL, Role::Member));
    assert_eq!(again.check(&wish, &CAROL), Err(WishError::NotMember));
}

#[test]
fn a_wish_from_another_history_or_from_before_what_is_known_is_not_fulfilled() {
    let group = three().then(&BOB, rename("a"));
    let mut later = group.then(&BOB, rename("b")).then(&BOB, rename("c"));
    let wish = group.leave(&CAROL);
    assert!(later.check(&wish, &CAROL).is_ok());
    let at = |head| Membership { state: head, ..group.membership(&CAROL) };
    let beside = GroupHead { hash: OpHash::new([1; 32]), ..group.state.head() };
    let ahead = GroupHead { seq: later.state.head().seq + 1, ..beside };
    let of = |head| group.wish(&CAROL, Wanted::Leave { membership: at(head) });
    assert_eq!(later.check(&of(beside), &CAROL), Err(WishError::Unknown));
    assert_eq!(later.check(&of(ahead), &CAROL), Err(WishError::NotMember));
    let ops = later.ops.clone();
    for missing in 1..ops.len() {
        later.ops = ops.clone();
        later.ops.remove(missing);
        assert_eq!(later.check(&wish, &CAROL), Err(WishError::Unknown), "without op {missing}");
    }
    later.ops = ops[1..].to_vec();
    assert!(later.check(&wish, &CAROL).is_ok(), "what lies before it tells nothing");
}

#[test]
fn stepping_down_gives_a_lower_role() {
    let group = three();
    let action = group.wanted(&group.step_down(&BOB, Role::Member), &BOB);
    assert_eq!(group.then(&ALICE, action).state.role_of(&BOB), Some(Role::Member));
    for role in [Role::Admin, Role::Owner] {
        assert_eq!(group.check(&group.step_down(&BOB, role), &BOB), Err(WishError::Pointless));
    }
}

#[test]
fn who_stepped_down_and_was_raised_again_does_not_step_down_by_the_same_wish() {
    let group = three();
    let wish = group.step_down(&BOB, Role::Member);
    let raised = |by_wish: Action| group.then(&ALICE, by_wish).then(&ALICE, change_role(&BOB, Role::Admin));
    let by_the_wish = raised(group.wanted(&wish, &BOB));
    let by_alice = raised(change_role(&BOB, Role::Member));
    for group in [by_the_wish, by_alice] {
        assert_eq!(group.check(&wish, &BOB), Err(WishError::Pointless));
        assert!(group.check(&group.step_down(&BOB, Role::Member), &BOB).is_ok(), "a new wish");
    }
}

#[test]
fn who_was_brought_in_by_a_wish_and_removed_is_not_brought_in_again_by_it() {
    let group = three().letting_members_wish();
    let wish = group.bring_dave(&CAROL);
    let gone = group.then(&BOB, group.wanted(&wish, &CAROL)).then(&BOB, remove(&DAVE));
    assert_eq!(gone.check(&wish, &CAROL), Err(WishError::Fulfilled));
    assert!(gone.check(&gone.bring_dave(&CAROL), &CAROL).is_ok(), "a new wish");
}

#[test]
fn atk_77_who_joined_by_a_link_and_left_is_not_let_in_again_by_the_same_wish() {
    let asking = crate::group::Link { approval: true, ..link(1, &ALICE, 3) };
    let open = three().then(&ALICE, asking);
    let wish = join(&open, &DAVE, 1);
    let inside = open.then(&ALICE, open.wanted(&wish, &DAVE));
    let mut left = inside.then(&ALICE, inside.wanted(&inside.leave(&DAVE), &DAVE));
    assert_eq!(left.check(&wish, &DAVE), Err(WishError::Fulfilled));
    left.ops.remove(0);
    assert_eq!(left.check(&wish, &DAVE), Err(WishError::Unknown), "when the link was opened is not known");
}

#[test]
fn members_wish_for_others_where_the_settings_let_them() {
    let group = three();
    let asked = group.bring_dave(&CAROL);
    assert_eq!(group.check(&asked, &CAROL), Err(WishError::NotAllowed));
    let open = group.letting_members_wish();
    let Action::Add(add) = open.wanted(&asked, &CAROL) else { panic!() };
    assert_eq!((add.role, add.wish), (Role::Member, Some(asked.hash())));
    let told = Add { history: Some(HistoryCount::new(5).unwrap()), ..add.clone() };
    let later = Add { head: Head { seq: 9, ..add.head }, ..add.clone() };
    let beside = Add { head: Head { hash: HeadHash::new([9; 32]), ..add.head }, ..add.clone() };
    let above = Add { role: Role::Admin, ..add.clone() };
    let fulfils = [add, told, later, beside, above].map(|add| asked.is_fulfilled_by(&open.state, &Action::Add(add)));
    assert_eq!(fulfils, [true, true, true, false, false]);
    let full = open.then(&BOB, super::world::add(&DAVE, Role::Member));
    assert_eq!(full.check(&asked, &CAROL), Err(WishError::Pointless), "he is one");
}

#[test]
fn who_fulfils_a_wish_names_the_heads_that_are_known_now() {
    let group = three().letting_members_wish();
    let now = DAVE.with_device(5);
    let asked = group.bring_dave(&CAROL);
    let check = |added| asked.check(&group.state, Known { ops: &group.ops, author: Some(&CAROL.log), added });
    let Ok(Wishes::For(action)) = check(Some(&now.log)) else { panic!() };
    assert!(matches!(&*action, Action::Add(add) if add.head == now.log.head()));
    assert!(asked.is_fulfilled_by(&group.state, &action));
    for log in [None, Some(&BOB.log)] {
        assert!(matches!(check(log), Ok(Wishes::Held(lacking)) if lacking.user == DAVE.user()));
    }
    let bob = BOB.with_device(5);
    let Action::Role(down) = group.wanted(&group.step_down(&BOB, Role::Member), &bob) else { panic!() };
    assert_eq!(down.head, bob.log.head());
    let open = group.then(&ALICE, link(1, &ALICE, 2));
    let Action::Add(joined) = open.wanted(&join(&open, &DAVE, 1), &now) else { panic!() };
    assert_eq!(joined.head, now.log.head());
}

#[test]
fn who_has_a_link_becomes_a_plain_member_by_it() {
    let group = three().then(&ALICE, link(1, &ALICE, 2));
    let action = group.wanted(&join(&group, &DAVE, 1), &DAVE);
    let after = group.then(&ALICE, action);
    let used = after.state.body().links.iter().next().unwrap().used;
    assert_eq!((after.state.role_of(&DAVE), used), (Some(Role::Member), 1));
    assert_eq!(group.check(&join(&group, &DAVE, 2), &DAVE), Err(WishError::Pointless), "no such link");
    assert_eq!(after.check(&join(&group, &DAVE, 1), &DAVE), Err(WishError::Pointless), "he is in");
    let other_bob = join(&group, &OTHER_BOB, 1);
    assert_eq!(group.check(&other_bob, &OTHER_BOB), Err(WishError::Pointless), "bob is not replaced");
}

#[test]
fn atk_62_a_wish_to_join_does_not_print_the_secret_of_the_link() {
    let join = join(&three(), &DAVE, 201);
    let text = format!("{join:?} {:?}", join.wish());
    assert!(text.contains("LinkSecret(SecretBytes<16>(..))"), "{text}");
    assert!(!text.contains("201, 201") && !text.contains("c9c9"), "{text}");
}

#[test]
fn a_wish_is_its_authors_alone() {
    let group = three();
    let right = group.leave(&CAROL);
    for (key, context) in [(&BOB, Context::Wish), (&CAROL, Context::Group), (&CAROL, Context::Log)] {
        let object = crate::cbor::encode(right.wish());
        let signed = Signed::new(object, &key.keys.signing, context, &mut rand::rng());
        let forged = SignedWish::read(&crate::cbor::encode(&signed)).unwrap();
        assert_eq!(group.check(&forged, &CAROL), Err(WishError::NotSigned), "{context:?}");
    }
    assert!(matches!(group.check_by(&right, None), Ok(Wishes::Held(_))));
    assert_eq!(SignedWish::read(&right.bytes()[1..]), Err(WishError::Malformed));
    let leave = Wanted::Leave { membership: group.membership(&CAROL) };
    let elsewhere = Wish::sign(CAROL.author(), GroupId::new([1; 32]), leave, &mut rand::rng()).unwrap();
    assert_eq!(group.check(&elsewhere, &CAROL), Err(WishError::NotMember));
}

#[test]
fn a_wish_with_a_head_that_no_account_log_has_is_malformed() {
    let group = three();
    let membership = group.membership(&CAROL);
    let sign = |seq| {
        let NewMember { user, fingerprint, head, .. } = DAVE.new_member(Role::Member);
        let wanted = Wanted::Add { membership, user, fingerprint, head: Head { seq, ..head } };
        Wish::sign(CAROL.author(), group.state.group(), wanted, &mut rand::rng())
    };
    assert!(sign(1_023).is_ok());
    assert_eq!(sign(1_024), Err(WishError::Malformed));
}

#[test]
fn a_device_that_is_revoked_by_now_wishes_nothing() {
    let phone = CAROL.with_device(5);
    let laptop = CAROL.knowing(&phone.log);
    let group = three();
    let wish = group.leave(&phone);
    assert!(group.check(&wish, &phone).is_ok());
    let later = laptop.knowing(&laptop.revoking(phone.cert.id()));
    assert_eq!(group.check(&wish, &later), Err(WishError::NotSigned));
}
