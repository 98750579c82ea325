//! Prekey bundles and one-time keys. The device's row is the lock of both.

use chat_protocol::ids::{DeviceId, KeyHash};
use chat_protocol::message::server::OneTimeLeft;
use mysql_async::prelude::Queryable;

use super::super::types::{NewBundle, Publication, TakenBundle};
use super::devices;
use super::row::{Sql, blob, id, int, many, one, run, uint};

pub(super) async fn publish<C: Queryable>(db: &mut C, new: &NewBundle) -> Sql<Publication> {
    if devices::lock_active(db, new.device).await?.is_none() {
        return Ok(Publication::Missing);
    }
    let device = &new.device.as_bytes()[..];
    let last = "SELECT seq, bundle FROM bundle WHERE device = ?";
    match one(db, last, (device,), |row| Ok((uint(row, 0)?, blob(row, 1)?))).await? {
        Some((seq, bundle)) if seq == new.seq && bundle == new.bundle => return Ok(Publication::Published),
        Some((seq, _)) if seq >= new.seq => return Ok(Publication::Stale(seq)),
        _ => {}
    }
    run(db, "REPLACE INTO bundle (device, seq, bundle) VALUES (?, ?, ?)", (device, int(new.seq), &new.bundle)).await?;
    replace_one_time(db, new).await?;
    Ok(Publication::Published)
}

/// Keys the bundle does not list could not be used with it.
async fn replace_one_time<C: Queryable>(db: &mut C, new: &NewBundle) -> Sql<()> {
    let device = &new.device.as_bytes()[..];
    for hash in hashes(db, new.device).await?.iter().filter(|hash| !new.listed.contains(hash)) {
        let sql = "DELETE FROM one_time_key WHERE device = ? AND hash = ?";
        run(db, sql, (device, &hash.as_bytes()[..])).await?;
    }
    for (hash, key) in new.one_time.iter().filter(|(hash, _)| new.listed.contains(hash)) {
        let sql = "INSERT IGNORE INTO one_time_key (device, hash, public_key) VALUES (?, ?, ?)";
        run(db, sql, (device, &hash.as_bytes()[..], &key[..])).await?;
    }
    Ok(())
}

pub(super) async fn take<C: Queryable>(db: &mut C, device: DeviceId, with_key: bool) -> Sql<Option<TakenBundle>> {
    if devices::lock_active(db, device).await?.is_none() {
        return Ok(None);
    }
    let bytes = &device.as_bytes()[..];
    let bundle = one(db, "SELECT bundle FROM bundle WHERE device = ?", (bytes,), |row| blob(row, 0)).await?;
    let Some(bundle) = bundle else { return Ok(None) };
    if !with_key {
        return Ok(Some(TakenBundle { bundle, one_time: None }));
    }
    let first = "SELECT hash, public_key FROM one_time_key WHERE device = ? ORDER BY hash LIMIT 1";
    let first = one(db, first, (bytes,), |row| Ok((blob(row, 0)?, id(row, 1)?))).await?;
    if let Some((hash, _)) = &first {
        run(db, "DELETE FROM one_time_key WHERE device = ? AND hash = ?", (bytes, hash)).await?;
    }
    Ok(Some(TakenBundle { bundle, one_time: first.map(|(_, key)| key) }))
}

pub(super) async fn one_time_left<C: Queryable>(db: &mut C, device: DeviceId) -> Sql<OneTimeLeft> {
    let bytes = &device.as_bytes()[..];
    let seq = one(db, "SELECT seq FROM bundle WHERE device = ?", (bytes,), |row| uint(row, 0)).await?;
    Ok(OneTimeLeft { hashes: hashes(db, device).await?, bundle_seq: seq.unwrap_or(0) })
}

async fn hashes<C: Queryable>(db: &mut C, device: DeviceId) -> Sql<Vec<KeyHash>> {
    let sql = "SELECT hash FROM one_time_key WHERE device = ? ORDER BY hash";
    many(db, sql, (&device.as_bytes()[..],), |row| id(row, 0)).await
}
