//! Composing and sealing: what is written to each device, on the session that is sent on.

use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::client::{Addressed, UserHead};
use chat_protocol::session::content::{LogEntries, Profile};

use crate::model::error::EngineError;
use crate::peers;
use crate::queue::compose::{self, OutgoingContent};
use crate::queue::own_receipts;
use crate::queue::receipts;
use crate::queue::{pending_submits, retransmit};
use crate::rows::outbox::Number;
use crate::rows::outbox::PendingOwnReceipt;
use crate::rows::outbox::PendingReceipt;
use crate::rows::outbox::SubmitKind;
use crate::sessions::seal;
use crate::sessions::session_store::Stored;
use crate::txn::Txn;

/// Envelopes ready to be submitted.
pub(crate) struct Sealed {
    pub(crate) heads: Vec<UserHead>,
    pub(crate) to: Vec<Addressed>,
}

/// Seals a content for each of its recipient's devices.
pub(crate) fn seal_content(
    txn: &mut Txn<'_>,
    peer: &Username,
    devices: &[(Username, DeviceId)],
    outgoing: &OutgoingContent,
    number: Number,
) -> Result<Sealed, EngineError> {
    let mut to = Vec::new();
    for (user, device) in devices {
        // acknowledgements travel with it; what was read has to wait for a receipt of its own
        if *user == txn.me.user {
            own_receipts::told_with_content(txn, device, peer)?;
        } else if let Some(PendingReceipt { read: Some(read), .. }) = receipts::take(txn, device)? {
            receipts::schedule_read(txn, user, device, read)?;
        }
        retransmit::sealed(txn, device, peer, (number, outgoing.id()))?;
        let plaintext = compose::message(txn, peer, user, device, (outgoing, number))?;
        to.push(Addressed { device: *device, envelope: seal::seal(txn, device, &plaintext)? });
    }
    let heads = peers::heads(txn, devices.iter().map(|(user, _)| user))?;
    Ok(Sealed { heads, to })
}

/// Seals a receipt for one device.
pub(crate) fn seal_receipt(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<Sealed, EngineError> {
    let pending = receipts::take(txn, device)?;
    let plaintext = compose::receipt(txn, user, device, pending.as_ref())?;
    seal_alone(txn, user, device, &plaintext)
}

/// Seals a receipt about one chat for another own device.
pub(crate) fn seal_own_receipt(txn: &mut Txn<'_>, pending: &PendingOwnReceipt) -> Result<Sealed, EngineError> {
    let plaintext = compose::own_receipt(txn, pending)?;
    let me = txn.me.user.clone();
    seal_alone(txn, &me, &pending.device, &plaintext)
}

/// Seals a sign of life for one device.
pub(crate) fn seal_heartbeat(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<Sealed, EngineError> {
    let plaintext = compose::heartbeat(txn, user)?;
    seal_alone(txn, user, device, &plaintext)
}

/// Seals what this account says of itself for one device.
pub(crate) fn seal_profile(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    profile: &Profile,
) -> Result<Sealed, EngineError> {
    let plaintext = compose::profile(txn, user, profile)?;
    seal_alone(txn, user, device, &plaintext)
}

/// Seals entries of an account log for one device.
pub(crate) fn seal_log(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    log: LogEntries,
) -> Result<Sealed, EngineError> {
    let plaintext = compose::log_entries(txn, user, log)?;
    seal_alone(txn, user, device, &plaintext)
}

fn seal_alone(txn: &mut Txn<'_>, user: &Username, device: &DeviceId, plaintext: &[u8]) -> Result<Sealed, EngineError> {
    let envelope = seal::seal(txn, device, plaintext)?;
    let heads = peers::heads(txn, std::iter::once(user))?;
    Ok(Sealed { heads, to: vec![Addressed { device: *device, envelope }] })
}

pub(crate) fn send_reset(txn: &mut Txn<'_>, user: &Username, stored: &Stored) -> Result<(), EngineError> {
    let plaintext = compose::reset(txn, user)?;
    let envelope = seal::seal_on(txn, stored.clone(), &plaintext)?;
    let heads = peers::heads(txn, std::iter::once(user))?;
    let to = vec![Addressed { device: stored.device, envelope }];
    Ok(pending_submits::submit_envelopes(txn, heads, to, SubmitKind::Reset(user.clone(), stored.device))?)
}
