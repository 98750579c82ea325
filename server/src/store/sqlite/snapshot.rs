//! Reads what a group of submits needs to know: each row once, however many of the group it concerns.

use chat_protocol::ids::{DeviceId, Head};
use rusqlite::Connection;

use super::super::snapshot::{Counters, FromSender, Snapshot, named_groups};
use super::super::types::SubmitRow;
use super::row::{Sql, id, one, state, uint, uint_or_zero, user};
use super::{groups, logs, submits};

pub(super) fn read(db: &Connection, rows: &[SubmitRow]) -> Sql<Snapshot> {
    let mut snapshot = Snapshot::default();
    for row in rows {
        if let Some(earlier) = submits::recall(db, row.sender, row.submit_id)? {
            snapshot.earlier.insert((row.sender, row.submit_id), earlier.full);
            continue;
        }
        let sender = read_device(&mut snapshot, db, row.sender)?;
        for (device, _) in &row.to {
            read_device(&mut snapshot, db, *device)?;
            if let Some(account) = sender {
                read_mailbox(&mut snapshot, db, *device, account)?;
            }
        }
    }
    for user in snapshot.claimed_only(rows) {
        if let Some(head) = logs::head(db, &user)? {
            snapshot.heads.insert(user, head);
        }
    }
    for group in named_groups(rows) {
        if let Some(last) = groups::last(db, group)? {
            snapshot.groups.insert(group, last);
        }
    }
    Ok(snapshot)
}

/// A device and its owner; tells the account, if there is such a device.
fn read_device(snapshot: &mut Snapshot, db: &Connection, device: DeviceId) -> Sql<Option<i64>> {
    if let Some((account, _)) = snapshot.devices.get(&device) {
        return Ok(Some(*account));
    }
    let sql = "SELECT d.account, d.state, u.username, l.seq, l.head, t.bytes FROM device d \
               JOIN chat_app u ON u.id = d.account LEFT JOIN account_log l ON l.account = d.account \
               LEFT JOIN mailbox_total t ON t.account = d.account WHERE d.device = ?1";
    let found = one(db, sql, [device.as_bytes()], |row| {
        let head = match row.get::<_, Option<i64>>(3)? {
            Some(seq) => Some(Head { seq: seq.unsigned_abs(), hash: id(row, 4)? }),
            None => None,
        };
        Ok((row.get(0)?, state(row, 1)?, user(row, 2)?, head, uint_or_zero(row, 5)?))
    })?;
    let Some((account, state, user, head, total)) = found else { return Ok(None) };
    snapshot.devices.insert(device, (account, state));
    snapshot.heads.extend(head.map(|head| (user.clone(), head)));
    snapshot.users.insert(account, user);
    snapshot.totals.insert(account, total);
    Ok(Some(account))
}

/// What a mailbox holds, and what of it is from an account; nothing of one that was never used.
fn read_mailbox(snapshot: &mut Snapshot, db: &Connection, device: DeviceId, sender: i64) -> Sql<()> {
    if snapshot.senders.contains_key(&(device, sender)) {
        return Ok(());
    }
    let sql = "SELECT m.last_seq, m.messages, m.bytes, s.messages, s.bytes FROM mailbox m \
               LEFT JOIN mailbox_by_sender s ON s.device = m.device AND s.account = ?2 WHERE m.device = ?1";
    let found = one(db, sql, (device.as_bytes(), sender), |row| {
        let counters = Counters { last: uint(row, 0)?, messages: uint(row, 1)?, bytes: uint(row, 2)? };
        Ok((counters, FromSender { messages: uint_or_zero(row, 3)?, bytes: uint_or_zero(row, 4)? }))
    })?;
    let (counters, from_sender) = found.unwrap_or_default();
    snapshot.mailboxes.insert(device, counters);
    snapshot.senders.insert((device, sender), from_sender);
    Ok(())
}
