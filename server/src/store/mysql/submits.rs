//! Submits: a group is read, settled and written in a handful of statements.

use chat_protocol::ids::DeviceId;
use mysql_async::Value;
use mysql_async::prelude::Queryable;

use super::super::decide::{Changes, NewMail, decide};
use super::super::snapshot::{Counters, Snapshot, full_column};
use super::super::types::{SubmitOutcome, SubmitRow};
use super::accounts::Names;
use super::row::{Sql, int, marks, millis, run, value};
use super::snapshot;
use crate::rules::Quota;

/// Rows in one statement …
const ROWS: usize = 256;
/// … and bytes: far below the smallest packet limit in use, 4 MiB.
const BYTES: usize = 1024 * 1024;

pub(super) async fn commit<C: Queryable>(
    db: &mut C,
    names: Names,
    rows: &[SubmitRow],
    quota: &Quota,
) -> Sql<Vec<SubmitOutcome>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut snapshot = snapshot::read(db, names, rows).await?;
    let (outcomes, changes) = decide(&mut snapshot, rows, quota);
    store(db, &snapshot, changes).await?;
    Ok(outcomes)
}

async fn store<C: Queryable>(db: &mut C, snapshot: &Snapshot, changes: Changes<'_>) -> Sql<()> {
    let mail = changes.mail.iter().map(mail_values).collect();
    let insert = "INSERT INTO mail (device, seq, sender, sender_account, at_ms, envelope) VALUES ";
    insert_all(db, insert, "(?, ?, ?, ?, ?, ?)", mail).await?;

    let mailboxes = changes.mailboxes.iter().map(|device| mailbox_values(snapshot, *device)).collect();
    let insert = "INSERT INTO mailbox (device, last_seq, acked_seq, messages, bytes) VALUES ";
    let or_update = " ON DUPLICATE KEY UPDATE last_seq = VALUES(last_seq), messages = VALUES(messages), \
                     bytes = VALUES(bytes)";
    set_all(db, insert, "(?, ?, 0, ?, ?)", or_update, mailboxes, <[_]>::to_vec).await?;

    let senders = changes.senders.iter().map(|key| sender_values(snapshot, *key)).collect();
    let insert = "INSERT INTO mailbox_by_sender (device, account, messages, bytes) VALUES ";
    let or_update = " ON DUPLICATE KEY UPDATE messages = VALUES(messages), bytes = VALUES(bytes)";
    set_all(db, insert, "(?, ?, ?, ?)", or_update, senders, <[_]>::to_vec).await?;

    let totals = changes.added.iter().map(|(account, bytes)| vec![(*account).into(), int(*bytes).into()]).collect();
    let insert = "INSERT INTO mailbox_total (account, bytes) VALUES ";
    // what is acknowledged meanwhile is taken off it: it is added to, not set
    let or_add = " ON DUPLICATE KEY UPDATE bytes = bytes + VALUES(bytes)";
    set_all(db, insert, "(?, ?)", or_add, totals, nothing_more).await?;

    let remembered = changes.remembered.iter().map(|submit| {
        let full = full_column(&submit.full);
        vec![value(submit.sender.as_bytes()), value(submit.submit_id.as_bytes()), millis(submit.at).into(), full.into()]
    });
    let insert = "INSERT INTO submitted (sender, submit_id, at_ms, full_devices, room_seq) VALUES ";
    insert_all(db, insert, "(?, ?, ?, ?, 0)", remembered.collect()).await
}

/// Sets rows, many per statement. Their number is padded by rows that change nothing more, made of the last: few statement
/// texts, so they stay prepared.
async fn set_all<C: Queryable>(
    db: &mut C,
    insert: &str,
    row: &str,
    or_set: &str,
    rows: Vec<Vec<Value>>,
    padding: impl Fn(&[Value]) -> Vec<Value>,
) -> Sql<()> {
    for part in rows.chunks(ROWS) {
        let mut part = part.to_vec();
        let more = part.last().map(|last| padding(last)).unwrap_or_default();
        part.resize(part.len().next_power_of_two(), more);
        let sql = format!("{insert}{}{or_set}", marks(row, part.len()));
        run(db, sql, part.into_iter().flatten().collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// A sum that adds nothing to the account of this one.
fn nothing_more(sum: &[Value]) -> Vec<Value> {
    sum.iter().take(1).cloned().chain([Value::from(0)]).collect()
}

fn mail_values(mail: &NewMail<'_>) -> Vec<Value> {
    vec![
        value(mail.device.as_bytes()),
        int(mail.seq).into(),
        value(mail.sender.as_bytes()),
        mail.account.into(),
        millis(mail.at).into(),
        value(mail.envelope),
    ]
}

fn mailbox_values(snapshot: &Snapshot, device: DeviceId) -> Vec<Value> {
    let Counters { last, messages, bytes } = snapshot.mailboxes.get(&device).copied().unwrap_or_default();
    vec![value(device.as_bytes()), int(last).into(), int(messages).into(), int(bytes).into()]
}

fn sender_values(snapshot: &Snapshot, key: (DeviceId, i64)) -> Vec<Value> {
    let from = snapshot.senders.get(&key).copied().unwrap_or_default();
    vec![value(key.0.as_bytes()), key.1.into(), int(from.messages).into(), int(from.bytes).into()]
}

/// Inserts rows, many per statement.
pub(super) async fn insert_all<C: Queryable>(
    db: &mut C,
    insert: &str,
    row: &str,
    mut rows: Vec<Vec<Value>>,
) -> Sql<()> {
    while !rows.is_empty() {
        let rest = rows.split_off(fitting(&rows));
        let sql = format!("{insert}{}", marks(row, rows.len()));
        run(db, sql, rows.into_iter().flatten().collect::<Vec<_>>()).await?;
        rows = rest;
    }
    Ok(())
}

/// How many rows fit one statement: a power of two or one and a half of it, so that there are few texts, which stay
/// prepared, and few statements, each a turn to the database and back.
fn fitting(rows: &[Vec<Value>]) -> usize {
    let size = |row: &Vec<Value>| {
        row.iter().map(|value| if let Value::Bytes(bytes) = value { bytes.len() } else { 8 }).sum::<usize>()
    };
    let mut bytes = 0;
    let fit = rows.iter().take(ROWS).take_while(|row| {
        bytes += size(row);
        bytes <= BYTES
    });
    let fit = fit.count().max(1);
    let power = (fit + 1).next_power_of_two() / 2;
    let more = power + power / 2;
    if more <= fit { more } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_few_lengths_and_bounded_size() {
        let small = vec![vec![Value::from(1)]; 300];
        assert_eq!(fitting(&small), 256);
        assert_eq!([255, 192, 191, 128, 7, 3, 2].map(|rows| fitting(&small[..rows])), [192, 192, 128, 128, 6, 3, 2]);
        assert_eq!(fitting(&small[..1]), 1);
        let large = vec![vec![value(&[0; 400_000])]; 5];
        assert_eq!(fitting(&large), 2);
        assert_eq!(fitting(&[vec![value(&[0; 2_000_000])]]), 1, "what is too large alone still goes");
    }
}
