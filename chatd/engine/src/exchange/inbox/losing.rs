//! Envelopes that will not be shown: dropped, and told to the user.

use chat_protocol::ids::Username;
use chat_protocol::rpc::types::UndecryptableReason;

use crate::exchange::inbox::{envelope_store, refused};
use crate::model::error::EngineError;
use crate::records::{events, waiting_inits};
use crate::rows::ENVELOPES;
use crate::rows::inbox::Raw;
use crate::txn::Txn;

/// Drops one envelope, and nothing else.
pub(crate) fn lose(txn: &mut Txn<'_>, raw: &Raw, why: UndecryptableReason) -> Result<(), EngineError> {
    tracing::debug!(device = %raw.device, %why, "an INIT did not open");
    envelope_store::remove(txn, raw)?;
    Ok(events::undecryptable(txn, &raw.from, why)?)
}

/// An INIT is through. What came without one has lost its session once no other INIT claims to begin it.
pub(crate) fn ended(txn: &mut Txn<'_>, raw: &Raw) -> Result<(), EngineError> {
    if !envelope_store::init_waits(txn, raw)? {
        envelope_store::take_all(txn, raw)?
            .iter()
            .try_for_each(|raw| events::undecryptable(txn, &raw.from, UndecryptableReason::DoesNotOpen))?;
    }
    Ok(refused::hurry(txn, raw)?)
}

/// Drops what is kept back of an identity the user did not accept.
pub(crate) fn drop_held(txn: &mut Txn<'_>, user: &Username) -> Result<(), EngineError> {
    for init in waiting_inits::of(txn, user)?.into_iter().filter(|init| init.told) {
        if let Some(raw) = ENVELOPES.get(txn.rows, &init.position)? {
            envelope_store::take_alike(txn, &raw)?;
            ended(txn, &raw)?;
        }
    }
    Ok(())
}
