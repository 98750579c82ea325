//! Sealing: each content for one device, on the session that is sent on.

use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::Envelope;
use chat_protocol::message::client::{Addressed, UserHead};
use chat_protocol::session::content::{LogEntries, Profile};

use super::kept::{Stored, find, put, put_standings, standings};
use crate::engine::content::{self, Letter};
use crate::engine::outbox::{self, Cargo, Number};
use crate::engine::receipts::{self, Debt};
use crate::engine::siblings::{self, Owed};
use crate::engine::turn::Turn;
use crate::engine::{EngineError, peers};

/// Envelopes ready to be submitted.
pub(crate) struct Sealed {
    pub(crate) heads: Vec<UserHead>,
    pub(crate) to: Vec<Addressed>,
}

/// Seals a letter for each of its recipient's devices.
pub(crate) fn seal_letter(
    turn: &mut Turn<'_>,
    peer: &Username,
    devices: &[(Username, DeviceCert)],
    letter: &Letter,
    number: Number,
) -> Result<Sealed, EngineError> {
    let mut to = Vec::new();
    for (user, cert) in devices {
        let device = cert.id();
        // acknowledgements travel with it; what was read has to wait for a receipt of its own
        if *user == turn.me.user {
            siblings::paid(turn, &device, peer)?;
        } else if let Some(Debt { read: Some(read), .. }) = receipts::pay(turn, &device)? {
            receipts::owe_read(turn, user, &device, read)?;
        }
        outbox::sealed(turn, &device, peer, (number, letter.id()))?;
        let plaintext = content::letter(turn, peer, user, &device, (letter, number))?;
        to.push(Addressed { device, envelope: seal(turn, &device, &plaintext)? });
    }
    let heads = peers::heads(turn, devices.iter().map(|(user, _)| user))?;
    Ok(Sealed { heads, to })
}

/// Seals a receipt for one device.
pub(crate) fn seal_receipt(turn: &mut Turn<'_>, user: &Username, cert: &DeviceCert) -> Result<Sealed, EngineError> {
    let device = cert.id();
    let debt = receipts::pay(turn, &device)?;
    let plaintext = content::receipt(turn, user, &device, debt.as_ref())?;
    seal_alone(turn, user, device, &plaintext)
}

/// Seals for a sibling device what is owed to it about one chat.
pub(crate) fn seal_for_sibling(turn: &mut Turn<'_>, cert: &DeviceCert, owed: &Owed) -> Result<Sealed, EngineError> {
    let plaintext = content::sibling(turn, owed)?;
    let me = turn.me.user.clone();
    seal_alone(turn, &me, cert.id(), &plaintext)
}

/// Seals a sign of life for one device.
pub(super) fn seal_heartbeat(turn: &mut Turn<'_>, user: &Username, cert: &DeviceCert) -> Result<Sealed, EngineError> {
    let plaintext = content::heartbeat(turn, user)?;
    seal_alone(turn, user, cert.id(), &plaintext)
}

/// Seals what this account says of itself for one device.
pub(crate) fn seal_profile(
    turn: &mut Turn<'_>,
    user: &Username,
    cert: &DeviceCert,
    profile: &Profile,
) -> Result<Sealed, EngineError> {
    let plaintext = content::profile(turn, user, profile)?;
    seal_alone(turn, user, cert.id(), &plaintext)
}

/// Seals entries of an account log for one device.
pub(crate) fn seal_log(
    turn: &mut Turn<'_>,
    user: &Username,
    cert: &DeviceCert,
    log: LogEntries,
) -> Result<Sealed, EngineError> {
    let plaintext = content::log_entries(turn, user, log)?;
    seal_alone(turn, user, cert.id(), &plaintext)
}

fn seal_alone(turn: &mut Turn<'_>, user: &Username, device: DeviceId, plaintext: &[u8]) -> Result<Sealed, EngineError> {
    let envelope = seal(turn, &device, plaintext)?;
    let heads = peers::heads(turn, std::iter::once(user))?;
    Ok(Sealed { heads, to: vec![Addressed { device, envelope }] })
}

fn seal(turn: &mut Turn<'_>, device: &DeviceId, plaintext: &[u8]) -> Result<Envelope, EngineError> {
    let sending = standings(turn.rows, device)?.sending().map(|standing| standing.id);
    let stored = sending.map(|sid| find(turn.rows, &sid)).transpose()?.flatten();
    seal_on(turn, stored.ok_or(EngineError::Damaged("no session to send on"))?, plaintext)
}

fn seal_on(turn: &mut Turn<'_>, mut stored: Stored, plaintext: &[u8]) -> Result<Envelope, EngineError> {
    let sid = stored.session.id();
    let sealed = stored.session.seal(plaintext).map_err(|_| EngineError::Damaged("a session that cannot send"))?;
    put(turn.rows, &stored)?;
    let mut known = standings(turn.rows, &stored.device)?;
    let init = stored.init.filter(|_| known.needs_init(sid));
    known.sealed(sid);
    put_standings(turn, &stored.device, &known)?;
    Ok(Envelope { sid, header: sealed.header.into(), token: sealed.token.into(), init })
}

pub(super) fn send_reset(turn: &mut Turn<'_>, user: &Username, stored: &Stored) -> Result<(), EngineError> {
    let plaintext = content::reset(turn, user)?;
    let envelope = seal_on(turn, stored.clone(), &plaintext)?;
    let heads = peers::heads(turn, std::iter::once(user))?;
    let to = vec![Addressed { device: stored.device, envelope }];
    Ok(outbox::submit(turn, heads, to, Cargo::Reset(user.clone(), stored.device))?)
}
