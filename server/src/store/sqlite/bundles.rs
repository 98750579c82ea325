//! Prekey bundles and one-time keys.

use chat_protocol::ids::{DeviceId, KeyHash};
use chat_protocol::message::server::OneTimeLeft;
use rusqlite::Connection;

use super::super::types::{NewBundle, Publication, TakenBundle};
use super::row::{Sql, id, int, many, one, run, uint};

pub(super) fn publish(db: &Connection, new: &NewBundle) -> Sql<Publication> {
    let active = "SELECT 1 FROM device WHERE device = ?1 AND state = 1";
    if !db.prepare_cached(active)?.exists([new.device.as_bytes()])? {
        return Ok(Publication::Missing);
    }
    let last = "SELECT seq, bundle = ?2 FROM bundle WHERE device = ?1";
    match one(db, last, (new.device.as_bytes(), &new.bundle), |row| Ok((uint(row, 0)?, row.get::<_, bool>(1)?)))? {
        Some((seq, true)) if seq == new.seq => return Ok(Publication::Published),
        Some((seq, _)) if seq >= new.seq => return Ok(Publication::Stale(seq)),
        _ => {}
    }
    let sql = "INSERT OR REPLACE INTO bundle (device, seq, bundle) VALUES (?1, ?2, ?3)";
    run(db, sql, (new.device.as_bytes(), int(new.seq), &new.bundle))?;
    replace_one_time(db, new)?;
    Ok(Publication::Published)
}

/// Keys the bundle does not list could not be used with it.
fn replace_one_time(db: &Connection, new: &NewBundle) -> Sql<()> {
    for hash in hashes(db, new.device)?.iter().filter(|hash| !new.listed.contains(hash)) {
        let sql = "DELETE FROM one_time_key WHERE device = ?1 AND hash = ?2";
        run(db, sql, (new.device.as_bytes(), hash.as_bytes()))?;
    }
    for (hash, key) in new.one_time.iter().filter(|(hash, _)| new.listed.contains(hash)) {
        let sql = "INSERT OR IGNORE INTO one_time_key (device, hash, key) VALUES (?1, ?2, ?3)";
        run(db, sql, (new.device.as_bytes(), hash.as_bytes(), key))?;
    }
    Ok(())
}

pub(super) fn take(db: &Connection, device: DeviceId, with_key: bool) -> Sql<Option<TakenBundle>> {
    let sql = "SELECT b.bundle FROM bundle b JOIN device d ON d.device = b.device WHERE b.device = ?1 AND d.state = 1";
    let Some(bundle) = one(db, sql, [device.as_bytes()], |row| row.get(0))? else { return Ok(None) };
    let first = "DELETE FROM one_time_key WHERE device = ?1 AND hash = \
                 (SELECT hash FROM one_time_key WHERE device = ?1 ORDER BY hash LIMIT 1) RETURNING key";
    let one_time = if with_key { many(db, first, [device.as_bytes()], |row| id(row, 0))?.pop() } else { None };
    Ok(Some(TakenBundle { bundle, one_time }))
}

pub(super) fn one_time_left(db: &Connection, device: DeviceId) -> Sql<OneTimeLeft> {
    let seq = one(db, "SELECT seq FROM bundle WHERE device = ?1", [device.as_bytes()], |row| uint(row, 0))?;
    Ok(OneTimeLeft { hashes: hashes(db, device)?, bundle_seq: seq.unwrap_or(0) })
}

fn hashes(db: &Connection, device: DeviceId) -> Sql<Vec<KeyHash>> {
    let sql = "SELECT hash FROM one_time_key WHERE device = ?1 ORDER BY hash";
    many(db, sql, [device.as_bytes()], |row| id(row, 0))
}
