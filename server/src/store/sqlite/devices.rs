//! Devices: who waits, who is active, who has ended.

use chat_protocol::ids::{DeviceId, Head, SubmitId, Username};
use chat_protocol::message::server::LoggedIn;
use chat_protocol::time::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::super::types::{DeviceState, NewDevice, StoredDevice, Waiting};
use super::accounts;
use super::row::{Sql, id, many, millis, one, run, some_time, state, time, uint, uint_or_zero, user};

pub(super) fn device(db: &Connection, device: DeviceId) -> Sql<Option<StoredDevice>> {
    let sql = "SELECT d.device, u.username, d.cert, d.state, d.since_ms, d.last_login_ms \
               FROM device d JOIN chat_app u ON u.id = d.account WHERE d.device = ?1";
    one(db, sql, [device.as_bytes()], stored)
}

pub(super) fn of_account(db: &Connection, user: &Username) -> Sql<Vec<StoredDevice>> {
    let sql = "SELECT d.device, u.username, d.cert, d.state, d.since_ms, d.last_login_ms \
               FROM device d JOIN chat_app u ON u.id = d.account WHERE d.account = ?1 ORDER BY d.since_ms, d.device";
    match accounts::row_id(db, user)? {
        Some(account) => many(db, sql, [account], stored),
        None => Ok(Vec::new()),
    }
}

fn stored(row: &Row<'_>) -> Sql<StoredDevice> {
    Ok(StoredDevice {
        device: id(row, 0)?,
        user: user(row, 1)?,
        cert: row.get(2)?,
        state: state(row, 3)?,
        since: time(row, 4)?,
        last_login: some_time(row, 5)?,
    })
}

pub(super) fn add_waiting(db: &Connection, new: &NewDevice, most: u32) -> Sql<Waiting> {
    let Some(account) = accounts::row_id(db, &new.user)? else { return Ok(Waiting::Missing) };
    let known = "SELECT state FROM device WHERE device = ?1";
    match one(db, known, [new.device.as_bytes()], |row| state(row, 0))? {
        Some(DeviceState::Waiting) => return Ok(Waiting::Waits),
        Some(other) => return Ok(Waiting::Known(other)),
        None => {}
    }
    let waiting = "SELECT COUNT(*) FROM device WHERE account = ?1 AND state = 0";
    if one(db, waiting, [account], |row| uint(row, 0))?.unwrap_or(0) >= u64::from(most) {
        return Ok(Waiting::TooMany);
    }
    put(db, account, new.device, &new.cert, DeviceState::Waiting, new.at)?;
    Ok(Waiting::Waits)
}

/// Makes the device active, unless it has ended: a revoked id never returns.
pub(super) fn activate(db: &Connection, account: i64, device: DeviceId, cert: &[u8], at: Timestamp) -> Sql<bool> {
    let known = "SELECT account, state FROM device WHERE device = ?1";
    let found = one(db, known, [device.as_bytes()], |row| Ok((row.get::<_, i64>(0)?, state(row, 1)?)))?;
    let free = match found {
        None => true,
        Some((owner, now)) => owner == account && matches!(now, DeviceState::Waiting | DeviceState::Active),
    };
    if free {
        put(db, account, device, cert, DeviceState::Active, at)?;
    }
    Ok(free)
}

fn put(db: &Connection, account: i64, device: DeviceId, cert: &[u8], state: DeviceState, at: Timestamp) -> Sql<()> {
    let sql = "INSERT INTO device (device, account, cert, state, since_ms, last_login_ms, submit_counter) \
               VALUES (?1, ?2, ?3, ?4, ?5, 0, 0) \
               ON CONFLICT (device) DO UPDATE SET state = excluded.state, since_ms = excluded.since_ms";
    run(db, sql, (device.as_bytes(), account, cert, state.code(), millis(at))).map(drop)
}

/// Ends a device of the account: its mailbox and prekeys go, its row stays so that its id stays known.
pub(super) fn end(db: &Connection, account: i64, device: DeviceId, state: DeviceState, at: Timestamp) -> Sql<()> {
    let sql = "UPDATE device SET state = ?3, since_ms = ?4 WHERE device = ?1 AND account = ?2";
    if run(db, sql, (device.as_bytes(), account, state.code(), millis(at)))? == 0 {
        return Ok(());
    }
    let less = "UPDATE mailbox_total SET bytes = bytes - (SELECT s.bytes FROM mailbox_by_sender s \
                WHERE s.device = ?1 AND s.account = mailbox_total.account) \
                WHERE account IN (SELECT account FROM mailbox_by_sender WHERE device = ?1)";
    run(db, less, [device.as_bytes()])?;
    for table in ["mail", "mailbox", "mailbox_by_sender", "bundle", "one_time_key"] {
        run(db, &format!("DELETE FROM {table} WHERE device = ?1"), [device.as_bytes()])?;
    }
    Ok(())
}

pub(super) fn touch(db: &Connection, devices: &[DeviceId], at: Timestamp) -> Sql<()> {
    let sql = "UPDATE device SET last_login_ms = MAX(last_login_ms, ?2) WHERE device = ?1";
    devices.iter().try_for_each(|device| run(db, sql, (device.as_bytes(), millis(at))).map(drop))
}

pub(super) fn login_state(db: &Connection, device: DeviceId) -> Sql<Option<LoggedIn>> {
    let sql = "SELECT l.seq, l.head, m.acked_seq, m.last_seq, b.seq, d.submit_counter, r.last_seq, p.due_ms, g.generation, \
               (SELECT MAX(s.submit_id) FROM submitted s WHERE s.sender = d.device) \
               FROM device d JOIN account_log l ON l.account = d.account JOIN room_state r ON r.room = 1 \
               LEFT JOIN mailbox_generation g ON g.one = 1 \
               LEFT JOIN mailbox m ON m.device = d.device LEFT JOIN bundle b ON b.device = d.device \
               LEFT JOIN pending_reset p ON p.account = d.account WHERE d.device = ?1";
    one(db, sql, [device.as_bytes()], |row| {
        Ok(LoggedIn {
            head: Head { seq: uint(row, 0)?, hash: id(row, 1)? },
            mailbox_acked: uint_or_zero(row, 2)?,
            mailbox_last: uint_or_zero(row, 3)?,
            bundle_seq: uint_or_zero(row, 4)?,
            submit_counter: uint(row, 5)?.max(newest_submit(row, 9)?),
            room_last: uint(row, 6)?,
            reset_pending: some_time(row, 7)?,
            mailbox_generation: uint_or_zero(row, 8)?,
        })
    })
}

/// The counter of the newest submit that is remembered of a device; 0 without one.
fn newest_submit(row: &Row<'_>, column: usize) -> Sql<u64> {
    let none = row.get_ref(column)? == ValueRef::Null;
    if none { Ok(0) } else { id(row, column).map(|id| SubmitId::from_bytes(id).counter()) }
}

/// Account and name of a device that may speak.
pub(super) fn active(db: &Connection, device: DeviceId) -> Sql<Option<(i64, Username)>> {
    let sql = "SELECT d.account, u.username FROM device d JOIN chat_app u ON u.id = d.account \
               WHERE d.device = ?1 AND d.state = 1";
    one(db, sql, [device.as_bytes()], |row| Ok((row.get(0)?, user(row, 1)?)))
}
