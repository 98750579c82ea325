//! Devices: who waits, who is active, who has ended.

use chat_protocol::ids::{DeviceId, Head, SubmitId, Username};
use chat_protocol::message::server::LoggedIn;
use chat_protocol::time::Timestamp;
use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::super::types::{DeviceState, NewDevice, StoredDevice, Waiting};
use super::accounts::Names;
use super::row::{
    Fault, Sql, blob, column, id, many, marks, millis, one, padded, run, signed, some_time, state, time, uint,
    uint_or_zero, user, value,
};

pub(super) async fn device<C: Queryable>(db: &mut C, device: DeviceId) -> Sql<Option<StoredDevice>> {
    let sql = "SELECT d.device, u.username, d.cert, d.state, d.since_ms, d.last_login_ms \
               FROM device d JOIN chat_app u ON u.id = d.account WHERE d.device = ?";
    one(db, sql, (&device.as_bytes()[..],), stored).await
}

pub(super) async fn of_account<C: Queryable>(db: &mut C, names: Names, user: &Username) -> Sql<Vec<StoredDevice>> {
    let sql = "SELECT d.device, u.username, d.cert, d.state, d.since_ms, d.last_login_ms \
               FROM device d JOIN chat_app u ON u.id = d.account WHERE d.account = ? ORDER BY d.since_ms, d.device";
    match names.row_id(db, user).await? {
        Some(account) => many(db, sql, (account,), stored).await,
        None => Ok(Vec::new()),
    }
}

fn stored(row: &mut Row) -> Sql<StoredDevice> {
    Ok(StoredDevice {
        device: id(row, 0)?,
        user: user(row, 1)?,
        cert: blob(row, 2)?,
        state: state(row, 3)?,
        since: time(row, 4)?,
        last_login: some_time(row, 5)?,
    })
}

/// Locks these devices, in ascending order as everybody does.
pub(super) async fn lock<C: Queryable>(
    db: &mut C,
    mut devices: Vec<DeviceId>,
) -> Sql<Vec<(DeviceId, i64, DeviceState)>> {
    devices.sort_unstable();
    devices.dedup();
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<_> = padded(devices).iter().map(|device| value(device.as_bytes())).collect();
    let sql = format!(
        "SELECT device, account, state FROM device WHERE device IN ({}) ORDER BY device FOR UPDATE",
        marks("?", values.len())
    );
    many(db, sql, values, |row| Ok((id(row, 0)?, signed(row, 1)?, state(row, 2)?))).await
}

/// Locks one device; its account if it is active.
pub(super) async fn lock_active<C: Queryable>(db: &mut C, device: DeviceId) -> Sql<Option<i64>> {
    let found = lock(db, vec![device]).await?;
    Ok(found.into_iter().find(|(_, _, state)| *state == DeviceState::Active).map(|(_, account, _)| account))
}

pub(super) async fn add_waiting<C: Queryable>(db: &mut C, names: Names, new: &NewDevice, most: u32) -> Sql<Waiting> {
    let Some(account) = names.row_id(db, &new.user).await? else { return Ok(Waiting::Missing) };
    // the account's row is the lock: without it two could count before either inserts
    one(db, "SELECT id FROM chat_app WHERE id = ? FOR UPDATE", (account,), |_| Ok(())).await?;
    match lock(db, vec![new.device]).await?.first() {
        Some((_, _, DeviceState::Waiting)) => return Ok(Waiting::Waits),
        Some((_, _, other)) => return Ok(Waiting::Known(*other)),
        None => {}
    }
    let waiting = "SELECT COUNT(*) FROM device WHERE account = ? AND state = 0";
    if one(db, waiting, (account,), |row| uint(row, 0)).await?.unwrap_or(0) >= u64::from(most) {
        return Ok(Waiting::TooMany);
    }
    put(db, account, new.device, &new.cert, DeviceState::Waiting, new.at).await?;
    Ok(Waiting::Waits)
}

/// Makes the device active, unless it has ended: a revoked id never returns.
pub(super) async fn activate<C: Queryable>(
    db: &mut C,
    account: i64,
    device: DeviceId,
    cert: &[u8],
    at: Timestamp,
) -> Sql<bool> {
    let free = match lock(db, vec![device]).await?.first() {
        None => true,
        Some((_, owner, now)) => *owner == account && matches!(now, DeviceState::Waiting | DeviceState::Active),
    };
    if free {
        put(db, account, device, cert, DeviceState::Active, at).await?;
    }
    Ok(free)
}

async fn put<C: Queryable>(
    db: &mut C,
    account: i64,
    device: DeviceId,
    cert: &[u8],
    state: DeviceState,
    at: Timestamp,
) -> Sql<()> {
    let sql = "INSERT INTO device (device, account, cert, state, since_ms, last_login_ms, submit_counter) \
               VALUES (?, ?, ?, ?, ?, 0, 0) \
               ON DUPLICATE KEY UPDATE state = VALUES(state), since_ms = VALUES(since_ms)";
    run(db, sql, (&device.as_bytes()[..], account, cert, state.code(), millis(at))).await.map(drop)
}

/// Ends a device of the account: its mailbox and prekeys go, its row stays so that its id stays known.
pub(super) async fn end<C: Queryable>(
    db: &mut C,
    account: i64,
    device: DeviceId,
    state: DeviceState,
    at: Timestamp,
) -> Sql<()> {
    let sql = "UPDATE device SET state = ?, since_ms = ? WHERE device = ? AND account = ?";
    let device = &device.as_bytes()[..];
    if run(db, sql, (state.code(), millis(at), device, account)).await? == 0 {
        return Ok(());
    }
    let shares = "SELECT account, bytes FROM mailbox_by_sender WHERE device = ? ORDER BY account";
    for (account, bytes) in many(db, shares, (device,), |row| Ok((signed(row, 0)?, signed(row, 1)?))).await? {
        run(db, "UPDATE mailbox_total SET bytes = bytes - ? WHERE account = ?", (bytes, account)).await?;
    }
    for table in ["mail", "mailbox", "mailbox_by_sender", "bundle", "one_time_key"] {
        run(db, format!("DELETE FROM {table} WHERE device = ?"), (device,)).await?;
    }
    Ok(())
}

pub(super) async fn touch<C: Queryable>(db: &mut C, devices: &[DeviceId], at: Timestamp) -> Sql<()> {
    // locked in one order, or two that note the same devices would wait for each other
    let active = lock(db, devices.to_vec()).await?;
    for (device, ..) in active {
        let sql = "UPDATE device SET last_login_ms = GREATEST(last_login_ms, ?) WHERE device = ?";
        run(db, sql, (millis(at), &device.as_bytes()[..])).await?;
    }
    Ok(())
}

pub(super) async fn login_state<C: Queryable>(db: &mut C, device: DeviceId) -> Sql<Option<LoggedIn>> {
    let sql = "SELECT l.seq, l.head, m.acked_seq, m.last_seq, b.seq, d.submit_counter, r.last_seq, p.due_ms, g.generation, \
               (SELECT s.submit_id FROM submitted s WHERE s.sender = d.device ORDER BY s.submit_id DESC LIMIT 1) \
               FROM device d JOIN account_log l ON l.account = d.account JOIN room_state r ON r.room = 1 \
               LEFT JOIN mailbox_generation g ON g.one = 1 \
               LEFT JOIN mailbox m ON m.device = d.device LEFT JOIN bundle b ON b.device = d.device \
               LEFT JOIN pending_reset p ON p.account = d.account WHERE d.device = ?";
    one(db, sql, (&device.as_bytes()[..],), |row| {
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
    .await
}

/// The counter of the newest submit that is remembered of a device; 0 without one.
fn newest_submit(row: &mut Row, index: usize) -> Sql<u64> {
    let Some(bytes) = column::<Option<Vec<u8>>>(row, index)? else { return Ok(0) };
    let bytes = bytes.try_into().map_err(|_| Fault::Odd("an id of a wrong length"))?;
    Ok(SubmitId::from_bytes(bytes).counter())
}
