use std::time::Duration;

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::crypto::secret::SecretBytes;
use chat_protocol::limits::{MAX_RECORD_BYTES, MAX_RECORD_BYTES_GUEST, REKEY_AFTER, REKEY_RECORDS};
use chat_protocol::record::{Opener, Record, RecordError, Sealer, max_body};
use chat_protocol::time::Timestamp;
use proptest::prelude::*;

use super::connection::*;

fn pair() -> (Sealer, Opener) {
    let key = SecretBytes::new([7; 32]);
    (Sealer::new(&key, NOW), Opener::new(&key, MAX_RECORD_BYTES, NOW))
}

fn seal(sealer: &mut Sealer, record: &Record, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal(record, now, &mut out);
    out
}

fn drain(opener: &mut Opener, now: Timestamp) -> Vec<Record> {
    std::iter::from_fn(|| opener.next(now).unwrap()).collect()
}

#[test]
fn records_arrive_as_sent_however_the_stream_is_cut() {
    let sent = [data("one"), Record::Ping, data(""), Record::Pong, data("two"), Record::Close];
    let (mut sealer, _) = pair();
    let stream: Vec<u8> = sent.iter().flat_map(|record| seal(&mut sealer, record, NOW)).collect();
    for cut in 0..=stream.len() {
        let (_, mut opener) = pair();
        let mut got = Vec::new();
        for part in [&stream[..cut], &stream[cut..]] {
            opener.feed(part);
            got.extend(drain(&mut opener, NOW));
        }
        assert_eq!(got, sent, "cut at {cut}");
        assert_eq!(opener.end(), Ok(()));
    }
}

#[test]
fn the_largest_body_fits_and_one_byte_more_does_not() {
    for limit in [MAX_RECORD_BYTES_GUEST, MAX_RECORD_BYTES] {
        let (mut sealer, mut opener) = pair();
        opener.set_limit(limit);
        let body = Record::Data(vec![1; max_body(limit)]);
        opener.feed(&seal(&mut sealer, &body, NOW));
        assert_eq!(opener.next(NOW), Ok(Some(body)));
    }
    let (mut sealer, mut opener) = pair();
    opener.set_limit(MAX_RECORD_BYTES_GUEST);
    opener.feed(&seal(&mut sealer, &Record::Data(vec![1; max_body(MAX_RECORD_BYTES_GUEST) + 1]), NOW));
    assert!(matches!(opener.next(NOW), Err(RecordError::Length(_))));
}

#[test]
fn a_raised_limit_counts_from_the_next_record() {
    let (mut sealer, mut opener) = pair();
    opener.set_limit(MAX_RECORD_BYTES_GUEST);
    let large = Record::Data(vec![1; 20_000]);
    opener.feed(&[seal(&mut sealer, &data("login"), NOW), seal(&mut sealer, &large, NOW)].concat());
    assert_eq!(opener.next(NOW), Ok(Some(data("login"))));
    opener.set_limit(MAX_RECORD_BYTES);
    assert_eq!(opener.next(NOW), Ok(Some(large)));
}

#[test]
fn keys_change_with_time_and_nobody_notices() {
    let (mut sealer, mut opener) = pair();
    let later = NOW + REKEY_AFTER;
    let before = seal(&mut sealer, &Record::Ping, NOW);
    let after = seal(&mut sealer, &Record::Ping, later);
    assert_eq!(after.len(), 2 * before.len(), "a key change goes first");
    opener.feed(&[before, after].concat());
    assert_eq!(drain(&mut opener, later), [Record::Ping, Record::Ping]);
    assert_eq!(seal(&mut sealer, &Record::Ping, later).len(), 104, "not again");
}

#[test]
fn keys_change_with_the_count_and_nobody_notices() {
    let (mut sealer, mut opener) = pair();
    for _ in 0..REKEY_RECORDS {
        opener.feed(&seal(&mut sealer, &Record::Ping, NOW));
        assert_eq!(opener.next(NOW), Ok(Some(Record::Ping)));
    }
    let change = seal(&mut sealer, &Record::Pong, NOW);
    assert_eq!(change.len(), 2 * 104);
    opener.feed(&change);
    assert_eq!(opener.next(NOW), Ok(Some(Record::Pong)));
}

#[test]
fn optional_records_are_passed_over_and_count() {
    let key = FernetKey::from_bytes([7; 32]);
    let (mut sealer, mut opener) = pair();
    for (sequence, kind) in [(0, 128), (1, 255)] {
        opener.feed(&forge(&key, sequence, kind, b"of a later version"));
    }
    assert_eq!(opener.next(NOW), Ok(None));
    opener.feed(&seal(&mut sealer, &Record::Ping, NOW));
    assert_eq!(opener.next(NOW), Err(RecordError::Sequence), "the next one is number 2");
    let (_, mut opener) = pair();
    for sequence in 0..2 * REKEY_RECORDS {
        opener.feed(&forge(&key, sequence, 128, b""));
        assert_eq!(opener.next(NOW), Ok(None));
    }
    opener.feed(&forge(&key, 2 * REKEY_RECORDS, 128, b""));
    assert_eq!(opener.next(NOW), Err(RecordError::Overdue), "they wear a key like any other");
}

#[test]
fn a_clock_set_back_neither_closes_nor_stops_key_changes() {
    let (mut sealer, mut opener) = pair();
    let past = NOW - Duration::from_secs(86_400);
    opener.feed(&seal(&mut sealer, &Record::Ping, past));
    assert_eq!(drain(&mut opener, past), [Record::Ping]);
    let change = seal(&mut sealer, &Record::Ping, past + REKEY_AFTER);
    assert_eq!(change.len(), 2 * 104);
    opener.feed(&change);
    assert_eq!(drain(&mut opener, past + REKEY_AFTER), [Record::Ping]);
}

#[test]
fn a_failed_direction_stays_failed_and_holds_nothing() {
    let (mut sealer, mut opener) = pair();
    opener.feed(&[0; 4]);
    assert_eq!(opener.next(NOW), Err(RecordError::Length(0)));
    opener.feed(&seal(&mut sealer, &Record::Ping, NOW));
    assert_eq!(opener.next(NOW), Err(RecordError::Length(0)));
    assert_eq!(opener.end(), Err(RecordError::Length(0)));
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Record::Data),
        Just(Record::Ping),
        Just(Record::Pong),
    ]
}

proptest! {
    #[test]
    fn any_records_in_any_pieces_read_back(
        sent in proptest::collection::vec(any_record(), 0..12),
        piece in 1usize..400,
    ) {
        let (mut sealer, mut opener) = pair();
        let stream: Vec<u8> = sent.iter().flat_map(|record| seal(&mut sealer, record, NOW)).collect();
        let mut got = Vec::new();
        for part in stream.chunks(piece) {
            opener.feed(part);
            got.extend(drain(&mut opener, NOW));
        }
        prop_assert_eq!(got, sent);
        prop_assert_eq!(opener.end(), Err(RecordError::Truncated));
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 4..400)) {
        let (_, mut opener) = pair();
        opener.feed(&bytes);
        prop_assert_ne!(opener.next(NOW).unwrap_or(None), Some(Record::Close));
    }
}
