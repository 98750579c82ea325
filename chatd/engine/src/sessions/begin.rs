//! Beginning a session: a bundle is asked for, verified, and an INIT made from it.

use std::time::Duration;

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::{DeviceId, Username};
use chat_protocol::message::client::BundleFetch;
use chat_protocol::message::server::{Bundle, Refusal};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::init::{self, Own};

use crate::model::error::EngineError;
use crate::peers::{self, Recipients};
use crate::rows::BUNDLES_SEEN;
use crate::sessions::session_store::{self, Stored};
use crate::sessions::{maintenance, restarts, server_clock};
use crate::txn::Txn;
use crate::txn::live::{Asked, Subject};

/// Pause before a bundle is asked for again that could not be used: another one comes only once its device is there,
/// and each that is handed out costs it a one-time key.
const UNUSABLE_PAUSE: Duration = Duration::from_secs(10 * 60);
/// Pause before a device's bundle is asked for again.
const BUNDLE_PAUSE: Duration = Duration::from_secs(60);
/// A device whose bundle was asked for so long ago without coming holds up the others of its account no longer.
const BUNDLE_WAIT: Duration = Duration::from_secs(5);
/// The first wait for a device that has no bundle yet; doubled up to the one above.
const FIRST_BUNDLE_PAUSE: Duration = Duration::from_secs(1);

/// Whether a device has a session to send on; asks for its bundle if not.
pub(crate) fn ready(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<bool, EngineError> {
    let known = session_store::standings(txn.rows, device)?;
    let sending = known.sending();
    // an old session serves until its successor is there
    if sending.is_none_or(|standing| standing.renewal_due(txn.now)) {
        ask_bundle(txn, user, device);
    }
    Ok(sending.is_some())
}

/// Whether each device has a session to send on; asks for the bundles of those without.
pub(crate) fn all_ready(txn: &mut Txn<'_>, devices: &[(Username, DeviceId)]) -> Result<bool, EngineError> {
    let mut all = true;
    for (user, device) in devices {
        all &= ready(txn, user, device)?;
    }
    Ok(all)
}

/// Whether a device can be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// There is a session to send on.
    Ready,
    /// Its keys were asked for a moment ago.
    Asked,
    /// It has none to give, or nobody gives them.
    Lacking,
}

/// Whether a device can be written to; asks for its bundle if not.
pub(crate) fn readiness(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) -> Result<Readiness, EngineError> {
    if ready(txn, user, device)? {
        return Ok(Readiness::Ready);
    }
    let since = *txn.live.bundle_since.entry(*device).or_insert(txn.now);
    if txn.now.since(since) >= BUNDLE_WAIT || txn.paused(&Subject::Bundle(*device)) {
        return Ok(Readiness::Lacking);
    }
    txn.wake(since + BUNDLE_WAIT);
    Ok(Readiness::Asked)
}

pub(crate) fn ask_bundle(txn: &mut Txn<'_>, user: &Username, device: &DeviceId) {
    if !txn.paused(&Subject::Bundle(*device)) {
        let request = BundleFetch { user: user.clone(), device: *device };
        txn.ask(Asked::Bundle(user.clone(), *device), &request);
    }
}

/// Starts sessions with those somebody wants to talk to.
pub(crate) fn begin_wanted(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    for user in txn.live.wanted.clone() {
        let Recipients::Devices(devices) = peers::recipients(txn, &user)? else { continue };
        if all_ready(txn, &devices)? {
            txn.live.wanted.remove(&user);
        }
    }
    Ok(())
}

/// A session that was just begun, and what is to go first on it.
pub(crate) struct Begun {
    pub(crate) stored: Stored,
    /// The reset marker.
    pub(crate) resetting: bool,
    /// All that the device did not acknowledge.
    pub(crate) restarting: bool,
}

/// A bundle came, or did not; the session that was begun from it.
pub(crate) fn bundle(
    txn: &mut Txn<'_>,
    user: &Username,
    device: &DeviceId,
    answer: Result<Bundle, Refusal>,
) -> Result<Option<Begun>, EngineError> {
    let bundle = match answer {
        Ok(bundle) => bundle,
        Err(refusal) => {
            let named = Duration::from_millis(refusal.retry_after_ms.unwrap_or(0));
            let pause = no_bundle(txn, device).max(named);
            txn.pause(Subject::Bundle(*device), pause);
            return Ok(None);
        }
    };
    txn.live.bundleless.remove(device);
    txn.live.bundle_since.remove(device);
    let (resetting, restarting) = (maintenance::is_reset_scheduled(txn, device)?, restarts::is_due(txn, device)?);
    let known = session_store::standings(txn.rows, device)?;
    if !resetting && !restarting && known.sending().is_some_and(|standing| !standing.renewal_due(txn.now)) {
        return Ok(None);
    }
    let Some(peer) = peers::known(txn, user)? else { return Ok(None) };
    let Some(stored) = begin(txn, &peer.pinned.log, device, &bundle)? else {
        txn.pause(Subject::Bundle(*device), UNUSABLE_PAUSE);
        return Ok(None);
    };
    Ok(Some(Begun { stored, resetting, restarting }))
}

/// A device that has just enrolled publishes within a moment, another one perhaps never.
fn no_bundle(txn: &mut Txn<'_>, device: &DeviceId) -> Duration {
    let times = txn.live.bundleless.entry(*device).or_default();
    *times = times.saturating_add(1);
    BUNDLE_PAUSE.min(FIRST_BUNDLE_PAUSE * 2u32.saturating_pow(*times - 1))
}

/// Verifies a bundle and starts a session from it.
fn begin(
    txn: &mut Txn<'_>,
    log: &AccountLog,
    device: &DeviceId,
    bundle: &Bundle,
) -> Result<Option<Stored>, EngineError> {
    let Some(cert) = log.active(device) else { return Ok(None) };
    let verified = VerifiedBundle::verify(&bundle.bundle, cert)
        .and_then(|verified| verified.with_one_time(bundle.one_time.as_ref().map(|key| key.0.as_slice())));
    let last_seen = BUNDLES_SEEN.get(txn.rows, device)?.unwrap_or(0);
    let now = server_clock::judging_time(txn)?;
    let fresh = verified.and_then(|verified| verified.check_fresh(last_seen, now).map(|()| verified));
    let verified = match fresh {
        Ok(verified) => verified,
        Err(error) => {
            tracing::warn!(%device, %error, "a bundle is not used");
            return Ok(None);
        }
    };
    BUNDLES_SEEN.put(txn.rows, device, 0, &verified.seq())?;
    let me = peers::own(txn)?;
    let own = Own { keys: &txn.me.keys, cert: &txn.me.cert, log: &me.pinned.log };
    let Ok(begun) = init::initiate(own, log, &verified, txn.clock, txn.rng) else { return Ok(None) };
    let stored =
        Stored { session: begun.session, user: log.user().clone(), device: *device, init: Some(begun.init.into()) };
    session_store::put(txn.rows, &stored)?;
    restarts::begun(txn, &stored, verified.expires())?;
    let mut known = session_store::standings(txn.rows, device)?;
    known.begin(stored.session.id(), txn.now);
    session_store::keep_few(txn, device, known)?;
    Ok(Some(stored))
}
