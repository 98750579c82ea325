//! What a group of submits needs to know, read in a few queries after its devices are locked.

use std::collections::{BTreeSet, HashMap};

use chat_protocol::ids::{DeviceId, Head, SubmitId, Username};
use mysql_async::Value;
use mysql_async::prelude::Queryable;

use super::super::types::{DeviceState, SubmitRow};
use super::accounts::Names;
use super::row::{Sql, blob, id, many, marks, padded, signed, uint, user, value};
use super::{devices, logs};

/// An account as far as submits are concerned.
pub(super) struct Person {
    pub(super) user: Username,
    pub(super) head: Option<Head>,
}

/// Counters of a mailbox.
#[derive(Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) last: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// What a mailbox holds from one account.
#[derive(Clone, Copy, Default)]
pub(super) struct FromSender {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

/// The state of everything a group of submits touches.
#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) devices: HashMap<DeviceId, (i64, DeviceState)>,
    pub(super) people: HashMap<i64, Person>,
    /// Heads of accounts that were named without a device.
    pub(super) claimed: HashMap<Username, Head>,
    pub(super) mailboxes: HashMap<DeviceId, Counters>,
    /// Messages and bytes per mailbox and sending account.
    pub(super) senders: HashMap<(DeviceId, i64), FromSender>,
    /// Bytes of each sending account in all mailboxes.
    pub(super) totals: HashMap<i64, u64>,
    /// Mailboxes that were full when a submit was stored before.
    pub(super) earlier: HashMap<(DeviceId, SubmitId), Vec<DeviceId>>,
}

impl Snapshot {
    /// Locks the devices and reads the rest.
    pub(super) async fn read<C: Queryable>(db: &mut C, names: Names, rows: &[SubmitRow]) -> Sql<Self> {
        let named = |row: &SubmitRow| row.to.iter().map(|(device, _)| *device).collect::<Vec<_>>();
        let targets: BTreeSet<DeviceId> = rows.iter().flat_map(named).collect();
        let all: Vec<_> = rows.iter().map(|row| row.sender).chain(targets.iter().copied()).collect();
        let locked = devices::lock(db, all).await?;
        let devices = locked.into_iter().map(|(device, account, state)| (device, (account, state))).collect();
        let mut snapshot = Self { devices, ..Self::default() };
        let targets = targets.into_iter().filter(|device| snapshot.devices.contains_key(device)).collect();
        let targets: Vec<_> = padded(targets).iter().map(|id| value(id.as_bytes())).collect();
        snapshot.read_people(db).await?;
        snapshot.read_claimed(db, names, rows).await?;
        if !targets.is_empty() {
            snapshot.read_mailboxes(db, targets).await?;
        }
        snapshot.read_earlier(db, rows).await?;
        Ok(snapshot)
    }

    async fn read_people<C: Queryable>(&mut self, db: &mut C) -> Sql<()> {
        let accounts: BTreeSet<i64> = self.devices.values().map(|(account, _)| *account).collect();
        if accounts.is_empty() {
            return Ok(());
        }
        let accounts = padded(accounts.into_iter().map(Value::from).collect());
        let totals = accounts.clone();
        let sql = format!(
            "SELECT u.id, u.username, l.seq, l.head FROM chat_app u LEFT JOIN account_log l ON l.account = u.id \
             WHERE u.id IN ({})",
            marks("?", accounts.len())
        );
        let people = many(db, sql, accounts, |row| {
            let head = match super::row::column::<Option<i64>>(row, 2)? {
                Some(seq) => Some(Head { seq: seq.unsigned_abs(), hash: id(row, 3)? }),
                None => None,
            };
            Ok((signed(row, 0)?, Person { user: user(row, 1)?, head }))
        });
        self.people = people.await?.into_iter().collect();
        let sql = format!("SELECT account, bytes FROM mailbox_total WHERE account IN ({})", marks("?", totals.len()));
        let totals = many(db, sql, totals, |row| Ok((signed(row, 0)?, uint(row, 1)?)));
        self.totals = totals.await?.into_iter().collect();
        Ok(())
    }

    async fn read_claimed<C: Queryable>(&mut self, db: &mut C, names: Names, rows: &[SubmitRow]) -> Sql<()> {
        let strangers = self.strangers(rows);
        let heads = logs::heads(db, names, &strangers).await?;
        self.claimed = heads.into_iter().filter_map(|known| Some((known.user, known.head?))).collect();
        Ok(())
    }

    /// Claimed accounts of which no device is involved.
    fn strangers(&self, rows: &[SubmitRow]) -> Vec<Username> {
        let known: BTreeSet<_> = self.people.values().map(|person| &person.user).collect();
        let claims = rows.iter().flat_map(|row| row.heads.iter().map(|claim| &claim.user));
        let strangers: BTreeSet<_> = claims.filter(|user| !known.contains(user)).collect();
        strangers.into_iter().cloned().collect()
    }

    async fn read_mailboxes<C: Queryable>(&mut self, db: &mut C, targets: Vec<Value>) -> Sql<()> {
        let list = marks("?", targets.len());
        let sql = format!("SELECT device, last_seq, messages, bytes FROM mailbox WHERE device IN ({list})");
        let mailboxes = many(db, sql, targets.clone(), |row| {
            Ok((id(row, 0)?, Counters { last: uint(row, 1)?, messages: uint(row, 2)?, bytes: uint(row, 3)? }))
        });
        self.mailboxes = mailboxes.await?.into_iter().collect();
        let sql = format!(
            "SELECT s.device, s.account, s.messages, COALESCE(b.bytes, 0) FROM mailbox_sender s \
             LEFT JOIN mailbox_share b ON b.device = s.device AND b.account = s.account WHERE s.device IN ({list})"
        );
        let senders = many(db, sql, targets, |row| {
            let from = FromSender { messages: uint(row, 2)?, bytes: uint(row, 3)? };
            Ok(((id(row, 0)?, signed(row, 1)?), from))
        });
        self.senders = senders.await?.into_iter().collect();
        Ok(())
    }

    async fn read_earlier<C: Queryable>(&mut self, db: &mut C, rows: &[SubmitRow]) -> Sql<()> {
        let keys = padded(rows.iter().map(|row| (row.sender, row.submit_id)).collect());
        let each = vec!["(sender = ? AND submit_id = ?)"; keys.len()].join(" OR ");
        let sql = format!("SELECT sender, submit_id, full_devices FROM submitted WHERE {each}");
        let values = keys.iter().flat_map(|(sender, submit)| [value(sender.as_bytes()), value(submit.as_bytes())]);
        let earlier = many(db, sql, values.collect::<Vec<_>>(), |row| {
            let full = blob(row, 2)?;
            let full = full.chunks_exact(DeviceId::LEN).filter_map(|device| device.try_into().ok()).collect();
            Ok(((id(row, 0)?, SubmitId::from_bytes(id(row, 1)?)), full))
        });
        self.earlier = earlier.await?.into_iter().collect();
        Ok(())
    }
}
