//! Reads what a group of submits needs to know, in a few queries after its devices are locked.

use std::collections::BTreeSet;

use chat_protocol::ids::{DeviceId, Head, SubmitId};
use mysql_async::Value;
use mysql_async::prelude::Queryable;

use super::super::snapshot::{Counters, FromSender, Snapshot, full_devices, named_groups};
use super::super::types::SubmitRow;
use super::accounts::Names;
use super::row::{Sql, blob, column, id, many, marks, padded, signed, uint, uint_or_zero, user, value};
use super::{devices, groups, logs};

/// Locks the devices and reads the rest.
pub(super) async fn read<C: Queryable>(db: &mut C, names: Names, rows: &[SubmitRow]) -> Sql<Snapshot> {
    let named = |row: &SubmitRow| row.to.iter().map(|(device, _)| *device).collect::<Vec<_>>();
    let targets: BTreeSet<DeviceId> = rows.iter().flat_map(named).collect();
    let all: Vec<_> = rows.iter().map(|row| row.sender).chain(targets.iter().copied()).collect();
    let locked = devices::lock(db, all).await?;
    let devices = locked.into_iter().map(|(device, account, state)| (device, (account, state))).collect();
    let mut snapshot = Snapshot { devices, ..Snapshot::default() };
    let targets = targets.into_iter().filter(|device| snapshot.devices.contains_key(device)).collect();
    let targets: Vec<_> = padded(targets).iter().map(|id| value(id.as_bytes())).collect();
    // before the heads: it may wait for who appends, while an account's log grows
    snapshot.groups = groups::last(db, named_groups(rows)).await?.into_iter().collect();
    read_owners(&mut snapshot, db).await?;
    let claimed = logs::heads(db, names, &snapshot.claimed_only(rows)).await?;
    snapshot.heads.extend(claimed.into_iter().filter_map(|known| Some((known.user, known.head?))));
    if !targets.is_empty() {
        read_mailboxes(&mut snapshot, db, targets).await?;
    }
    read_earlier(&mut snapshot, db, rows).await?;
    Ok(snapshot)
}

async fn read_owners<C: Queryable>(snapshot: &mut Snapshot, db: &mut C) -> Sql<()> {
    let accounts: BTreeSet<i64> = snapshot.devices.values().map(|(account, _)| *account).collect();
    if accounts.is_empty() {
        return Ok(());
    }
    let accounts = padded(accounts.into_iter().map(Value::from).collect());
    let sql = format!(
        "SELECT u.id, u.username, l.seq, l.head, t.bytes FROM chat_app u LEFT JOIN account_log l ON l.account = u.id \
         LEFT JOIN mailbox_total t ON t.account = u.id WHERE u.id IN ({})",
        marks("?", accounts.len())
    );
    let owners = many(db, sql, accounts, |row| {
        let head = match column::<Option<i64>>(row, 2)? {
            Some(seq) => Some(Head { seq: seq.unsigned_abs(), hash: id(row, 3)? }),
            None => None,
        };
        Ok((signed(row, 0)?, user(row, 1)?, head, uint_or_zero(row, 4)?))
    });
    for (account, user, head, total) in owners.await? {
        snapshot.heads.extend(head.map(|head| (user.clone(), head)));
        snapshot.users.insert(account, user);
        snapshot.totals.insert(account, total);
    }
    Ok(())
}

async fn read_mailboxes<C: Queryable>(snapshot: &mut Snapshot, db: &mut C, targets: Vec<Value>) -> Sql<()> {
    let list = marks("?", targets.len());
    let sql = format!("SELECT device, last_seq, messages, bytes FROM mailbox WHERE device IN ({list})");
    let mailboxes = many(db, sql, targets.clone(), |row| {
        Ok((id(row, 0)?, Counters { last: uint(row, 1)?, messages: uint(row, 2)?, bytes: uint(row, 3)? }))
    });
    snapshot.mailboxes = mailboxes.await?.into_iter().collect();
    let sql = format!("SELECT device, account, messages, bytes FROM mailbox_by_sender WHERE device IN ({list})");
    let senders = many(db, sql, targets, |row| {
        let from = FromSender { messages: uint(row, 2)?, bytes: uint(row, 3)? };
        Ok(((id(row, 0)?, signed(row, 1)?), from))
    });
    snapshot.senders = senders.await?.into_iter().collect();
    Ok(())
}

async fn read_earlier<C: Queryable>(snapshot: &mut Snapshot, db: &mut C, rows: &[SubmitRow]) -> Sql<()> {
    let keys = padded(rows.iter().map(|row| (row.sender, row.submit_id)).collect());
    let each = vec!["(sender = ? AND submit_id = ?)"; keys.len()].join(" OR ");
    let sql = format!("SELECT sender, submit_id, full_devices FROM submitted WHERE {each}");
    let values = keys.iter().flat_map(|(sender, submit)| [value(sender.as_bytes()), value(submit.as_bytes())]);
    let earlier = many(db, sql, values.collect::<Vec<_>>(), |row| {
        Ok(((id(row, 0)?, SubmitId::from_bytes(id(row, 1)?)), full_devices(&blob(row, 2)?)))
    });
    snapshot.earlier = earlier.await?.into_iter().collect();
    Ok(())
}
