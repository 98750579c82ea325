//! Decides a group of submits on what was read, and lists what is to be written. Pure: each row
//! sees what the rows before it changed.

use std::collections::{BTreeMap, BTreeSet};

use chat_protocol::ids::{DeviceId, GroupAt, SubmitId, Username};
use chat_protocol::message::client::UserHead;
use chat_protocol::time::Timestamp;

use super::snapshot::{Counters, Snapshot};
use super::types::{DeviceState, SubmitOutcome, SubmitRow};
use crate::rules::{Owner, Quota, Standpoint, Target, Usage, Verdict, judge, next_seq};

/// A message to be inserted.
pub(in crate::store) struct NewMail<'a> {
    pub(in crate::store) device: DeviceId,
    pub(in crate::store) seq: u64,
    pub(in crate::store) sender: DeviceId,
    pub(in crate::store) account: i64,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) envelope: &'a [u8],
}

/// A submit to be remembered.
pub(in crate::store) struct Remembered {
    pub(in crate::store) sender: DeviceId,
    pub(in crate::store) submit_id: SubmitId,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) full: Vec<DeviceId>,
}

/// What changes; the values of mailboxes and senders are in the snapshot.
#[derive(Default)]
pub(in crate::store) struct Changes<'a> {
    pub(in crate::store) mail: Vec<NewMail<'a>>,
    pub(in crate::store) mailboxes: BTreeSet<DeviceId>,
    pub(in crate::store) senders: BTreeSet<(DeviceId, i64)>,
    /// Bytes that are added to what waits from an account.
    pub(in crate::store) added: BTreeMap<i64, u64>,
    pub(in crate::store) remembered: Vec<Remembered>,
}

pub(in crate::store) fn decide<'a>(
    snapshot: &mut Snapshot,
    rows: &'a [SubmitRow],
    quota: &Quota,
) -> (Vec<SubmitOutcome>, Changes<'a>) {
    let mut changes = Changes::default();
    let outcomes = rows.iter().map(|row| one(snapshot, &mut changes, row, quota)).collect();
    (outcomes, changes)
}

fn one<'a>(snapshot: &mut Snapshot, changes: &mut Changes<'a>, row: &'a SubmitRow, quota: &Quota) -> SubmitOutcome {
    if row.repeats_a_device() {
        return SubmitOutcome::Failed;
    }
    if let Some(full) = snapshot.earlier.get(&(row.sender, row.submit_id)) {
        return SubmitOutcome::Repeated { full: full.clone() };
    }
    let Some((account, DeviceState::Active)) = snapshot.devices.get(&row.sender).copied() else {
        return SubmitOutcome::NotFound;
    };
    let targets: Vec<_> = row.to.iter().map(|(device, envelope)| snapshot.target(*device, account, envelope)).collect();
    let claimed = Standpoint { heads: &row.heads, group: row.group };
    let truth = Standpoint { heads: &snapshot.heads_of(row, &targets), group: snapshot.group_of(row) };
    match judge(quota, claimed, truth, &targets) {
        Verdict::Stale(heads) => SubmitOutcome::Stale(heads),
        Verdict::NotFound => SubmitOutcome::NotFound,
        Verdict::Full => SubmitOutcome::Full,
        Verdict::Store { to, full } => {
            let envelopes = row.to.iter().filter(|(device, _)| to.contains(device));
            let placed =
                envelopes.map(|(device, bytes)| place(snapshot, changes, row, account, *device, bytes)).collect();
            remember(snapshot, changes, row, full.clone());
            SubmitOutcome::Stored { placed, full }
        }
    }
}

impl Snapshot {
    fn target(&self, device: DeviceId, sender: i64, envelope: &[u8]) -> Target {
        let owner = self.devices.get(&device).and_then(|(account, state)| {
            let user = self.users.get(account)?.clone();
            let counters = self.mailboxes.get(&device).copied().unwrap_or_default();
            let from = self.senders.get(&(device, sender)).copied().unwrap_or_default();
            let Counters { messages, bytes, .. } = counters;
            let usage = Usage {
                messages,
                bytes,
                from_sender: from.messages,
                bytes_from_sender: from.bytes,
                bytes_everywhere: self.totals.get(&sender).copied().unwrap_or_default(),
            };
            Some(Owner { user, active: *state == DeviceState::Active, usage })
        });
        Target { device, owner, bytes: envelope.len() as u64 }
    }

    /// Heads of every account that is claimed or owns a target.
    fn heads_of(&self, row: &SubmitRow, targets: &[Target]) -> Vec<UserHead> {
        let owners = targets.iter().filter_map(|target| target.owner.as_ref().map(|owner| &owner.user));
        let users: BTreeSet<&Username> = owners.chain(row.heads.iter().map(|claim| &claim.user)).collect();
        let known = users.into_iter();
        known.filter_map(|user| Some(UserHead { user: user.clone(), head: *self.heads.get(user)? })).collect()
    }

    /// The group that is named, where it stands.
    fn group_of(&self, row: &SubmitRow) -> Option<GroupAt> {
        let group = row.group?.group;
        Some(GroupAt { group, head: *self.groups.get(&group)? })
    }
}

fn place<'a>(
    snapshot: &mut Snapshot,
    changes: &mut Changes<'a>,
    row: &'a SubmitRow,
    account: i64,
    device: DeviceId,
    envelope: &'a [u8],
) -> (DeviceId, u64) {
    let counters = snapshot.mailboxes.entry(device).or_default();
    counters.last = next_seq(counters.last);
    counters.messages += 1;
    counters.bytes += envelope.len() as u64;
    let (seq, from) = (counters.last, snapshot.senders.entry((device, account)).or_default());
    from.messages += 1;
    from.bytes += envelope.len() as u64;
    *snapshot.totals.entry(account).or_default() += envelope.len() as u64;
    *changes.added.entry(account).or_default() += envelope.len() as u64;
    changes.mailboxes.insert(device);
    changes.senders.insert((device, account));
    let (sender, at) = (row.sender, row.at);
    changes.mail.push(NewMail { device, seq, sender, account, at, envelope });
    (device, seq)
}

fn remember(snapshot: &mut Snapshot, changes: &mut Changes<'_>, row: &SubmitRow, full: Vec<DeviceId>) {
    snapshot.earlier.insert((row.sender, row.submit_id), full.clone());
    changes.remembered.push(Remembered { sender: row.sender, submit_id: row.submit_id, at: row.at, full });
}
