//! What is read, byte for byte.

use super::world::*;
use crate::cbor;
use crate::crypto::signed::Signed;
use crate::group::{
    Action, Add, Ascending, ChangeRole, Create, GroupAbout, GroupName, GroupTtl, NewMember, Op, OpError, Proposal,
    Role, Settings, SignedOp, State, Verdict, What, Writers,
};
use crate::identity::party::Party;
use crate::ids::{GroupAt, GroupHead, GroupId, Head, OpHash, Username};
use crate::limits::{MAX_GROUP_ACCOUNT_SEQ, MAX_GROUP_OP_BYTES, MAX_GROUP_STATE_BYTES, MAX_LOG_ENTRIES, MAX_NUMBER};
use crate::time::Timestamp;

#[test]
fn ops_read_back_as_written() {
    let state = group(&[(&BOB, Role::Admin)]);
    let first = begun(&[]).op;
    for op in [first, state.propose(&BOB, link(1, &ALICE, 3)).unwrap().op, state.propose(&BOB, rename("a")).unwrap().op]
    {
        assert_eq!(SignedOp::read(op.bytes()), Ok(op.clone()));
        assert_eq!(cbor::decode_canonical::<Op>(&cbor::encode(op.op())).as_ref(), Ok(op.op()));
    }
    assert_eq!(cbor::decode_own::<State>(&cbor::encode(&state)), Ok(state));
}

/// Changes a valid op's object, signs it rightly, and reads it.
fn read_changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<SignedOp, OpError> {
    let mut object = cbor::encode(begun(&[(&BOB, Role::Admin)]).op.op());
    change(&mut object);
    let context = crate::crypto::rsa::Context::Group;
    SignedOp::read(&cbor::encode(&Signed::new(object, &ALICE.keys.signing, context, &mut rand::rng())))
}

#[test]
fn an_op_with_a_key_that_nobody_knows_is_malformed() {
    assert!(read_changed(|_| ()).is_ok());
    let with_key = |value: &[u8]| {
        read_changed(|object| {
            assert_eq!(object[0], 0xa6, "six keys");
            object[0] = 0xa7;
            object.extend_from_slice(value);
        })
    };
    for value in [&[0x06, 0x00][..], &[0x06, 0xf6], &[0x05, 0x00]] {
        assert_eq!(with_key(value), Err(OpError::Malformed), "{value:?}");
    }
}

#[test]
fn an_op_of_a_later_version_is_told_from_garbage() {
    assert_eq!(read_changed(|object| object[2] = 2), Err(OpError::Version(2)));
    assert_eq!(read_changed(|object| object[2] = 0), Err(OpError::Malformed));
    assert_eq!(read_changed(|object| *object = vec![0xa2, 0, 3, 0x18, 99, 0]), Err(OpError::Version(3)));
    assert_eq!(SignedOp::read(&[]), Err(OpError::Malformed));
}

#[test]
fn no_op_beyond_the_first_stands_at_0_and_none_beyond_all_numbers() {
    let state = group(&[(&BOB, Role::Admin)]);
    for (seq, fits) in [(0, false), (1, true), (MAX_NUMBER, true), (MAX_NUMBER + 1, false)] {
        let mut op = state.forged(&BOB, rename("duty"));
        if let What::Next { seq: at, .. } = &mut op.what {
            *at = seq;
        }
        let signed =
            Signed::new(cbor::encode(&op), &BOB.keys.signing, crate::crypto::rsa::Context::Group, &mut rand::rng());
        assert_eq!(SignedOp::read(&cbor::encode(&signed)).is_ok(), fits, "{seq}");
    }
}

#[test]
fn a_head_that_no_account_log_has_makes_an_op_malformed() {
    assert_eq!(usize::try_from(MAX_GROUP_ACCOUNT_SEQ), Ok(MAX_LOG_ENTRIES - 1));
    let state = group(&[(&BOB, Role::Admin), (&CAROL, Role::Member)]);
    let at = |seq| Head { seq, ..DAVE.log.head() };
    let by = |seq| Op { by: Party { head: at(seq), ..BOB.party() }, ..state.forged(&BOB, refresh()) };
    let added = |seq| state.forged(&BOB, Add { head: at(seq), ..add(&DAVE, Role::Member) });
    let raised = |seq| {
        let user = CAROL.user();
        state.forged(&BOB, Action::Role(ChangeRole { user, role: Role::Admin, head: at(seq), wish: None }))
    };
    let first = |seq| {
        let new = NewMember { head: at(seq), ..DAVE.new_member(Role::Member) };
        let members = Ascending::new([new]).unwrap();
        Op { what: What::Create { create: Create { members, ..create(&[]) }, succeeds: None }, ..by(0) }
    };
    let of: [&dyn Fn(u64) -> Op; 4] = [&by, &added, &raised, &first];
    for (n, op) in of.into_iter().enumerate() {
        assert!(SignedOp::sign(&op(1_023), &BOB.keys.signing, &mut rand::rng()).is_ok(), "{n}");
        let signed = SignedOp::sign(&op(1_024), &BOB.keys.signing, &mut rand::rng());
        assert_eq!(signed, Err(OpError::Malformed), "{n}");
    }
}

#[test]
fn members_of_a_create_are_named_once_in_their_order() {
    let two = Vec::from([BOB.new_member(Role::Member), CAROL.new_member(Role::Member)]);
    let read = |members: &Vec<NewMember>| cbor::decode::<Ascending<NewMember, 127>>(&cbor::encode(members)).is_ok();
    assert!(read(&two));
    assert!(!read(&two.iter().rev().cloned().collect()) && !read(&vec![two[0].clone(); 2]));
}

#[test]
fn a_flipped_byte_never_counts() {
    let state = group(&[(&BOB, Role::Admin)]);
    let Proposal { op, .. } = state.propose(&BOB, add(&CAROL, Role::Member)).unwrap();
    for at in 0..op.bytes().len() {
        for flip in [0x01, 0x80] {
            let mut bytes = op.bytes().to_vec();
            bytes[at] ^= flip;
            let Ok(read) = SignedOp::read(&bytes) else { continue };
            let verdict = state.apply(&read, Some(&BOB.log));
            assert!(!matches!(verdict, Ok(Verdict::Applied(_))), "byte {at} may be {flip:#x} other");
            assert!(verdict.is_err() || read.head() != op.head(), "byte {at}: another op under the same head");
        }
    }
}

#[test]
fn the_signature_is_no_part_of_the_head() {
    let state = group(&[(&BOB, Role::Admin)]);
    let op = state.forged(&BOB, rename("duty"));
    let (one, other) = (sign(&op, &BOB), sign(&op, &BOB));
    assert_ne!(one.bytes(), other.bytes());
    assert_eq!(one.head(), other.head());
    assert_eq!(state.apply(&one, Some(&BOB.log)), state.apply(&other, Some(&BOB.log)));
}

/// A name as long as names are.
fn long(n: usize) -> Username {
    format!("{n:0150}").parse().unwrap()
}

#[test]
fn the_largest_group_fits_its_bounds() {
    let most = Head { seq: MAX_GROUP_ACCOUNT_SEQ, ..ALICE.log.head() };
    let Party { fingerprint, .. } = ALICE.party();
    let member = |n| NewMember { user: long(n), fingerprint, head: most, role: Role::Admin };
    let create = Create {
        name: GroupName::new(&"x".repeat(80)).unwrap(),
        about: GroupAbout::new(&"x".repeat(500)).unwrap(),
        settings: Settings {
            writers: Writers::Admins,
            ttl_s: Some(GroupTtl::new(31_536_000).unwrap()),
            history: true,
            wishes: true,
        },
        members: Ascending::new((0..127).map(member)).unwrap(),
    };
    let head = GroupHead { seq: MAX_NUMBER, hash: OpHash::new([1; 32]) };
    let succeeds = Some(GroupAt { group: GroupId::new([1; 32]), head });
    let Proposal { op, mut state } =
        Proposal::create(ALICE.author(), create, succeeds, token(0), &mut rand::rng()).unwrap();
    // alice's own name may be longer, and so may the signature of a larger key
    assert!(op.bytes().len() + 150 + 128 <= MAX_GROUP_OP_BYTES, "{}", op.bytes().len());
    for secret in 0..16 {
        let until = Timestamp::from_millis(MAX_NUMBER);
        let link = crate::group::Link { admin: long(1), until, ..link(secret, &ALICE, 1_000) };
        state = state.then(&ALICE, link);
    }
    let len = cbor::encode(state.body()).len();
    assert!(len + 150 + 128 * 2 * 8 <= MAX_GROUP_STATE_BYTES, "{len}");
    let op = state.propose(&ALICE, refresh()).unwrap().op;
    assert!(len + op.bytes().len() < crate::limits::MAX_TEXT_BYTES - 2 * 1024, "both fit a content");
}
