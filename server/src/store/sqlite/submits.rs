//! Submits: a group is read, decided and written; counters once, however many of the group they count.

use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::time::Timestamp;
use rusqlite::Connection;

use super::super::contract::{Result, StoreError};
use super::super::decide::{Changes, decide};
use super::super::snapshot::{Snapshot, full_column, full_devices};
use super::super::types::{SubmitOutcome, SubmitRow};
use super::row::{Sql, int, millis, one, run, uint};
use super::snapshot;
use super::writer::apart;
use crate::rules::Quota;

/// Stores a group of submits behind one savepoint. If one of them spoils that, each gets its own: what breaks is nobody
/// else's loss.
pub(super) fn commit(db: &Connection, rows: &[SubmitRow], quota: &Quota) -> Result<Vec<SubmitOutcome>> {
    match apart(db, |db| together(db, rows, quota)) {
        Err(error) if spoils(&error) => rows.iter().map(|row| alone(db, row, quota)).collect(),
        outcomes => outcomes,
    }
}

fn alone(db: &Connection, row: &SubmitRow, quota: &Quota) -> Result<SubmitOutcome> {
    match apart(db, |db| together(db, std::slice::from_ref(row), quota)) {
        Err(error) if spoils(&error) => {
            tracing::error!(sender = %row.sender, cause = ?error, "a submit could not be stored");
            Ok(SubmitOutcome::Failed)
        }
        outcomes => Ok(outcomes?.pop().unwrap_or(SubmitOutcome::Failed)),
    }
}

/// Whether what one row needs may be to blame, and not the database as a whole.
const fn spoils(error: &StoreError) -> bool {
    matches!(error, StoreError::Internal(_) | StoreError::Corrupt(_))
}

fn together(db: &Connection, rows: &[SubmitRow], quota: &Quota) -> Sql<Vec<SubmitOutcome>> {
    let mut snapshot = snapshot::read(db, rows)?;
    let (outcomes, changes) = decide(&mut snapshot, rows, quota);
    store(db, &snapshot, &changes)?;
    Ok(outcomes)
}

fn store(db: &Connection, snapshot: &Snapshot, changes: &Changes<'_>) -> Sql<()> {
    let sql = "INSERT INTO mail (device, seq, sender, sender_account, at_ms, envelope) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    for mail in &changes.mail {
        let (device, sender) = (mail.device.as_bytes(), mail.sender.as_bytes());
        run(db, sql, (device, int(mail.seq), sender, mail.account, millis(mail.at), mail.envelope))?;
    }
    let sql = "INSERT INTO mailbox (device, last_seq, acked_seq, messages, bytes) VALUES (?1, ?2, 0, ?3, ?4) \
               ON CONFLICT (device) DO UPDATE SET last_seq = ?2, messages = ?3, bytes = ?4";
    for device in &changes.mailboxes {
        let now = snapshot.mailboxes.get(device).copied().unwrap_or_default();
        run(db, sql, (device.as_bytes(), int(now.last), int(now.messages), int(now.bytes)))?;
    }
    let sql = "INSERT INTO mailbox_by_sender (device, account, messages, bytes) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (device, account) DO UPDATE SET messages = ?3, bytes = ?4";
    for (device, account) in &changes.senders {
        let now = snapshot.senders.get(&(*device, *account)).copied().unwrap_or_default();
        run(db, sql, (device.as_bytes(), account, int(now.messages), int(now.bytes)))?;
    }
    let sql = "INSERT INTO mailbox_total (account, bytes) VALUES (?1, ?2) \
               ON CONFLICT (account) DO UPDATE SET bytes = bytes + ?2";
    for (account, bytes) in &changes.added {
        run(db, sql, (account, int(*bytes)))?;
    }
    let remembered = &mut changes.remembered.iter();
    remembered.try_for_each(|submit| remember(db, (submit.sender, submit.submit_id), submit.at, &submit.full, 0))
}

/// Remembers what a submit or post was answered.
pub(super) fn remember(
    db: &Connection,
    (sender, submit_id): (DeviceId, SubmitId),
    at: Timestamp,
    full: &[DeviceId],
    room_seq: u64,
) -> Sql<()> {
    let sql = "INSERT INTO submitted (sender, submit_id, at_ms, full_devices, room_seq) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = (sender.as_bytes(), submit_id.as_bytes(), millis(at), full_column(full), int(room_seq));
    run(db, sql, values).map(drop)
}

/// What an earlier submit or post of that id was answered.
pub(super) struct Earlier {
    pub(super) full: Vec<DeviceId>,
    pub(super) room_seq: u64,
}

pub(super) fn recall(db: &Connection, sender: DeviceId, submit_id: SubmitId) -> Sql<Option<Earlier>> {
    let sql = "SELECT full_devices, room_seq FROM submitted WHERE sender = ?1 AND submit_id = ?2";
    one(db, sql, (sender.as_bytes(), submit_id.as_bytes()), |row| {
        Ok(Earlier { full: full_devices(&row.get::<_, Vec<u8>>(0)?), room_seq: uint(row, 1)? })
    })
}
