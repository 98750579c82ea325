//! Who the others are: their account logs as pinned here, and how far they are trusted.
//!
//! ```text
//! unknown ──log verified──▶ tofu ──user compared──▶ verified
//!                             │                        │ valid extensions keep either
//!                             └──── another identity ──┴──▶ changed: nothing leaves, until
//!                                                            the user accepts or verifies one
//! ```
//! The server stores logs and cannot extend them; what does not follow from the pin is never used.

pub(crate) mod behind;
mod fetch;
mod names;
pub(crate) mod pin;
pub(crate) mod policy;
mod trust;
mod withheld;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::client::UserHead;

pub(crate) use self::fetch::{fetch, fetched, fetching, refresh};
pub(crate) use self::names::{ask_names, hurry, look_up, looked_up};
pub(crate) use self::pin::{PinChange, PinChanges, apply_shown_log, extend};
pub use self::policy::{policy, policy_of_chat, set_policy};
pub use self::trust::unverify;
pub(crate) use self::trust::{accept, accept_compared, mark_verified};
pub(crate) use self::withheld::{Named, announced, report_withheld_logs};
use crate::model::error::EngineError;
pub use crate::records::device_tables::{DeviceTable, get as table_of, leaves_all_out, leaves_out};
pub use crate::records::pins::{Identity, Peer, Trust, all, get};
use crate::records::{device_tables, pins, waiting_inits};
use crate::rows::PINS;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// To whom a message for somebody goes.
pub(crate) enum Recipients {
    /// These devices, all active in a verified log.
    Devices(Vec<(Username, DeviceId)>),
    /// Not yet known, or blocked until the user decides.
    Wait,
}

pub(crate) fn put(txn: &mut Txn<'_>, peer: &Peer) -> Result<(), RowsError> {
    waiting_inits::look_again(txn, &peer.user)?;
    txn.live.pins_changed.insert(peer.user.clone());
    PINS.put(txn.rows, &peer.user, peer.pinned.first_seen.as_millis(), peer)?;
    device_tables::store(txn.rows, peer)
}

/// The own log: what the account row says, and what was appended since.
pub(crate) fn own(txn: &mut Txn<'_>) -> Result<Peer, EngineError> {
    let me = txn.me.user.clone();
    if let Some(peer) = pins::get(txn.rows, &me)? {
        return Ok(peer);
    }
    let pinned = Identity { log: txn.me.log.clone(), first_seen: txn.clock };
    let peer = Peer::new(me, pinned, Trust::Verified);
    put(txn, &peer)?;
    Ok(peer)
}

/// The account was entered, perhaps anew after a reset: its log is the one to go by.
///
/// # Errors
/// [`RowsError`].
pub fn entered(rows: &mut dyn Rows, user: &Username, log: Option<&AccountLog>) -> Result<(), RowsError> {
    let known = pins::get(rows, user)?.map(|peer| peer.pinned.log);
    let same = known.zip(log).is_some_and(|(known, log)| known.fingerprint() == log.fingerprint());
    if !same {
        PINS.delete(rows, user)?;
        device_tables::forget(rows, user)?;
    }
    Ok(())
}

/// The devices a message for `user` is sealed for: theirs, and the own other ones.
pub(crate) fn recipients(txn: &mut Txn<'_>, user: &Username) -> Result<Recipients, EngineError> {
    if fetch::fetching(txn, user) {
        return Ok(Recipients::Wait);
    }
    if *user == txn.me.user {
        return Ok(Recipients::Devices(own_other_devices(txn)?));
    }
    let Some(table) = device_tables::get(txn.rows, user)?.filter(|table| !table.active.is_empty()) else {
        names::look_up(txn, user);
        return Ok(Recipients::Wait);
    };
    if table.changed {
        return Ok(Recipients::Wait);
    }
    let policy = policy::policy(txn.rows, user)?;
    let devices = table.devices().filter(|device| !leaves_out(policy, &table, device));
    let mut devices: Vec<_> = devices.map(|device| (user.clone(), device)).collect();
    if devices.is_empty() {
        return Ok(Recipients::Wait);
    }
    devices.extend(own_other_devices(txn)?);
    Ok(Recipients::Devices(devices))
}

fn own_other_devices(txn: &mut Txn<'_>) -> Result<Vec<(Username, DeviceId)>, EngineError> {
    let me = txn.me.user.clone();
    Ok(own_others(txn)?.into_iter().map(|device| (me.clone(), device)).collect())
}

/// The table of the own account.
pub(crate) fn own_table(txn: &mut Txn<'_>) -> Result<DeviceTable, EngineError> {
    match device_tables::get(txn.rows, &txn.me.user)? {
        Some(table) => Ok(table),
        None => Ok(DeviceTable::of(&own(txn)?)),
    }
}

/// The table of `user`, the own account included.
pub(crate) fn table(txn: &mut Txn<'_>, user: &Username) -> Result<Option<DeviceTable>, EngineError> {
    if *user == txn.me.user { own_table(txn).map(Some) } else { Ok(device_tables::get(txn.rows, user)?) }
}

/// What is known about `user` with the whole log, the own account included.
pub(crate) fn known(txn: &mut Txn<'_>, user: &Username) -> Result<Option<Peer>, EngineError> {
    if *user == txn.me.user { own(txn).map(Some) } else { Ok(pins::get(txn.rows, user)?) }
}

/// Whether a device is active in a pinned log.
pub(crate) fn is_active(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<bool, EngineError> {
    Ok(table(txn, user)?.is_some_and(|table| table.has(device)))
}

/// Whether a pinned log has ended a device.
pub(crate) fn has_revoked(txn: &Txn<'_>, user: &Username, device: &DeviceId) -> Result<bool, RowsError> {
    match device_tables::get(txn.rows, user)? {
        Some(table) => table.has_revoked(txn.rows, device),
        None => Ok(false),
    }
}

/// Heads of the accounts a submit names, as they are pinned here.
pub(crate) fn heads<'u>(
    txn: &mut Txn<'_>,
    users: impl Iterator<Item = &'u Username>,
) -> Result<Vec<UserHead>, EngineError> {
    let mut heads = Vec::new();
    for user in users.collect::<std::collections::BTreeSet<_>>() {
        heads.extend(table(txn, user)?.map(|table| UserHead { user: table.user, head: table.head }));
    }
    Ok(heads)
}

/// The active devices of this account but this one.
pub(crate) fn own_others(txn: &mut Txn<'_>) -> Result<Vec<DeviceId>, EngineError> {
    let mine = txn.me.device;
    Ok(own_table(txn)?.devices().filter(|device| *device != mine).collect())
}
