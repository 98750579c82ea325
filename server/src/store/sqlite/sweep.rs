//! Deletes what has outlived its time.

use chat_protocol::ids::DeviceId;
use chat_protocol::time::Timestamp;
use rusqlite::Connection;

use super::super::{Retention, Swept};
use super::mailbox;
use super::row::{Sql, id, many, millis, run, uint};

pub(super) fn sweep(db: &Connection, now: Timestamp, retention: &Retention) -> Sql<Swept> {
    let delete = |sql, before: Timestamp| run(db, sql, [millis(before)]).map(|rows| rows as u64);
    Ok(Swept {
        mail: mail(db, now - retention.mailbox)?,
        posts: delete("DELETE FROM room_post WHERE at_ms < ?1", now - retention.room)?,
        submits: delete("DELETE FROM submitted WHERE at_ms < ?1", now - retention.submits)?,
        devices: delete("DELETE FROM device WHERE state = 0 AND since_ms < ?1", now - retention.waiting)?,
        invites: delete("DELETE FROM invite WHERE expires_ms <= ?1", now)?,
    })
}

/// A mailbox's sequence is its order of arrival: everything up to the newest outdated message is as old.
fn mail(db: &Connection, before: Timestamp) -> Sql<u64> {
    let old = "SELECT device, MAX(seq) FROM mail WHERE at_ms < ?1 GROUP BY device";
    let old = many(db, old, [millis(before)], |row| Ok((id::<DeviceId>(row, 0)?, uint(row, 1)?)))?;
    old.into_iter().map(|(device, seq)| mailbox::forget(db, device, seq)).sum()
}
