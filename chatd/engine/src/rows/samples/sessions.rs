//! Sessions, and what others begin them with.

use super::*;

samples! {
    Stored: Stored { session: session(), user: user("bob"), device: device(0xd1), init: Some(blob(0x1a)) };
    Standings: standings();
    Failures: failures();
    Unconfirmed: Unconfirmed {
        user: user("bob"), device: device(0xd1), session: session_id(0x51), expires: at(31), accepted: Some(at(32)),
        times: 33, ran_out: true,
    };
    MessageKey: cbor::decode_own(&cbor::encode(&secret(0x3e))).unwrap();
    CurrentBundle: CurrentBundle {
        seq: 41, bundle: blob(0xbb), one_time: vec![blob(0x01), blob(0x02)], published: true, prekey: 42, drawn: at(43),
        created: Some(at(44)),
    };
    SignedPrekey: SignedPrekey { id: 45, secret: SecretKey::from_bytes([0x71; 32]) };
    KemPrekey: KemPrekey { id: 46, secret: DecapsulationKey::from_seed([0x72; 64]) };
    OneTimePrekey: OneTimePrekey { secret: SecretKey::from_bytes([0x73; 32]) };
}

fn standings() -> Standings {
    let stages = [Stage::New, Stage::Confirmed, Stage::Yielded, Stage::Retired];
    let standing = |stage| Standing {
        id: session_id(0x51),
        ours: true,
        stage,
        begun: at(51),
        last_opened: 52,
        messages: 53,
        unanswered: 54,
        unanswered_since: Some(at(55)),
        rival: Some(session_id(0x52)),
    };
    cbor::decode_own(&cbor::encode(&stages.map(standing).to_vec())).unwrap()
}

fn failures() -> Failures {
    let mut failures = Failures::default();
    assert!(failures.reset(at(56)), "the first one may");
    assert!(!failures.record(at(57)), "one is not enough");
    failures
}

/// A session as it was written by hand.
fn session() -> Session {
    let parties = Parties {
        initiator: fingerprint(0xf3),
        initiator_device: device(0xd4),
        responder: fingerprint(0xf4),
        responder_device: device(0xd5),
    };
    let chain = |e: &mut minicbor::Encoder<&mut Vec<u8>>, key: u8, n: u32| {
        e.map(2).and_then(|e| e.u8(0)?.bytes(&[key; 32])?.u8(1)?.u32(n)).map(drop).unwrap();
    };
    let mut bytes = Vec::new();
    let mut e = minicbor::Encoder::new(&mut bytes);
    e.map(10).unwrap().u8(0).unwrap().encode(session_id(0x53)).unwrap();
    e.u8(1).unwrap().encode(parties).unwrap();
    e.u8(2).unwrap().bytes(&[0x81; 32]).unwrap();
    e.u8(3).unwrap().bytes(&[0x82; 32]).unwrap();
    e.u8(4).unwrap().bytes(&[0x83; 32]).unwrap();
    e.u8(5).unwrap();
    chain(&mut e, 0x84, 61);
    e.u8(6).unwrap();
    chain(&mut e, 0x85, 62);
    e.u8(7).unwrap().u32(63).unwrap();
    e.u8(8).unwrap().u64(64).unwrap();
    e.u8(9).unwrap().array(2).unwrap().u64(65).unwrap().u64(66).unwrap();
    cbor::decode_own(&bytes).unwrap()
}

#[test]
fn a_session_is_read_into_the_fields_it_was_written_from() {
    let mut session = session();
    assert_eq!((session.id(), session.parties().initiator), (session_id(0x53), fingerprint(0xf3)));
    let sealed = session.seal(b"hi").unwrap();
    let header = Header::read(&sealed.header).unwrap();
    let own = SecretKey::from_bytes([0x82; 32]).public_key();
    assert_eq!(header.skipped_id(), [own.as_bytes().as_slice(), &61_u32.to_be_bytes()].concat());
    assert_eq!(sealed.header[32..36], 63_u32.to_be_bytes(), "length of the chain before");
    assert_ne!(PublicKey::new([0x83; 32]), own);
}
