//! Deletes what has outlived its time, in steps small enough that nobody waits for their locks.

use std::collections::BTreeMap;

use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::time::Timestamp;
use mysql_async::prelude::Queryable;

use super::devices;
use super::mailbox;
use super::row::{Sql, id, int, many, millis, one, run, uint, uint_or_zero};

/// Rows deleted in one transaction.
pub(super) const STEP: u64 = 1_000;

/// Devices whose mailbox holds something older, and up to which sequence. A mailbox's sequence is
/// its order of arrival: everything up to the newest outdated message is as old.
pub(super) async fn old_mail<C: Queryable>(db: &mut C, before: Timestamp) -> Sql<Vec<(DeviceId, u64)>> {
    let sql = "SELECT device, MAX(seq) FROM mail WHERE at_ms < ? GROUP BY device";
    many(db, sql, (millis(before),), |row| Ok((id(row, 0)?, uint(row, 1)?))).await
}

/// Forgets the oldest messages of one mailbox up to `seq`, at most a step of them.
pub(super) async fn forget<C: Queryable>(db: &mut C, device: DeviceId, seq: u64) -> Sql<u64> {
    devices::lock(db, vec![device]).await?;
    let sql = "SELECT seq FROM mail WHERE device = ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET ?";
    let last = one(db, sql, (&device.as_bytes()[..], int(seq), int(STEP - 1)), |row| uint(row, 0)).await?;
    mailbox::forget(db, device, last.unwrap_or(seq), 0).await
}

/// The last post of the room that was kept before a time; 0 if there is none.
pub(super) async fn newest_post<C: Queryable>(db: &mut C, before: Timestamp) -> Sql<u64> {
    let sql = "SELECT MAX(seq) FROM room_post_age WHERE kept_ms < ?";
    Ok(one(db, sql, (millis(before),), |row| uint_or_zero(row, 0)).await?.unwrap_or(0))
}

/// Forgets the oldest submits, at most a step of them. How far their devices had come is noted where it stays.
pub(super) async fn forget_submits<C: Queryable>(db: &mut C, before: Timestamp) -> Sql<u64> {
    let oldest = format!("FROM submitted WHERE at_ms < ? ORDER BY at_ms, sender, submit_id LIMIT {STEP}");
    let sql = format!("SELECT sender, submit_id {oldest} FOR UPDATE");
    let mut come = BTreeMap::<DeviceId, u64>::new();
    for (sender, submit) in many(db, sql, (millis(before),), |row| Ok((id(row, 0)?, id(row, 1)?))).await? {
        let counter = come.entry(sender).or_default();
        *counter = SubmitId::from_bytes(submit).counter().max(*counter);
    }
    for (sender, counter) in come {
        let sql = "UPDATE device SET submit_counter = GREATEST(submit_counter, ?) WHERE device = ?";
        run(db, sql, (int(counter), &sender.as_bytes()[..])).await?;
    }
    run(db, format!("DELETE {oldest}"), (millis(before),)).await
}

/// One step over a table whose rows end by themselves.
pub(super) async fn delete<C: Queryable>(db: &mut C, condition: &str, bound: i64) -> Sql<u64> {
    run(db, format!("DELETE FROM {condition} LIMIT {STEP}"), (bound,)).await
}
