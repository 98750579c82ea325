//! Prekey bundles.

use std::collections::BTreeSet;

use chat_protocol::ids::{DeviceId, KeyHash};
use chat_server::store::{NewBundle, Publication, TakenBundle};

use super::{bytes, fresh, person};
use crate::support::Home;

fn bundle(device: DeviceId, seq: u64, keys: &[u64]) -> NewBundle {
    let one_time: Vec<_> = keys.iter().map(|key| (KeyHash::new(bytes(*key)), bytes(key + 1_000_000))).collect();
    let listed = one_time.iter().map(|(hash, _)| *hash).collect();
    NewBundle { device, seq, bundle: format!("bundle {seq}").into_bytes(), one_time, listed }
}

pub async fn bundle_sequence_only_rises(home: &Home) {
    let store = &home.store;
    let device = person(store, "rising").await.device;
    assert_eq!(store.take_bundle(device, true).await.unwrap(), None);
    assert_eq!(store.publish_bundle(bundle(device, 5, &[])).await.unwrap(), Publication::Published);
    assert_eq!(store.publish_bundle(bundle(device, 5, &[])).await.unwrap(), Publication::Published, "the same bytes");
    let other = NewBundle { bundle: b"other".to_vec(), ..bundle(device, 5, &[]) };
    assert_eq!(store.publish_bundle(other).await.unwrap(), Publication::Stale(5));
    assert_eq!(store.publish_bundle(bundle(device, 4, &[])).await.unwrap(), Publication::Stale(5));
    assert_eq!(store.publish_bundle(bundle(device, 6, &[])).await.unwrap(), Publication::Published);
    let taken = store.take_bundle(device, true).await.unwrap();
    assert_eq!(taken, Some(TakenBundle { bundle: b"bundle 6".to_vec(), one_time: None }));
    let nobody = DeviceId::new(bytes(fresh()));
    assert_eq!(store.publish_bundle(bundle(nobody, 1, &[])).await.unwrap(), Publication::Missing);
}

pub async fn one_time_key_is_handed_out_once(home: &Home) {
    let store = &home.store;
    let device = person(store, "once").await.device;
    let new = bundle(device, 1, &[1, 2, 3]);
    store.publish_bundle(new.clone()).await.unwrap();
    let first = store.take_bundle(device, true).await.unwrap().unwrap().one_time.unwrap();
    // the publication is repeated because its answer was lost: the key that was taken stays taken
    store.publish_bundle(new.clone()).await.unwrap();
    let mut seen = BTreeSet::from([first]);
    while let Some(key) = store.take_bundle(device, true).await.unwrap().unwrap().one_time {
        assert!(seen.insert(key), "handed out twice");
    }
    assert_eq!(seen, new.one_time.iter().map(|(_, key)| *key).collect());
    let left = store.one_time_left(device).await.unwrap();
    assert_eq!((left.hashes.len(), left.bundle_seq), (0, 1));
}

pub async fn keys_a_bundle_does_not_list_are_dropped(home: &Home) {
    let store = &home.store;
    let device = person(store, "listed").await.device;
    store.publish_bundle(bundle(device, 1, &[1, 2])).await.unwrap();
    let mut next = bundle(device, 2, &[3]);
    next.listed.push(KeyHash::new(bytes(2)));
    next.one_time.push((KeyHash::new(bytes(4)), bytes(4)));
    store.publish_bundle(next).await.unwrap();
    let left = store.one_time_left(device).await.unwrap();
    assert_eq!(left.hashes, [KeyHash::new(bytes(2)), KeyHash::new(bytes(3))]);
    assert_eq!(left.bundle_seq, 2);
}

pub async fn bundle_without_a_key_uses_none_up(home: &Home) {
    let store = &home.store;
    let device = person(store, "frugal").await.device;
    store.publish_bundle(bundle(device, 1, &[1, 2])).await.unwrap();
    let taken = store.take_bundle(device, false).await.unwrap();
    assert_eq!(taken, Some(TakenBundle { bundle: b"bundle 1".to_vec(), one_time: None }));
    assert_eq!(store.one_time_left(device).await.unwrap().hashes.len(), 2);
    assert!(store.take_bundle(device, true).await.unwrap().unwrap().one_time.is_some());
    let nobody = DeviceId::new(bytes(fresh()));
    assert_eq!(store.take_bundle(nobody, false).await.unwrap(), None);
}

pub async fn racing_requesters_get_different_keys(home: &Home) {
    let store = &home.store;
    let device = person(store, "raced").await.device;
    store.publish_bundle(bundle(device, 1, &(0..20).collect::<Vec<_>>())).await.unwrap();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.take_bundle(device, true).await.unwrap().unwrap().one_time })
        })
        .collect();
    let mut keys = BTreeSet::new();
    for task in tasks {
        assert!(keys.insert(task.await.unwrap().unwrap()));
    }
    assert_eq!(keys.len(), 20);
}
