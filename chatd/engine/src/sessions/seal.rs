//! Sealing: each content for one device, on the session that is sent on.

use chat_protocol::ids::DeviceId;
use chat_protocol::message::Envelope;
use chat_protocol::session::manager::Standings;

use crate::model::error::EngineError;
use crate::sessions::session_store::{self, Stored};
use crate::txn::Txn;

/// Seals on the session with a device that is sent on.
pub(crate) fn seal(txn: &mut Txn<'_>, device: &DeviceId, plaintext: &[u8]) -> Result<Envelope, EngineError> {
    let known = session_store::standings(txn.rows, device)?;
    let sending = known.sending().map(|standing| standing.id);
    let stored = sending.map(|sid| session_store::find(txn.rows, &sid)).transpose()?.flatten();
    seal_by(txn, known, stored.ok_or_else(|| EngineError::damaged("no session to send on"))?, plaintext)
}

/// Seals on this session, whichever is sent on.
pub(crate) fn seal_on(txn: &mut Txn<'_>, stored: Stored, plaintext: &[u8]) -> Result<Envelope, EngineError> {
    let known = session_store::standings(txn.rows, &stored.device)?;
    seal_by(txn, known, stored, plaintext)
}

fn seal_by(
    txn: &mut Txn<'_>,
    mut known: Standings,
    mut stored: Stored,
    plaintext: &[u8],
) -> Result<Envelope, EngineError> {
    let sid = stored.session.id();
    let sealed = stored.session.seal(plaintext).map_err(|_| EngineError::damaged("a session that cannot send"))?;
    session_store::put(txn.rows, &stored)?;
    let init = stored.init.filter(|_| known.needs_init(sid));
    known.sealed(sid);
    session_store::put_standings(txn, &stored.device, &known)?;
    Ok(Envelope { sid, header: sealed.header.into(), token: sealed.token.into(), init })
}
