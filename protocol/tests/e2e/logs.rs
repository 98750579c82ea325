//! Account logs, whoever grows them and whoever shows them: two honest views are one log, or somebody is told.

use std::sync::LazyLock;

use chat_protocol::fixtures::{DISTINCT_DEVICES, device_keys};
use chat_protocol::identity::account_log::{AccountLog, Author, LogError, Relation};
use chat_protocol::identity::device::{DeviceCert, DeviceKeys};
use chat_protocol::ids::Username;
use chat_protocol::time::Timestamp;
use proptest::prelude::*;

static DEVICES: LazyLock<Vec<(DeviceKeys, DeviceCert)>> = LazyLock::new(|| {
    let certified = |n| {
        let keys = device_keys(n);
        let cert = keys.certify(&name(), Timestamp::from_millis(1)).unwrap();
        (keys, cert)
    };
    (0..DISTINCT_DEVICES).map(certified).collect()
});

fn name() -> Username {
    "alice".parse().unwrap()
}

/// One entry more: whether it adds, who signs it, whom it revokes.
type Step = (bool, usize, usize);

fn author(cert: &DeviceCert, at: u64) -> Author<'_> {
    let (keys, _) = DEVICES.iter().find(|(_, known)| known.id() == cert.id()).unwrap();
    Author { key: &keys.signing, cert, at: Timestamp::from_millis(at) }
}

fn genesis() -> AccountLog {
    AccountLog::genesis(author(&DEVICES[0].1, 0), None, &mut rand::rng()).unwrap()
}

/// Lets a log grow; `branch` tells entries apart that would be the same otherwise.
fn grow(mut log: AccountLog, steps: &[Step], branch: u64) -> AccountLog {
    for (add, by, whom) in steps {
        let active: Vec<DeviceCert> = log.active_devices().cloned().collect();
        let author = author(&active[by % active.len()], branch);
        let new = DEVICES.iter().find(|(_, cert)| log.device(&cert.id()).is_none()).filter(|_| *add);
        let entry = match new {
            Some((keys, cert)) => {
                let acceptance = keys.accept(&log.fingerprint(), cert, &mut rand::rng());
                log.add_device(author, cert, acceptance, &mut rand::rng())
            }
            None if active.len() > 1 => {
                log.revoke_devices(author, vec![active[whom % active.len()].id()], &mut rand::rng())
            }
            None => continue,
        };
        log.extend(&[entry.unwrap()]).unwrap();
    }
    log
}

fn entries(log: &AccountLog, from: u64) -> Vec<Vec<u8>> {
    log.entries_from(from).map(<[u8]>::to_vec).collect()
}

/// What somebody knows who was shown the first entries.
fn view(log: &AccountLog, len: usize) -> AccountLog {
    let len = len % entries(log, 0).len() + 1;
    AccountLog::verify(&name(), &entries(log, 0)[..len]).unwrap()
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((any::<bool>(), 0..8_usize, 0..8_usize), 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn two_views_of_one_log_are_a_beginning_of_one_another(trunk in steps(8), one: usize, other: usize) {
        let log = grow(genesis(), &trunk, 0);
        let (mut short, long) = (view(&log, one), view(&log, other));
        let (short_seq, long_seq) = (short.head().seq, long.head().seq);
        match short.relation(&long) {
            Relation::Same => prop_assert_eq!(short_seq, long_seq),
            Relation::Ahead => prop_assert!(short_seq < long_seq && long.contains(short.head())),
            Relation::Behind => prop_assert!(short_seq > long_seq && short.contains(long.head())),
            other => prop_assert!(false, "{other:?}"),
        }
        // what either has is told in pieces or as a whole, and both end with the longer one
        let told = short.spliced(&entries(&long, 0)).unwrap();
        prop_assert_eq!(&told, &long);
        short.extend(&entries(&long, 0)).unwrap();
        prop_assert_eq!(short.head().seq, short_seq.max(long_seq));
    }

    #[test]
    fn two_branches_of_one_log_are_an_alarm_for_whoever_knows_one(
        trunk in steps(5), mine in steps(4), theirs in steps(4)
    ) {
        let log = grow(genesis(), &trunk, 0);
        let (mine, theirs) = (grow(log.clone(), &mine, 1), grow(log.clone(), &theirs, 2));
        let part = log.head().seq;
        prop_assume!(mine.head().seq > part && theirs.head().seq > part);
        for (pinned, other) in [(&mine, &theirs), (&theirs, &mine)] {
            let Relation::Forked(fork) = pinned.relation(other) else {
                return Err(TestCaseError::fail("two histories, and no alarm"));
            };
            prop_assert_eq!(fork.seq, part + 1);
            let signer = pinned.device(&fork.by).unwrap();
            prop_assert_eq!(fork.by_revoked, signer.revoked.is_some());
            let mut kept = pinned.clone();
            prop_assert!(matches!(kept.extend(&entries(other, part + 1)), Err(LogError::Fork(_))));
            prop_assert_eq!(&kept, pinned, "the pinned branch stays");
            prop_assert_eq!(&pinned.spliced(&entries(other, part + 1)).unwrap(), other);
            let nothing: [Vec<u8>; 0] = [];
            let gap = matches!(pinned.spliced(&nothing), Err(LogError::Gap { .. }));
            prop_assert!(gap, "nothing is no log");
        }
    }
}
