//! Deletes what has outlived its time, in steps small enough that whoever waits for the writer hardly notices.

use std::collections::BTreeMap;

use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::time::Timestamp;
use rusqlite::Connection;

use super::super::contract::Result;
use super::super::types::{Retention, Swept};
use super::mailbox;
use super::readers::Readers;
use super::row::{Sql, id, int, many, millis, one, run, time, uint, uint_or_zero};
use super::writer::Writer;

/// Rows deleted in one job of the writer: some milliseconds.
const STEP: u64 = 1_000;

/// Rows that one read looks through: some milliseconds.
const LOOKED_THROUGH: u64 = 10_000;

const DEVICES: &str = "DELETE FROM device WHERE device IN \
                       (SELECT device FROM device WHERE state = 0 AND since_ms < ?1 LIMIT ?2)";
const INVITES: &str = "DELETE FROM invite WHERE hash IN (SELECT hash FROM invite WHERE expires_ms <= ?1 LIMIT ?2)";

pub(super) async fn sweep(
    readers: &Readers,
    writer: &Writer,
    (now, ended): (Timestamp, Timestamp),
    retention: Retention,
) -> Result<Swept> {
    let delete = async |sql, before: Timestamp| {
        in_steps(writer, move |db| run(db, sql, (millis(before), int(STEP))).map(|rows| rows as u64)).await
    };
    Ok(Swept {
        mail: sweep_mail(readers, writer, now - retention.mailbox).await?,
        posts: sweep_posts(readers, writer, now - retention.room).await?,
        submits: sweep_submits(readers, writer, now - retention.submits).await?,
        devices: delete(DEVICES, now - retention.waiting).await?,
        invites: delete(INVITES, ended).await?,
    })
}

/// What is old among the rows that one read looked through, and after which to go on.
type Found<T, K> = (Vec<T>, Option<K>);

/// Looks through the mailboxes, and forgets what is old in each. A mailbox's sequence is its order of arrival: its first
/// messages are the oldest.
async fn sweep_mail(readers: &Readers, writer: &Writer, before: Timestamp) -> Result<u64> {
    let (mut from, mut total) = (Some(DeviceId::new([0; DeviceId::LEN])), 0);
    while let Some(after) = from {
        let (old, next) = readers.read(move |db| old_mail(db, after, before)).await?;
        for (device, seq) in old {
            total += in_steps(writer, move |db| forget(db, device, seq)).await?;
        }
        from = next;
    }
    Ok(total)
}

/// Of the next mailboxes those whose first message is old, and up to which sequence all are; and where to go on. What is
/// young is not looked at.
fn old_mail(db: &Connection, after: DeviceId, before: Timestamp) -> Sql<Found<(DeviceId, u64), DeviceId>> {
    let sql = "SELECT b.device, b.last_seq, \
               (SELECT m.at_ms FROM mail m WHERE m.device = b.device ORDER BY m.seq LIMIT 1) \
               FROM mailbox b WHERE b.device > ?1 ORDER BY b.device LIMIT ?2";
    let mailboxes = many(db, sql, (after.as_bytes(), int(LOOKED_THROUGH)), |row| {
        Ok((id::<DeviceId>(row, 0)?, uint(row, 1)?, row.get::<_, Option<i64>>(2)?))
    })?;
    let next = mailboxes.last().filter(|_| mailboxes.len() as u64 == LOOKED_THROUGH).map(|(device, ..)| *device);
    let young = "SELECT seq FROM mail WHERE device = ?1 AND at_ms >= ?2 ORDER BY seq LIMIT 1";
    let mut old = Vec::new();
    for (device, last, oldest) in mailboxes {
        if oldest.is_some_and(|at| at < millis(before)) {
            let young = one(db, young, (device.as_bytes(), millis(before)), |row| uint(row, 0))?;
            old.push((device, young.map_or(last, |seq| seq.saturating_sub(1))));
        }
    }
    Ok((old, next))
}

/// Deletes the posts that were kept before a time, and what says when that was. Their sequence is the order of age.
async fn sweep_posts(readers: &Readers, writer: &Writer, before: Timestamp) -> Result<u64> {
    let mut total = 0;
    loop {
        let last = readers.read(move |db| newest_old_post(db, before)).await?;
        let posts = in_steps(writer, move |db| forget_posts(db, "room_post", last)).await?;
        in_steps(writer, move |db| forget_posts(db, "room_post_age", last)).await?;
        total += posts;
        if posts < LOOKED_THROUGH {
            return Ok(total);
        }
    }
}

/// The newest among the first posts that is too old; 0 if none is.
fn newest_old_post(db: &Connection, before: Timestamp) -> Sql<u64> {
    let sql = "SELECT MAX(seq) FROM (SELECT seq, kept_ms FROM room_post_age ORDER BY seq LIMIT ?2) WHERE kept_ms < ?1";
    let last = one(db, sql, (millis(before), int(LOOKED_THROUGH)), |row| uint_or_zero(row, 0))?;
    Ok(last.unwrap_or(0))
}

fn forget_posts(db: &Connection, table: &str, last: u64) -> Sql<u64> {
    let sql =
        format!("DELETE FROM {table} WHERE seq IN (SELECT seq FROM {table} WHERE seq <= ?1 ORDER BY seq LIMIT ?2)");
    run(db, &sql, (int(last), int(STEP))).map(|rows| rows as u64)
}

/// A submit that is remembered, as its row is found.
type SubmitKey = (DeviceId, SubmitId);

/// Looks through all that is remembered of submits: an index of them by age would have to be written with each.
async fn sweep_submits(readers: &Readers, writer: &Writer, before: Timestamp) -> Result<u64> {
    let (mut from, mut total) = (Some((DeviceId::new([0; DeviceId::LEN]), SubmitId::from_bytes([0; 16]))), 0);
    while let Some(after) = from {
        let (old, next) = readers.read(move |db| old_submits(db, after, before)).await?;
        for step in old.chunks(usize::try_from(STEP).unwrap_or(usize::MAX)) {
            let step = step.to_vec();
            total += writer.write(move |db| forget_submits(db, &step)).await?;
        }
        from = next;
    }
    Ok(total)
}

/// The old ones among the next, and where to go on.
fn old_submits(db: &Connection, (sender, submit_id): SubmitKey, before: Timestamp) -> Sql<Found<SubmitKey, SubmitKey>> {
    let sql = "SELECT sender, submit_id, at_ms FROM submitted WHERE (sender, submit_id) > (?1, ?2) \
               ORDER BY sender, submit_id LIMIT ?3";
    let bounds = (sender.as_bytes(), submit_id.as_bytes(), int(LOOKED_THROUGH));
    let rows = many(db, sql, bounds, |row| Ok(((id(row, 0)?, SubmitId::from_bytes(id(row, 1)?)), time(row, 2)?)))?;
    let whole = rows.len() as u64 == LOOKED_THROUGH;
    let next = rows.last().filter(|_| whole).map(|(key, _)| *key);
    Ok((rows.into_iter().filter(|(_, at)| *at < before).map(|(key, _)| key).collect(), next))
}

/// Repeats a step, each in its turn among the writer's other jobs, until it finds less than it could take.
async fn in_steps(writer: &Writer, step: impl Fn(&Connection) -> Sql<u64> + Copy + Send + 'static) -> Result<u64> {
    let mut total = 0;
    loop {
        let deleted = writer.write(step).await?;
        total += deleted;
        if deleted < STEP {
            return Ok(total);
        }
    }
}

/// Forgets submits, in the order of their devices and numbers. How far those had come is noted where it stays.
fn forget_submits(db: &Connection, submits: &[SubmitKey]) -> Sql<u64> {
    for (sender, submit_id) in submits {
        let sql = "DELETE FROM submitted WHERE sender = ?1 AND submit_id = ?2";
        run(db, sql, (sender.as_bytes(), submit_id.as_bytes()))?;
    }
    let newest: BTreeMap<_, _> = submits.iter().copied().collect();
    for (sender, submit_id) in newest {
        let sql = "UPDATE device SET submit_counter = MAX(submit_counter, ?2) WHERE device = ?1";
        run(db, sql, (sender.as_bytes(), int(submit_id.counter())))?;
    }
    Ok(submits.len() as u64)
}

/// Forgets the oldest messages of one mailbox up to `seq`, at most a step of them.
fn forget(db: &Connection, device: DeviceId, seq: u64) -> Sql<u64> {
    let sql = "SELECT seq FROM mail WHERE device = ?1 AND seq <= ?2 ORDER BY seq LIMIT 1 OFFSET ?3";
    let last = one(db, sql, (device.as_bytes(), int(seq), int(STEP - 1)), |row| uint(row, 0))?;
    mailbox::forget(db, device, last.unwrap_or(seq), 0)
}
