//! Mailboxes: reading them and forgetting what was acknowledged.

use bytes::Bytes;
use chat_protocol::ids::DeviceId;
use rusqlite::Connection;

use super::super::types::{Mail, MailboxState};
use super::row::{Sql, id, int, many, one, run, uint, user};
use crate::rules::{Ack, judge_ack};

pub(super) fn state(db: &Connection, device: DeviceId) -> Sql<MailboxState> {
    let sql = "SELECT acked_seq, last_seq, messages, bytes FROM mailbox WHERE device = ?1";
    let found = one(db, sql, [device.as_bytes()], |row| {
        Ok(MailboxState { acked: uint(row, 0)?, last: uint(row, 1)?, messages: uint(row, 2)?, bytes: uint(row, 3)? })
    })?;
    Ok(found.unwrap_or_default())
}

pub(super) fn after(db: &Connection, device: DeviceId, seq: u64, limit: u32, max_bytes: u64) -> Sql<Vec<Mail>> {
    let sql = "SELECT m.seq, u.username, m.sender, m.envelope FROM mail m JOIN chat_app u ON u.id = m.sender_account \
               WHERE m.device = ?1 AND m.seq > ?2 ORDER BY m.seq LIMIT ?3";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query((device.as_bytes(), int(seq), limit))?;
    let (mut mail, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let envelope = Bytes::from(row.get::<_, Vec<u8>>(3)?);
        bytes += envelope.len() as u64;
        if bytes > max_bytes && !mail.is_empty() {
            break;
        }
        mail.push(Mail { seq: uint(row, 0)?, from: user(row, 1)?, from_device: id(row, 2)?, envelope });
    }
    Ok(mail)
}

pub(super) fn ack(db: &Connection, device: DeviceId, seq: u64) -> Sql<Ack> {
    let now = state(db, device)?;
    let verdict = judge_ack(now.acked, now.last, seq);
    if verdict == Ack::Forget {
        forget(db, device, seq, seq)?;
    }
    Ok(verdict)
}

/// Deletes messages up to `seq`, takes them off the counters and notes what is `acked`; tells how many.
pub(super) fn forget(db: &Connection, device: DeviceId, seq: u64, acked: u64) -> Sql<u64> {
    let sums = "SELECT sender_account, COUNT(*), SUM(LENGTH(envelope)) FROM mail \
                WHERE device = ?1 AND seq <= ?2 GROUP BY sender_account";
    let sums = many(db, sums, (device.as_bytes(), int(seq)), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let (mut messages, mut bytes) = (0, 0);
    for (account, count, size) in sums {
        let less = "UPDATE mailbox_by_sender SET messages = messages - ?3, bytes = bytes - ?4 \
                    WHERE device = ?1 AND account = ?2";
        run(db, less, (device.as_bytes(), account, count, size))?;
        let less = "UPDATE mailbox_total SET bytes = bytes - ?2 WHERE account = ?1";
        run(db, less, (account, size))?;
        (messages, bytes) = (messages + count, bytes + size);
    }
    run(db, "DELETE FROM mailbox_by_sender WHERE device = ?1 AND messages <= 0", [device.as_bytes()])?;
    run(db, "DELETE FROM mail WHERE device = ?1 AND seq <= ?2", (device.as_bytes(), int(seq)))?;
    let less = "UPDATE mailbox SET acked_seq = MAX(acked_seq, ?4), messages = messages - ?2, bytes = bytes - ?3 \
                WHERE device = ?1";
    run(db, less, (device.as_bytes(), messages, bytes, int(acked)))?;
    Ok(messages.unsigned_abs())
}
