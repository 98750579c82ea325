//! What a group of submits needs to know, as each database reads it.

use std::collections::{BTreeSet, HashMap};

use chat_protocol::ids::{DeviceId, GroupHead, GroupId, Head, SubmitId, Username};

use super::types::{DeviceState, SubmitRow};

/// Counters of a mailbox.
#[derive(Clone, Copy, Default)]
pub(in crate::store) struct Counters {
    pub(in crate::store) last: u64,
    pub(in crate::store) messages: u64,
    pub(in crate::store) bytes: u64,
}

/// What a mailbox holds from one account.
#[derive(Clone, Copy, Default)]
pub(in crate::store) struct FromSender {
    pub(in crate::store) messages: u64,
    pub(in crate::store) bytes: u64,
}

/// The state of everything a group of submits touches.
#[derive(Default)]
pub(in crate::store) struct Snapshot {
    pub(in crate::store) devices: HashMap<DeviceId, (i64, DeviceState)>,
    /// Owners of the devices.
    pub(in crate::store) users: HashMap<i64, Username>,
    /// Heads of those owners and of the accounts that are claimed, where they have a log.
    pub(in crate::store) heads: HashMap<Username, Head>,
    /// Last ops that were called of the groups that are named.
    pub(in crate::store) groups: HashMap<GroupId, GroupHead>,
    pub(in crate::store) mailboxes: HashMap<DeviceId, Counters>,
    /// Messages and bytes per mailbox and sending account.
    pub(in crate::store) senders: HashMap<(DeviceId, i64), FromSender>,
    /// Bytes of each sending account in all mailboxes.
    pub(in crate::store) totals: HashMap<i64, u64>,
    /// Mailboxes that were full when a submit was stored before.
    pub(in crate::store) earlier: HashMap<(DeviceId, SubmitId), Vec<DeviceId>>,
}

impl Snapshot {
    /// Claimed accounts that own none of the devices: whose heads are yet to be read.
    pub(in crate::store) fn claimed_only(&self, rows: &[SubmitRow]) -> Vec<Username> {
        let owners: BTreeSet<_> = self.users.values().collect();
        let claims = rows.iter().flat_map(|row| row.heads.iter().map(|claim| &claim.user));
        let others: BTreeSet<_> = claims.filter(|user| !owners.contains(user)).collect();
        others.into_iter().cloned().collect()
    }
}

/// Groups that are named, each once.
pub(in crate::store) fn named_groups(rows: &[SubmitRow]) -> BTreeSet<GroupId> {
    rows.iter().filter_map(|row| row.group).map(|at| at.group).collect()
}

/// Mailboxes that were full, as a row of `submitted` lists them.
pub(in crate::store) fn full_devices(column: &[u8]) -> Vec<DeviceId> {
    column.chunks_exact(DeviceId::LEN).filter_map(|device| device.try_into().ok()).collect()
}

/// The column of [`full_devices`].
pub(in crate::store) fn full_column(devices: &[DeviceId]) -> Vec<u8> {
    devices.iter().flat_map(|device| *device.as_bytes()).collect()
}
