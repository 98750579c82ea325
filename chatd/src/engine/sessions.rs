//! End-to-end sessions with the devices of others: which there are, which one is sent on, what opens.
//!
//! Opening works on a copy and commits with the plaintext; sealing commits with the ciphertext. A
//! session that lost its peer is never repaired by guessing: a new INIT replaces it.

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::ids::{DeviceId, SessionId, Username};
use chat_protocol::message::client::{Addressed, BundleFetch, UserHead};
use chat_protocol::message::server::{Bundle, LoggedIn, Refusal};
use chat_protocol::message::{Blob, Envelope};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::content::{Body, Content, Profile};
use chat_protocol::session::init::{self, Init, Own, Share};
use chat_protocol::session::manager::{Arrival, Failures, Standings};
use chat_protocol::session::ratchet::{Header, MessageKey, Opened, Session};
use chat_protocol::time::Timestamp;
use minicbor::{Decode, Encode};
use std::time::Duration;
use zeroize::Zeroizing;

use super::content::Letter;
use super::inbox::Raw;
use super::outbox::{self, Cargo, Number};
use super::peers::{self, Recipients};
use super::receipts::{self, Debt};
use super::state::{Counter, decode, load, save};
use super::turn::{Asked, Subject, Turn};
use super::{EngineError, content, events, prekeys};
use crate::store::{Direction, Place, Rows, RowsError, Table};

/// Pause before a device's bundle is asked for again.
const BUNDLE_PAUSE: Duration = Duration::from_secs(60);
/// The first wait for a device that has no bundle yet; doubled up to the one above.
const FIRST_BUNDLE_PAUSE: Duration = Duration::from_secs(1);
/// Clocks further apart than this do not judge whether a bundle has expired.
const CLOCK_SKEW_MS: u64 = 60 * 60 * 1000;

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stored {
    /// The ratchet.
    #[n(0)]
    session: Session,
    /// Account of the peer.
    #[n(1)]
    pub user: Username,
    /// Its device.
    #[n(2)]
    pub device: DeviceId,
    /// The INIT that precedes every message until a reply was opened.
    #[n(3)]
    init: Option<Blob>,
}

/// What an envelope contained, and from whom it is.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) user: Username,
    pub(crate) device: DeviceId,
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
}

/// Envelopes ready to be submitted.
pub(crate) struct Sealed {
    pub(crate) heads: Vec<UserHead>,
    pub(crate) to: Vec<Addressed>,
}

fn scope(device: &DeviceId) -> Vec<u8> {
    [b"with:".as_slice(), device.as_bytes()].concat()
}

fn index(sid: &SessionId) -> Place<'_> {
    Place::new(Table::Sessions, b"sid", sid.as_bytes())
}

/// The session with this id.
pub(crate) fn find(rows: &dyn Rows, sid: &SessionId) -> Result<Option<Stored>, RowsError> {
    let Some(device) = load::<DeviceId>(rows, index(sid))? else { return Ok(None) };
    load(rows, Place::new(Table::Sessions, &scope(&device), sid.as_bytes()))
}

fn with(rows: &dyn Rows, device: &DeviceId) -> Result<Vec<Stored>, RowsError> {
    rows.scan(Table::Sessions, &scope(device), 0..=u64::MAX, Direction::Ascending, usize::MAX)?
        .iter()
        .map(|(_, bytes)| decode(Table::Sessions, bytes))
        .collect()
}

/// What decides which session with a device is sent on.
///
/// # Errors
/// [`RowsError`].
pub fn standings(rows: &dyn Rows, device: &DeviceId) -> Result<Standings, RowsError> {
    Ok(load(rows, Place::new(Table::Sessions, b"standings", device.as_bytes()))?.unwrap_or_default())
}

fn put_standings(rows: &mut dyn Rows, device: &DeviceId, standings: &Standings) -> Result<(), RowsError> {
    save(rows, Place::new(Table::Sessions, b"standings", device.as_bytes()), 0, standings)
}

fn put(rows: &mut dyn Rows, stored: &Stored) -> Result<(), RowsError> {
    let sid = stored.session.id();
    save(rows, index(&sid), 0, &stored.device)?;
    save(rows, Place::new(Table::Sessions, &scope(&stored.device), sid.as_bytes()), 0, stored)
}

fn delete(rows: &mut dyn Rows, device: &DeviceId, sid: &SessionId) -> Result<(), RowsError> {
    rows.delete(index(sid))?;
    rows.delete(Place::new(Table::Sessions, &scope(device), sid.as_bytes()))?;
    rows.delete_range(Table::Skipped, sid.as_bytes(), 0..=u64::MAX).map(drop)
}

/// Deletes every session with a device that is no longer trusted.
pub(crate) fn wipe(turn: &mut Turn<'_>, device: &DeviceId) -> Result<(), RowsError> {
    turn.rows.delete(Place::new(Table::Sessions, b"standings", device.as_bytes()))?;
    with(turn.rows, device)?.iter().try_for_each(|stored| delete(turn.rows, device, &stored.session.id()))
}

/// Whether each device has a session to send on; asks for the bundles of those without.
pub(crate) fn ready(turn: &mut Turn<'_>, devices: &[(Username, DeviceCert)]) -> Result<bool, EngineError> {
    let mut all = true;
    for (user, cert) in devices {
        let known = standings(turn.rows, &cert.id())?;
        let sending = known.sending();
        all &= sending.is_some();
        // an old session serves until its successor is there
        if sending.is_none_or(|standing| standing.renewal_due(turn.now)) {
            ask_bundle(turn, user, &cert.id());
        }
    }
    Ok(all)
}

fn ask_bundle(turn: &mut Turn<'_>, user: &Username, device: &DeviceId) {
    if !turn.paused(&Subject::Bundle(*device)) {
        let request = BundleFetch { user: user.clone(), device: *device };
        turn.ask(Asked::Bundle(user.clone(), *device), &request);
    }
}

/// Starts sessions with those somebody wants to talk to.
pub(crate) fn pump(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    for user in turn.live.wanted.clone() {
        let Recipients::Devices(devices) = peers::recipients(turn, &user)? else { continue };
        if ready(turn, &devices)? {
            turn.live.wanted.remove(&user);
        }
    }
    Ok(())
}

/// A bundle came, or did not.
pub(crate) fn bundle(
    turn: &mut Turn<'_>,
    user: &Username,
    device: &DeviceId,
    answer: Result<Bundle, Refusal>,
) -> Result<(), EngineError> {
    let bundle = match answer {
        Ok(bundle) => bundle,
        Err(refusal) => {
            let pause = refusal.retry_after_ms.map_or_else(|| no_bundle(turn, device), Duration::from_millis);
            turn.pause(Subject::Bundle(*device), pause);
            return Ok(());
        }
    };
    turn.live.bundleless.remove(device);
    let resetting = turn.live.resetting.remove(device);
    let known = standings(turn.rows, device)?;
    if !resetting && known.sending().is_some_and(|standing| !standing.renewal_due(turn.now)) {
        return Ok(());
    }
    let Some(peer) = peers::known(turn, user)? else { return Ok(()) };
    match begin(turn, &peer.pinned.log, device, &bundle)? {
        Some(stored) if resetting => send_reset(turn, user, &stored),
        Some(_) => Ok(()),
        None => {
            turn.pause(Subject::Bundle(*device), BUNDLE_PAUSE);
            Ok(())
        }
    }
}

/// A device that has just enrolled publishes within a moment, another one perhaps never.
fn no_bundle(turn: &mut Turn<'_>, device: &DeviceId) -> Duration {
    let times = turn.live.bundleless.entry(*device).or_default();
    *times = times.saturating_add(1);
    BUNDLE_PAUSE.min(FIRST_BUNDLE_PAUSE * 2u32.saturating_pow(*times - 1))
}

/// Verifies a bundle and starts a session from it.
fn begin(
    turn: &mut Turn<'_>,
    log: &AccountLog,
    device: &DeviceId,
    bundle: &Bundle,
) -> Result<Option<Stored>, EngineError> {
    let Some(cert) = log.active(device) else { return Ok(None) };
    let verified = VerifiedBundle::verify(&bundle.bundle, cert)
        .and_then(|verified| verified.with_one_time(bundle.one_time.as_ref().map(|key| key.0.as_slice())));
    let seen = Place::new(Table::Sessions, b"bundle", device.as_bytes());
    let last_seen: u64 = load(turn.rows, seen)?.unwrap_or(0);
    let fresh = verified.and_then(|verified| verified.check_fresh(last_seen, judging_time(turn)).map(|()| verified));
    let verified = match fresh {
        Ok(verified) => verified,
        Err(error) => {
            tracing::warn!(%device, %error, "a bundle is not used");
            return Ok(None);
        }
    };
    save(turn.rows, seen, 0, &verified.seq())?;
    let me = peers::own(turn)?;
    let own = Own { keys: &turn.me.keys, cert: &turn.me.cert, log: &me.pinned.log };
    let Ok(begun) = init::initiate(own, log, &verified, turn.now, turn.rng) else { return Ok(None) };
    let stored =
        Stored { session: begun.session, user: log.user().clone(), device: *device, init: Some(begun.init.into()) };
    put(turn.rows, &stored)?;
    let mut known = standings(turn.rows, device)?;
    known.begin(stored.session.id(), turn.now);
    keep_few(turn, device, known)?;
    Ok(Some(stored))
}

/// The server's time, unless the clocks are too far apart to judge by it.
fn judging_time(turn: &Turn<'_>) -> Option<Timestamp> {
    let offset = turn.live.link.as_ref()?.offset_ms;
    (offset.unsigned_abs() <= CLOCK_SKEW_MS).then(|| turn.server_now())
}

/// Writes the standings back and deletes what is receive-only beyond the bound.
fn keep_few(turn: &mut Turn<'_>, device: &DeviceId, mut known: Standings) -> Result<(), RowsError> {
    for sid in known.drop_surplus() {
        delete(turn.rows, device, &sid)?;
    }
    put_standings(turn.rows, device, &known)
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
        if let Some(Debt { read: Some(read), .. }) = receipts::pay(turn, &device)? {
            receipts::owe_read(turn, user, &device, read)?;
        }
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
    put_standings(turn.rows, &stored.device, &known)?;
    Ok(Envelope { sid, header: sealed.header.into(), token: sealed.token.into(), init })
}

fn send_reset(turn: &mut Turn<'_>, user: &Username, stored: &Stored) -> Result<(), EngineError> {
    let plaintext = content::reset(turn, user)?;
    let envelope = seal_on(turn, stored.clone(), &plaintext)?;
    let heads = peers::heads(turn, std::iter::once(user))?;
    let to = vec![Addressed { device: stored.device, envelope }];
    Ok(outbox::submit(turn, heads, to, Cargo::Receipt(user.clone(), stored.device))?)
}

/// Opens an envelope on a session. `None` leaves everything as it was.
pub(crate) fn open(turn: &mut Turn<'_>, stored: &Stored, envelope: &Envelope) -> Result<Option<Received>, EngineError> {
    let scope = envelope.sid.as_bytes();
    let Ok(header) = Header::read(&envelope.header) else { return Ok(None) };
    let id = header.skipped_id();
    let key: Option<MessageKey> = load(turn.rows, Place::new(Table::Skipped, scope, &id))?;
    let opened = stored.session.open(&envelope.header, &envelope.token, key.as_ref(), turn.rng);
    let Ok(opened) = opened else { return Ok(None) };
    if opened.used_skipped {
        turn.rows.delete(Place::new(Table::Skipped, scope, &id))?;
    }
    let known = standings(turn.rows, &stored.device)?;
    commit(turn, stored.clone(), opened, known, envelope.init.is_some()).map(Some)
}

/// Stores all that opening a message has changed.
fn commit(
    turn: &mut Turn<'_>,
    mut stored: Stored,
    opened: Opened,
    mut known: Standings,
    with_init: bool,
) -> Result<Received, EngineError> {
    let sid = stored.session.id();
    for skipped in &opened.new_skipped {
        save(turn.rows, Place::new(Table::Skipped, sid.as_bytes(), &skipped.id), skipped.order, &skipped.key)?;
    }
    if let Some(last) = opened.forget_below.checked_sub(1) {
        turn.rows.delete_range(Table::Skipped, sid.as_bytes(), 0..=last)?;
    }
    stored.session = opened.session;
    known.opened(sid, Arrival { with_init, now: turn.now });
    if !known.needs_init(sid) {
        stored.init = None;
    }
    put(turn.rows, &stored)?;
    keep_few(turn, &stored.device, known)?;
    Ok(Received { user: stored.user, device: stored.device, plaintext: opened.plaintext })
}

/// Reads the INIT of a waiting envelope; `None` if nothing will ever come of it.
pub(crate) fn read_init(turn: &Turn<'_>, raw: &Raw) -> Result<Option<Init>, RowsError> {
    let Some(init) = raw.envelope.init.as_ref().and_then(|bytes| Init::read(bytes).ok()) else { return Ok(None) };
    let addressed = init.check_addressed(&raw.device, &turn.me.cert).is_ok() && init.initiator().user == raw.from;
    let known = addressed && prekeys::names_known(turn.rows, &init)? && !known_init(turn.rows, &init)?;
    Ok(known.then_some(init))
}

fn known_init(rows: &dyn Rows, init: &Init) -> Result<bool, RowsError> {
    Ok(rows.get(Place::new(Table::Replay, b"", &init.hash()))?.is_some())
}

/// Whether an envelope begins a session that was begun before and is gone.
pub(crate) fn is_replay(rows: &dyn Rows, envelope: &Envelope) -> Result<bool, RowsError> {
    match envelope.init.as_ref().and_then(|bytes| Init::read(bytes).ok()) {
        Some(init) => known_init(rows, &init),
        None => Ok(false),
    }
}

/// Whether an INIT fits its author's pinned log and the session id it came under; no RSA yet.
pub(crate) fn fits(turn: &mut Turn<'_>, raw: &Raw, init: &Init, log: &AccountLog) -> Result<bool, EngineError> {
    let me = peers::own(turn)?;
    let own = Own { keys: &turn.me.keys, cert: &turn.me.cert, log: &me.pinned.log };
    let Some(keys) = prekeys::named(turn.rows, init)? else { return Ok(false) };
    let resolved = init::resolve(init, own, keys.borrowed(), log);
    Ok(resolved.is_ok_and(|resolved| resolved.session_id() == raw.envelope.sid))
}

/// Answers an INIT: if its first message opens, the session, the used one-time key and the replay
/// entry are stored with it; if not, nothing is.
pub(crate) fn accept(turn: &mut Turn<'_>, raw: &Raw, share: Share) -> Result<Option<Received>, EngineError> {
    let Some(init) = read_init(turn, raw)? else { return Ok(None) };
    let Some(peer) = peers::known(turn, &raw.from)? else { return Ok(None) };
    let Some(keys) = prekeys::named(turn.rows, &init)? else { return Ok(None) };
    let me = peers::own(turn)?;
    let own = Own { keys: &turn.me.keys, cert: &turn.me.cert, log: &me.pinned.log };
    let resolved = init::resolve(&init, own, keys.borrowed(), &peer.pinned.log);
    let Some(session) = resolved.ok().and_then(|resolved| resolved.session(share).ok()) else { return Ok(None) };
    if session.id() != raw.envelope.sid {
        return Ok(None);
    }
    let Ok(opened) = session.open(&raw.envelope.header, &raw.envelope.token, None, turn.rng) else { return Ok(None) };
    let reset = Content::decode(&opened.plaintext).is_ok_and(|content| content.body == Body::Reset);
    let stored = Stored { session, user: raw.from.clone(), device: raw.device, init: None };
    turn.rows.put(Place::new(Table::Replay, b"", &init.hash()), turn.now.as_millis(), &[])?;
    prekeys::used(turn, &init)?;
    let mut known = standings(turn.rows, &raw.device)?;
    known.take_in(raw.envelope.sid, reset, turn.now);
    commit(turn, stored, opened, known, true).map(Some)
}

/// An envelope did not open: one event, and after several a new session.
pub(crate) fn did_not_open(turn: &mut Turn<'_>, user: &Username, device: &DeviceId) -> Result<(), EngineError> {
    events::undecryptable(turn, user, "does not open")?;
    if peers::device(turn, user, device)?.is_none() {
        return Ok(());
    }
    let place = Place::new(Table::Sessions, b"failures", device.as_bytes());
    let mut failures: Failures = load(turn.rows, place)?.unwrap_or_default();
    let reset = failures.record(turn.now);
    save(turn.rows, place, 0, &failures)?;
    if reset {
        turn.live.resetting.insert(*device);
        ask_bundle(turn, user, device);
    }
    Ok(())
}

/// Compares where the server stands with what is stored here: it can only be behind, unless this
/// state is an old copy. Then its sessions never send again and numbers begin anew.
pub(crate) fn check_rollback(turn: &mut Turn<'_>, server: &LoggedIn) -> Result<(), EngineError> {
    let told = [
        (Counter::Mailbox, server.mailbox_acked),
        (Counter::Bundle, server.bundle_seq),
        (Counter::Submit, server.submit_counter),
    ];
    let mut ahead = false;
    for (counter, theirs) in told {
        ahead |= theirs > counter.get(turn.rows)?;
    }
    let place = Place::new(Table::State, b"", b"rolled-back");
    let last: Option<Timestamp> = load(turn.rows, place)?;
    if !ahead || last.is_some_and(|last| turn.now.since(last) < Duration::from_secs(24 * 60 * 60)) {
        return Ok(());
    }
    tracing::warn!("the server knows of later states of this device: sessions are begun anew");
    save(turn.rows, place, 0, &turn.now)?;
    for (counter, theirs) in told {
        let ours = counter.get(turn.rows)?;
        counter.set(turn.rows, ours.max(theirs))?;
    }
    Counter::Epoch.set(turn.rows, turn.now.as_millis())?;
    retire_all(turn)?;
    prekeys::begin_anew(turn)
}

fn retire_all(turn: &mut Turn<'_>) -> Result<(), EngineError> {
    for (_, bytes) in turn.rows.scan(Table::Sessions, b"sid", 0..=u64::MAX, Direction::Ascending, usize::MAX)? {
        let device: DeviceId = decode(Table::Sessions, &bytes)?;
        let mut known = standings(turn.rows, &device)?;
        known.retire_all();
        put_standings(turn.rows, &device, &known)?;
    }
    Ok(())
}
