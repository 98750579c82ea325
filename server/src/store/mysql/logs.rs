//! Account logs: compare and append, and the reset that begins a new one.

use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::super::types::{AppendEntry, DeviceState, KnownHead, LogPage, LogWrite, NewLog, PendingReset};
use super::accounts::Names;
use super::devices;
use super::row::{Sql, blob, id, int, many, millis, one, run, signed, time, uint};

/// A log as its row has it.
struct Standing {
    generation: i64,
    fingerprint: Fingerprint,
    head: Head,
}

async fn standing<C: Queryable>(db: &mut C, account: i64) -> Sql<Option<Standing>> {
    let sql = "SELECT generation, fingerprint, seq, head FROM account_log WHERE account = ?";
    one(db, sql, (account,), read_standing).await
}

fn read_standing(row: &mut Row) -> Sql<Standing> {
    let head = Head { seq: uint(row, 2)?, hash: id(row, 3)? };
    Ok(Standing { generation: signed(row, 0)?, fingerprint: id(row, 1)?, head })
}

/// The account's row id and log, both locked: the account's row is there before there is a log to lock.
async fn locked<C: Queryable>(db: &mut C, names: Names, user: &Username) -> Sql<Option<(i64, Option<Standing>)>> {
    let Some(account) = names.row_id(db, user).await? else { return Ok(None) };
    one(db, "SELECT id FROM chat_app WHERE id = ? FOR UPDATE", (account,), |_| Ok(())).await?;
    Ok(Some((account, standing(db, account).await?)))
}

pub(super) async fn heads<C: Queryable>(db: &mut C, names: Names, users: &[Username]) -> Sql<Vec<KnownHead>> {
    let mut known = Vec::with_capacity(users.len());
    for user in users {
        if let Some(account) = names.row_id(db, user).await? {
            let head = standing(db, account).await?.map(|log| log.head);
            known.push(KnownHead { user: user.clone(), head });
        }
    }
    Ok(known)
}

pub(super) async fn page<C: Queryable>(
    db: &mut C,
    names: Names,
    user: &Username,
    from: u64,
    limit: u32,
) -> Sql<Option<LogPage>> {
    let Some(account) = names.row_id(db, user).await? else { return Ok(None) };
    let Some(log) = standing(db, account).await? else { return Ok(None) };
    let sql = "SELECT entry FROM log_entry WHERE account = ? AND generation = ? AND seq >= ? AND seq <= ? \
               ORDER BY seq LIMIT ?";
    let entries =
        many(db, sql, (account, log.generation, int(from), int(log.head.seq), limit), |row| blob(row, 0)).await?;
    Ok(Some(LogPage { fingerprint: log.fingerprint, head: log.head, entries }))
}

pub(super) async fn begin<C: Queryable>(db: &mut C, names: Names, new: &NewLog) -> Sql<LogWrite> {
    match locked(db, names, &new.user).await? {
        None => Ok(LogWrite::Missing),
        Some((account, Some(log))) => already(db, account, &log, 0, &new.genesis).await,
        Some((account, None)) => start(db, account, 0, new).await,
    }
}

pub(super) async fn append<C: Queryable>(db: &mut C, names: Names, append: &AppendEntry) -> Sql<LogWrite> {
    let Some((account, Some(log))) = locked(db, names, &append.user).await? else { return Ok(LogWrite::Missing) };
    if log.head != append.expected {
        return already(db, account, &log, append.head.seq, &append.entry).await;
    }
    let touched = append.activates.iter().map(|(device, _)| *device).chain(append.revokes.iter().copied());
    devices::lock(db, touched.collect()).await?;
    if let Some((device, cert)) = &append.activates
        && !devices::activate(db, account, *device, cert, append.at).await?
    {
        return Ok(LogWrite::Missing);
    }
    put_entry(db, account, log.generation, append.head.seq, &append.entry).await?;
    let sql = "UPDATE account_log SET seq = ?, head = ? WHERE account = ?";
    run(db, sql, (int(append.head.seq), &append.head.hash.as_bytes()[..], account)).await?;
    for device in &append.revokes {
        devices::end(db, account, *device, DeviceState::Revoked, append.at).await?;
    }
    Ok(LogWrite::Written)
}

pub(super) async fn reset<C: Queryable>(db: &mut C, names: Names, replaces: Head, new: &NewLog) -> Sql<LogWrite> {
    let Some((account, Some(log))) = locked(db, names, &new.user).await? else { return Ok(LogWrite::Missing) };
    if log.head != replaces {
        return already(db, account, &log, 0, &new.genesis).await;
    }
    let live = "SELECT device FROM device WHERE account = ? AND state IN (0, 1)";
    let live: Vec<DeviceId> = many(db, live, (account,), |row| id(row, 0)).await?;
    devices::lock(db, live.iter().copied().chain([new.device]).collect()).await?;
    for device in live.into_iter().filter(|device| *device != new.device) {
        devices::end(db, account, device, DeviceState::Replaced, new.at).await?;
    }
    run(db, "DELETE FROM pending_reset WHERE account = ?", (account,)).await?;
    start(db, account, log.generation + 1, new).await
}

/// The same bytes at the same place were written before; anything else is stale.
async fn already<C: Queryable>(db: &mut C, account: i64, log: &Standing, seq: u64, entry: &[u8]) -> Sql<LogWrite> {
    let sql = "SELECT entry FROM log_entry WHERE account = ? AND generation = ? AND seq = ?";
    let stored = one(db, sql, (account, log.generation, int(seq)), |row| blob(row, 0)).await?;
    Ok(if stored.as_deref() == Some(entry) { LogWrite::Written } else { LogWrite::Stale(log.head) })
}

async fn start<C: Queryable>(db: &mut C, account: i64, generation: i64, new: &NewLog) -> Sql<LogWrite> {
    if !devices::activate(db, account, new.device, &new.cert, new.at).await? {
        return Ok(LogWrite::Missing);
    }
    put_entry(db, account, generation, 0, &new.genesis).await?;
    let sql = "REPLACE INTO account_log (account, generation, fingerprint, seq, head) VALUES (?, ?, ?, 0, ?)";
    let hash = &new.hash.as_bytes()[..];
    run(db, sql, (account, generation, hash, hash)).await?;
    Ok(LogWrite::Written)
}

async fn put_entry<C: Queryable>(db: &mut C, account: i64, generation: i64, seq: u64, entry: &[u8]) -> Sql<()> {
    let sql = "INSERT INTO log_entry (account, generation, seq, entry) VALUES (?, ?, ?, ?)";
    run(db, sql, (account, generation, int(seq), entry)).await.map(drop)
}

pub(super) async fn pending_reset<C: Queryable>(
    db: &mut C,
    names: Names,
    user: &Username,
) -> Sql<Option<PendingReset>> {
    let Some(account) = names.row_id(db, user).await? else { return Ok(None) };
    let sql = "SELECT genesis, at_ms, due_ms FROM pending_reset WHERE account = ?";
    let read = |row: &mut Row| Ok(PendingReset { genesis: id(row, 0)?, at: time(row, 1)?, due: time(row, 2)? });
    one(db, sql, (account,), read).await
}

pub(super) async fn put_reset<C: Queryable>(
    db: &mut C,
    names: Names,
    user: &Username,
    reset: &PendingReset,
) -> Sql<bool> {
    let Some(account) = names.row_id(db, user).await? else { return Ok(false) };
    let sql = "REPLACE INTO pending_reset (account, genesis, at_ms, due_ms) VALUES (?, ?, ?, ?)";
    run(db, sql, (account, &reset.genesis.as_bytes()[..], millis(reset.at), millis(reset.due))).await?;
    Ok(true)
}

pub(super) async fn cancel_reset<C: Queryable>(db: &mut C, names: Names, user: &Username) -> Sql<bool> {
    let Some(account) = names.row_id(db, user).await? else { return Ok(false) };
    Ok(run(db, "DELETE FROM pending_reset WHERE account = ?", (account,)).await? > 0)
}
