//! Submits: judged and stored, many in one transaction.

use chat_protocol::ids::{DeviceId, Head, SubmitId};
use chat_protocol::message::client::UserHead;
use chat_protocol::time::Timestamp;
use rusqlite::Connection;

use super::super::types::DeviceState;
use super::super::types::{SubmitOutcome, SubmitRow};
use super::logs;
use super::row::{Sql, id, int, millis, one, run, state, uint, uint_or_zero, user};
use super::writer::apart;
use crate::rules::{Owner, Quota, Target, Usage, Verdict, judge, next_seq};

pub(super) fn commit(db: &Connection, rows: &[SubmitRow], quota: &Quota) -> Vec<SubmitOutcome> {
    rows.iter().map(|row| submit_apart(db, row, quota)).collect()
}

/// One row behind its own savepoint: what breaks here is nobody else's loss.
fn submit_apart(db: &Connection, row: &SubmitRow, quota: &Quota) -> SubmitOutcome {
    apart(db, |db| submit(db, row, quota)).unwrap_or_else(|error| {
        tracing::error!(sender = %row.sender, cause = ?error, "a submit could not be stored");
        SubmitOutcome::Failed
    })
}

fn submit(db: &Connection, row: &SubmitRow, quota: &Quota) -> Sql<SubmitOutcome> {
    if row.repeats_a_device() {
        return Ok(SubmitOutcome::Failed);
    }
    if let Some(earlier) = recall(db, row.sender, row.submit_id)? {
        return Ok(SubmitOutcome::Repeated { full: earlier.full });
    }
    let Some((account, _)) = active_sender(db, row.sender)? else { return Ok(SubmitOutcome::NotFound) };
    let (targets, truth) = look_up(db, row, account)?;
    Ok(match judge(quota, &row.heads, &truth, &targets) {
        Verdict::Stale(heads) => SubmitOutcome::Stale(heads),
        Verdict::NotFound => SubmitOutcome::NotFound,
        Verdict::Full => SubmitOutcome::Full,
        Verdict::Store { to, full } => {
            let placed = to.iter().map(|device| place(db, row, account, *device)).collect::<Sql<_>>()?;
            remember(db, row.sender, row.submit_id, row.at, &full, 0)?;
            SubmitOutcome::Stored { placed, full }
        }
    })
}

/// What an earlier submit or post of that id was answered.
pub(super) struct Earlier {
    pub(super) full: Vec<DeviceId>,
    pub(super) room_seq: u64,
}

pub(super) fn recall(db: &Connection, sender: DeviceId, submit_id: SubmitId) -> Sql<Option<Earlier>> {
    let sql = "SELECT full_devices, room_seq FROM submitted WHERE sender = ?1 AND submit_id = ?2";
    one(db, sql, (sender.as_bytes(), submit_id.as_bytes()), |row| {
        let full: Vec<u8> = row.get(0)?;
        let full = full.chunks_exact(DeviceId::LEN).filter_map(|device| device.try_into().ok()).collect();
        Ok(Earlier { full, room_seq: uint(row, 1)? })
    })
}

pub(super) fn remember(
    db: &Connection,
    sender: DeviceId,
    submit_id: SubmitId,
    at: Timestamp,
    full: &[DeviceId],
    room_seq: u64,
) -> Sql<()> {
    let full: Vec<u8> = full.iter().flat_map(|device| *device.as_bytes()).collect();
    let sql = "INSERT INTO submitted (sender, submit_id, at_ms, full_devices, room_seq) VALUES (?1, ?2, ?3, ?4, ?5)";
    run(db, sql, (sender.as_bytes(), submit_id.as_bytes(), millis(at), full, int(room_seq)))?;
    let counter = "UPDATE device SET submit_counter = MAX(submit_counter, ?2) WHERE device = ?1";
    run(db, counter, (sender.as_bytes(), int(submit_id.counter()))).map(drop)
}

/// Account and name of a device that may speak.
pub(super) fn active_sender(db: &Connection, sender: DeviceId) -> Sql<Option<(i64, chat_protocol::ids::Username)>> {
    let sql = "SELECT d.account, u.username FROM device d JOIN chat_app u ON u.id = d.account \
               WHERE d.device = ?1 AND d.state = 1";
    one(db, sql, [sender.as_bytes()], |row| Ok((row.get(0)?, user(row, 1)?)))
}

/// What the verdict needs to know: the devices named, and the heads of their and all claimed accounts.
fn look_up(db: &Connection, row: &SubmitRow, sender_account: i64) -> Sql<(Vec<Target>, Vec<UserHead>)> {
    let (mut targets, mut truth) = (Vec::with_capacity(row.to.len()), Vec::<UserHead>::new());
    for (device, envelope) in &row.to {
        let (owner, head) = owner(db, *device, sender_account)?.unzip();
        if let (Some(Owner { user, .. }), Some(Some(head))) = (&owner, head)
            && !truth.iter().any(|known| &known.user == user)
        {
            truth.push(UserHead { user: user.clone(), head });
        }
        targets.push(Target { device: *device, owner, bytes: envelope.len() as u64 });
    }
    for claim in &row.heads {
        if !truth.iter().any(|known| known.user == claim.user)
            && let Some(head) = logs::head(db, &claim.user)?
        {
            truth.push(UserHead { user: claim.user.clone(), head });
        }
    }
    Ok((targets, truth))
}

fn owner(db: &Connection, device: DeviceId, sender_account: i64) -> Sql<Option<(Owner, Option<Head>)>> {
    let sql = "SELECT u.username, d.state, m.messages, m.bytes, s.messages, l.seq, l.head, b.bytes, t.bytes \
               FROM device d JOIN chat_app u ON u.id = d.account \
               LEFT JOIN account_log l ON l.account = d.account LEFT JOIN mailbox m ON m.device = d.device \
               LEFT JOIN mailbox_sender s ON s.device = d.device AND s.account = ?2 \
               LEFT JOIN mailbox_share b ON b.device = d.device AND b.account = ?2 \
               LEFT JOIN mailbox_total t ON t.account = ?2 WHERE d.device = ?1";
    one(db, sql, (device.as_bytes(), sender_account), |row| {
        let usage = Usage {
            messages: uint_or_zero(row, 2)?,
            bytes: uint_or_zero(row, 3)?,
            from_sender: uint_or_zero(row, 4)?,
            bytes_from_sender: uint_or_zero(row, 7)?,
            bytes_everywhere: uint_or_zero(row, 8)?,
        };
        let head = match row.get::<_, Option<i64>>(5)? {
            Some(seq) => Some(Head { seq: seq.unsigned_abs(), hash: id(row, 6)? }),
            None => None,
        };
        Ok((Owner { user: user(row, 0)?, active: state(row, 1)? == DeviceState::Active, usage }, head))
    })
}

fn place(db: &Connection, row: &SubmitRow, account: i64, device: DeviceId) -> Sql<(DeviceId, u64)> {
    let envelope = row.to.iter().find(|(to, _)| *to == device).map_or(&[][..], |(_, envelope)| envelope);
    let last = one(db, "SELECT last_seq FROM mailbox WHERE device = ?1", [device.as_bytes()], |row| uint(row, 0))?;
    let seq = next_seq(last.unwrap_or(0));
    let counted = "INSERT INTO mailbox (device, last_seq, acked_seq, messages, bytes) VALUES (?1, ?2, 0, 1, ?3) \
                   ON CONFLICT (device) DO UPDATE SET last_seq = ?2, messages = messages + 1, bytes = bytes + ?3";
    run(db, counted, (device.as_bytes(), int(seq), int(envelope.len() as u64)))?;
    let by_sender = "INSERT INTO mailbox_sender (device, account, messages) VALUES (?1, ?2, 1) \
                     ON CONFLICT (device, account) DO UPDATE SET messages = messages + 1";
    run(db, by_sender, (device.as_bytes(), account))?;
    let by_sender = "INSERT INTO mailbox_share (device, account, bytes) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (device, account) DO UPDATE SET bytes = bytes + ?3";
    run(db, by_sender, (device.as_bytes(), account, int(envelope.len() as u64)))?;
    let in_all = "INSERT INTO mailbox_total (account, bytes) VALUES (?1, ?2) \
                  ON CONFLICT (account) DO UPDATE SET bytes = bytes + ?2";
    run(db, in_all, (account, int(envelope.len() as u64)))?;
    let mail =
        "INSERT INTO mail (device, seq, sender, sender_account, at_ms, envelope) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    run(db, mail, (device.as_bytes(), int(seq), row.sender.as_bytes(), account, millis(row.at), envelope))?;
    Ok((device, seq))
}
