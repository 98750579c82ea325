//! What an op says by the log of its author: up to the head it names, and no further.

use super::world::*;
use crate::group::{Lacking, Refused, Role, State, Verdict, Void};
use crate::ids::{DeviceId, Fingerprint};

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
fn what_its_author_may_not_do_is_void_whatever_is_known_of_his_log() {
    let state = three();
    let phone = CAROL.with_device(5);
    for (action, why) in [(rename("mine"), Void::NoPermission), (remove(&CAROL), Void::OnSelf)] {
        let op = sign(&state.forged(&phone, action), &phone);
        for log in [None, Some(&CAROL.log), Some(&phone.log)] {
            let verdict = state.apply(&op, log);
            assert!(matches!(&verdict, Ok(Verdict::Void(_, told)) if *told == why), "{verdict:?}");
        }
    }
}

#[test]
fn an_op_on_a_log_beside_the_pinned_one_is_judged_by_that_log_and_so_alike_by_all() {
    let (pinned, beside) = (BOB.with_device(5), BOB.with_device(6));
    let state = three();
    let op = state.propose(&beside, rename("duty")).unwrap();
    assert!(matches!(state.apply(&op.op, Some(&pinned.log)), Ok(Verdict::Held(_))), "until that log is known too");
    let entries: Vec<_> = beside.log.entries_from(1).collect();
    let side_log = pinned.log.spliced(&entries).unwrap();
    for log in [&beside.log, &side_log] {
        assert_eq!(state.apply(&op.op, Some(log)), Ok(Verdict::Applied(op.state.clone())));
    }
    assert_eq!(op.state.void(&pinned, &op.state.forged(&pinned, refresh())), Void::OtherHistory, "one branch counts");
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
fn a_device_revoked_before_a_promotion_has_no_part_in_it() {
    let phone = CAROL.with_device(5);
    let laptop = CAROL.knowing(&phone.log);
    let safe = laptop.knowing(&laptop.revoking(phone.cert.id()));
    let state = three().then(&ALICE, change_role(&safe, Role::Admin));
    assert_eq!(state.body().members.get(&CAROL.user()).unwrap().head, safe.log.head());
    assert_eq!(state.void(&phone, &state.forged(&phone, remove(&BOB))), Void::OldHead);
    assert_eq!(state.then(&safe, remove(&BOB)).role_of(&BOB), None);
}

#[test]
fn a_role_names_no_earlier_head_than_is_known_and_none_beside_it() {
    let (one, other) = (BOB.with_device(5), BOB.with_device(6));
    let state = three().then(&one, refresh());
    assert_eq!(state.refuses(&ALICE, change_role(&BOB, Role::Owner)), Void::OldHead);
    assert_eq!(state.refuses(&ALICE, change_role(&other, Role::Owner)), Void::OtherHistory);
    assert_eq!(state.then(&ALICE, change_role(&one, Role::Owner)).role_of(&BOB), Some(Role::Owner));
}

#[test]
fn an_op_on_another_history_of_its_authors_log_is_void() {
    let (one, other) = (BOB.with_device(5), BOB.with_device(6));
    let state = three().then(&one, refresh());
    assert_eq!(state.void(&other, &state.forged(&other, rename("mine"))), Void::OtherHistory);
    let longer = other.with_device(7);
    assert_eq!(state.void(&longer, &state.forged(&longer, rename("mine"))), Void::OtherHistory);
}
