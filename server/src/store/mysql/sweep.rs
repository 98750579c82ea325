//! Deletes what has outlived its time, in steps small enough that nobody waits for their locks.

use chat_protocol::ids::DeviceId;
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

/// Forgets the oldest submits, at most a step of them. How far their devices had come is noted where it stays, in one
/// statement: each device that is written is locked until the end.
pub(super) async fn forget_submits<C: Queryable>(db: &mut C, before: Timestamp) -> Sql<u64> {
    let oldest = format!("FROM submitted WHERE at_ms < ? ORDER BY at_ms, sender, submit_id LIMIT {STEP}");
    // so that another server, which sweeps too, does not delete them first, and these statements others than were noted
    run(db, format!("SELECT 1 {oldest} FOR UPDATE"), (millis(before),)).await?;
    let note = format!(
        "UPDATE device d JOIN (SELECT sender, MAX(submit_id) AS submit_id FROM (SELECT sender, submit_id {oldest}) old \
         GROUP BY sender) newest ON newest.sender = d.device SET d.submit_counter = GREATEST(d.submit_counter, \
         LEAST(CAST(CONV(HEX(SUBSTRING(newest.submit_id, 1, 8)), 16, 10) AS UNSIGNED), {}))",
        i64::MAX
    );
    run(db, note, (millis(before),)).await?;
    run(db, format!("DELETE {oldest}"), (millis(before),)).await
}

/// One step over a table whose rows end by themselves.
pub(super) async fn delete<C: Queryable>(db: &mut C, condition: &str, bound: i64) -> Sql<u64> {
    run(db, format!("DELETE FROM {condition} LIMIT {STEP}"), (bound,)).await
}
