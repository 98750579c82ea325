//! Who the others are: their account logs as pinned here, and how far they are trusted.
//!
//! ```text
//! unknown ──log verified──▶ tofu ──user compared──▶ verified
//!                             │                        │ valid extensions keep either
//!                             └──── another identity ──┴──▶ changed: nothing leaves, until
//!                                                            the user accepts or verifies one
//! ```
//! The server stores logs and cannot extend them; what does not follow from the pin is never used.

mod fetch;
mod names;
pub(crate) mod pin;
pub(crate) mod policy;
mod trust;
mod withheld;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
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
pub use crate::records::pins::{Identity, Peer, Trust, all, get, leaves_all_out, leaves_out};
use crate::records::{pins, waiting_inits};
use crate::rows::PINS;
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// To whom a message for somebody goes.
pub(crate) enum Recipients {
    /// These devices, all active in a verified log.
    Devices(Vec<(Username, DeviceCert)>),
    /// Not yet known, or blocked until the user decides.
    Wait,
}

pub(crate) fn put(txn: &mut Txn<'_>, peer: &Peer) -> Result<(), RowsError> {
    waiting_inits::look_again(txn, &peer.user)?;
    txn.live.pins_changed.insert(peer.user.clone());
    PINS.put(txn.rows, &peer.user, peer.pinned.first_seen.as_millis(), peer)
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
    }
    Ok(())
}

/// The devices a message for `user` is sealed for: theirs, and the own other ones.
pub(crate) fn recipients(txn: &mut Txn<'_>, user: &Username) -> Result<Recipients, EngineError> {
    if fetch::fetching(txn, user) {
        return Ok(Recipients::Wait);
    }
    if *user == txn.me.user {
        return Ok(Recipients::Devices(own_other_certs(txn)?));
    }
    let Some(peer) = pins::get(txn.rows, user)? else {
        names::look_up(txn, user);
        return Ok(Recipients::Wait);
    };
    if peer.rival.is_some() {
        return Ok(Recipients::Wait);
    }
    let mut devices: Vec<_> = active(&peer).collect();
    if devices.is_empty() {
        names::look_up(txn, user);
        return Ok(Recipients::Wait);
    }
    let policy = policy::policy(txn.rows, user)?;
    devices.retain(|(_, cert)| !leaves_out(policy, &peer, &cert.id()));
    if devices.is_empty() {
        return Ok(Recipients::Wait);
    }
    devices.extend(own_other_certs(txn)?);
    Ok(Recipients::Devices(devices))
}

/// The own other devices.
fn own_other_certs(txn: &mut Txn<'_>) -> Result<Vec<(Username, DeviceCert)>, EngineError> {
    let mine = txn.me.device;
    Ok(active(&own(txn)?).filter(|(_, cert)| cert.id() != mine).collect())
}

fn active(peer: &Peer) -> impl Iterator<Item = (Username, DeviceCert)> {
    let certs: Vec<_> = peer.pinned.log.active_devices().cloned().collect();
    certs.into_iter().map(|cert| (cert.user().clone(), cert))
}

/// What is known about `user`, the own account included.
pub(crate) fn known(txn: &mut Txn<'_>, user: &Username) -> Result<Option<Peer>, EngineError> {
    if *user == txn.me.user { own(txn).map(Some) } else { Ok(pins::get(txn.rows, user)?) }
}

/// The certificate of a device that is active in a pinned log.
pub(crate) fn device(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<Option<DeviceCert>, EngineError> {
    Ok(known(txn, user)?.and_then(|peer| peer.pinned.log.active(device).cloned()))
}

/// Heads of the accounts a submit names, as they are pinned here.
pub(crate) fn heads<'u>(
    txn: &mut Txn<'_>,
    users: impl Iterator<Item = &'u Username>,
) -> Result<Vec<UserHead>, EngineError> {
    let mut heads = Vec::new();
    for user in users.collect::<std::collections::BTreeSet<_>>() {
        heads.extend(known(txn, user)?.map(|peer| UserHead { user: peer.user, head: peer.pinned.log.head() }));
    }
    Ok(heads)
}

/// The active devices of this account but this one.
pub(crate) fn own_others(txn: &mut Txn<'_>) -> Result<Vec<DeviceId>, EngineError> {
    let mine = txn.me.device;
    let own = own(txn)?;
    Ok(own.pinned.log.active_devices().map(|cert| cert.id()).filter(|id| *id != mine).collect())
}
