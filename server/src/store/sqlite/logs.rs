//! Account logs: compare and append, and the reset that begins a new one.

use chat_protocol::ids::{DeviceId, Fingerprint, Head, Username};
use rusqlite::Connection;

use super::super::types::{AppendEntry, DeviceState, KnownHead, LogPage, LogWrite, NewLog, PendingReset};
use super::row::{Sql, id, int, many, millis, one, run, time, uint};
use super::{accounts, devices};

/// A log as its row has it.
struct Standing {
    generation: i64,
    fingerprint: Fingerprint,
    head: Head,
}

fn standing(db: &Connection, account: i64) -> Sql<Option<Standing>> {
    let sql = "SELECT generation, fingerprint, seq, head FROM account_log WHERE account = ?1";
    one(db, sql, [account], |row| {
        let head = Head { seq: uint(row, 2)?, hash: id(row, 3)? };
        Ok(Standing { generation: row.get(0)?, fingerprint: id(row, 1)?, head })
    })
}

/// Where the account's log stands.
pub(super) fn head(db: &Connection, user: &Username) -> Sql<Option<Head>> {
    let Some(account) = accounts::row_id(db, user)? else { return Ok(None) };
    Ok(standing(db, account)?.map(|log| log.head))
}

pub(super) fn heads(db: &Connection, users: &[Username]) -> Sql<Vec<KnownHead>> {
    let mut known = Vec::with_capacity(users.len());
    for user in users {
        if let Some(account) = accounts::row_id(db, user)? {
            known.push(KnownHead { user: user.clone(), head: standing(db, account)?.map(|log| log.head) });
        }
    }
    Ok(known)
}

pub(super) fn page(db: &Connection, user: &Username, from: u64, limit: u32) -> Sql<Option<LogPage>> {
    let Some(account) = accounts::row_id(db, user)? else { return Ok(None) };
    let Some(log) = standing(db, account)? else { return Ok(None) };
    let sql = "SELECT entry FROM log_entry WHERE account = ?1 AND generation = ?2 AND seq >= ?3 ORDER BY seq LIMIT ?4";
    let entries = many(db, sql, (account, log.generation, int(from), limit), |row| row.get(0))?;
    Ok(Some(LogPage { fingerprint: log.fingerprint, head: log.head, entries }))
}

pub(super) fn begin(db: &Connection, new: &NewLog) -> Sql<LogWrite> {
    let Some(account) = accounts::row_id(db, &new.user)? else { return Ok(LogWrite::Missing) };
    match standing(db, account)? {
        Some(log) => already(db, account, &log, 0, &new.genesis),
        None => start(db, account, 0, new),
    }
}

pub(super) fn append(db: &Connection, append: &AppendEntry) -> Sql<LogWrite> {
    let Some(account) = accounts::row_id(db, &append.user)? else { return Ok(LogWrite::Missing) };
    let Some(log) = standing(db, account)? else { return Ok(LogWrite::Missing) };
    if log.head != append.expected {
        return already(db, account, &log, append.head.seq, &append.entry);
    }
    if let Some((device, cert)) = &append.activates
        && !devices::activate(db, account, *device, cert, append.at)?
    {
        return Ok(LogWrite::Missing);
    }
    put_entry(db, account, log.generation, append.head.seq, &append.entry)?;
    let sql = "UPDATE account_log SET seq = ?2, head = ?3 WHERE account = ?1";
    run(db, sql, (account, int(append.head.seq), append.head.hash.as_bytes()))?;
    for device in &append.revokes {
        devices::end(db, account, *device, DeviceState::Revoked, append.at)?;
    }
    Ok(LogWrite::Written)
}

pub(super) fn reset(db: &Connection, replaces: Head, new: &NewLog) -> Sql<LogWrite> {
    let Some(account) = accounts::row_id(db, &new.user)? else { return Ok(LogWrite::Missing) };
    let Some(log) = standing(db, account)? else { return Ok(LogWrite::Missing) };
    if log.head != replaces {
        return already(db, account, &log, 0, &new.genesis);
    }
    let live = "SELECT device FROM device WHERE account = ?1 AND state IN (0, 1)";
    for device in many(db, live, [account], |row| id::<DeviceId>(row, 0))? {
        if device != new.device {
            devices::end(db, account, device, DeviceState::Replaced, new.at)?;
        }
    }
    run(db, "DELETE FROM pending_reset WHERE account = ?1", [account])?;
    start(db, account, log.generation + 1, new)
}

/// The same bytes at the same place were written before; anything else is stale.
fn already(db: &Connection, account: i64, log: &Standing, seq: u64, entry: &[u8]) -> Sql<LogWrite> {
    let sql = "SELECT 1 FROM log_entry WHERE account = ?1 AND generation = ?2 AND seq = ?3 AND entry = ?4";
    let same = db.prepare_cached(sql)?.exists((account, log.generation, int(seq), entry))?;
    Ok(if same { LogWrite::Written } else { LogWrite::Stale(log.head) })
}

fn start(db: &Connection, account: i64, generation: i64, new: &NewLog) -> Sql<LogWrite> {
    if !devices::activate(db, account, new.device, &new.cert, new.at)? {
        return Ok(LogWrite::Missing);
    }
    put_entry(db, account, generation, 0, &new.genesis)?;
    let sql =
        "INSERT OR REPLACE INTO account_log (account, generation, fingerprint, seq, head) VALUES (?1, ?2, ?3, 0, ?3)";
    run(db, sql, (account, generation, new.hash.as_bytes()))?;
    Ok(LogWrite::Written)
}

fn put_entry(db: &Connection, account: i64, generation: i64, seq: u64, entry: &[u8]) -> Sql<()> {
    let sql = "INSERT INTO log_entry (account, generation, seq, entry) VALUES (?1, ?2, ?3, ?4)";
    run(db, sql, (account, generation, int(seq), entry)).map(drop)
}

pub(super) fn pending_reset(db: &Connection, user: &Username) -> Sql<Option<PendingReset>> {
    let Some(account) = accounts::row_id(db, user)? else { return Ok(None) };
    one(db, "SELECT genesis, at_ms, due_ms FROM pending_reset WHERE account = ?1", [account], |row| {
        Ok(PendingReset { genesis: id(row, 0)?, at: time(row, 1)?, due: time(row, 2)? })
    })
}

pub(super) fn put_reset(db: &Connection, user: &Username, reset: &PendingReset) -> Sql<bool> {
    let Some(account) = accounts::row_id(db, user)? else { return Ok(false) };
    let sql = "INSERT OR REPLACE INTO pending_reset (account, genesis, at_ms, due_ms) VALUES (?1, ?2, ?3, ?4)";
    run(db, sql, (account, reset.genesis.as_bytes(), millis(reset.at), millis(reset.due)))?;
    Ok(true)
}

pub(super) fn cancel_reset(db: &Connection, user: &Username) -> Sql<bool> {
    let Some(account) = accounts::row_id(db, user)? else { return Ok(false) };
    Ok(run(db, "DELETE FROM pending_reset WHERE account = ?1", [account])? > 0)
}
