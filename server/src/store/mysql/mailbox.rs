//! Mailboxes: reading them and forgetting what was acknowledged.

use chat_protocol::ids::DeviceId;
use mysql_async::prelude::Queryable;

use super::super::types::{Mail, MailboxState};
use super::devices;
use super::row::{Sql, blob, id, int, many, one, run, signed, uint, user};
use crate::rules::{Ack, judge_ack};

/// Rows read in one query, so that the byte limit is not overshot by much.
const READ_AT_ONCE: u32 = 32;

pub(super) async fn state<C: Queryable>(db: &mut C, device: DeviceId) -> Sql<MailboxState> {
    let sql = "SELECT acked_seq, last_seq, messages, bytes FROM mailbox WHERE device = ?";
    let found = one(db, sql, (&device.as_bytes()[..],), |row| {
        Ok(MailboxState { acked: uint(row, 0)?, last: uint(row, 1)?, messages: uint(row, 2)?, bytes: uint(row, 3)? })
    });
    Ok(found.await?.unwrap_or_default())
}

pub(super) async fn after<C: Queryable>(
    db: &mut C,
    device: DeviceId,
    mut seq: u64,
    limit: u32,
    max_bytes: u64,
) -> Sql<Vec<Mail>> {
    let sql = "SELECT m.seq, u.username, m.sender, m.envelope FROM mail m JOIN chat_app u ON u.id = m.sender_account \
               WHERE m.device = ? AND m.seq > ? ORDER BY m.seq LIMIT ?";
    let (mut mail, mut bytes, mut left) = (Vec::new(), 0, limit);
    while left > 0 {
        let want = left.min(READ_AT_ONCE);
        let page = many(db, sql, (&device.as_bytes()[..], int(seq), want), |row| {
            let envelope = blob(row, 3)?.into();
            Ok(Mail { seq: uint(row, 0)?, from: user(row, 1)?, from_device: id(row, 2)?, envelope })
        });
        let page = page.await?;
        let last_page = page.len() < want as usize;
        for one in page {
            bytes += one.envelope.len() as u64;
            if bytes > max_bytes && !mail.is_empty() {
                return Ok(mail);
            }
            (seq, left) = (one.seq, left - 1);
            mail.push(one);
        }
        if last_page {
            break;
        }
    }
    Ok(mail)
}

pub(super) async fn ack<C: Queryable>(db: &mut C, device: DeviceId, seq: u64) -> Sql<Ack> {
    devices::lock(db, vec![device]).await?;
    let now = state(db, device).await?;
    let verdict = judge_ack(now.acked, now.last, seq);
    if verdict == Ack::Forget {
        forget(db, device, seq, seq).await?;
    }
    Ok(verdict)
}

/// Deletes messages up to `seq`, takes them off the counters and notes what is `acked`; tells how many. The device is locked.
pub(super) async fn forget<C: Queryable>(db: &mut C, device: DeviceId, seq: u64, acked: u64) -> Sql<u64> {
    let device = &device.as_bytes()[..];
    let sums = "SELECT sender_account, COUNT(*), CAST(SUM(LENGTH(envelope)) AS SIGNED) FROM mail \
                WHERE device = ? AND seq <= ? GROUP BY sender_account ORDER BY sender_account";
    let sums =
        many(db, sums, (device, int(seq)), |row| Ok((signed(row, 0)?, signed(row, 1)?, signed(row, 2)?))).await?;
    let (mut messages, mut bytes) = (0, 0);
    for (account, count, size) in sums {
        let less = "UPDATE mailbox_by_sender SET messages = messages - ?, bytes = bytes - ? \
                    WHERE device = ? AND account = ?";
        run(db, less, (count, size, device, account)).await?;
        // in the order of accounts, as everywhere: or two mailboxes would wait for each other
        run(db, "UPDATE mailbox_total SET bytes = bytes - ? WHERE account = ?", (size, account)).await?;
        (messages, bytes) = (messages + count, bytes + size);
    }
    run(db, "DELETE FROM mailbox_by_sender WHERE device = ? AND messages <= 0", (device,)).await?;
    run(db, "DELETE FROM mail WHERE device = ? AND seq <= ?", (device, int(seq))).await?;
    let less = "UPDATE mailbox SET acked_seq = GREATEST(acked_seq, ?), messages = messages - ?, bytes = bytes - ? \
                WHERE device = ?";
    run(db, less, (int(acked), messages, bytes, device)).await?;
    Ok(messages.unsigned_abs())
}
