//! The own prekeys: published in signed bundles, kept until no INIT can name them any more.

use std::time::Duration;

use chat_protocol::crypto::agreement::PublicKey;
use chat_protocol::ids::KeyHash;
use chat_protocol::limits::{
    CLOCK_TOLERANCE, MAX_ONE_TIME_KEYS, PREKEY_RENEWAL, PREKEY_RETENTION, REFILL_ONE_TIME_BELOW,
};
use chat_protocol::message::Blob;
use chat_protocol::message::client::{BundlePublish, OneTimeStatus};
use chat_protocol::message::server::{Code, LoggedIn, OneTimeLeft, Refusal};
use chat_protocol::session::bundle::{Draft, KemPrekey, OneTimePrekey, SignedPrekey, one_time_hash};
use chat_protocol::session::init::{Init, Prekeys};
use chat_protocol::time::Timestamp;

use crate::model::error::EngineError;
use crate::rows::counter::Counter;
use crate::rows::prekeys::CurrentBundle;
use crate::rows::{BUNDLE, BUNDLES, INITS_ANSWERED, KEM_PREKEYS, ONE_TIME_PREKEYS, SIGNED_PREKEYS};
use crate::sessions::server_clock;
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;
use crate::txn::live::{Asked, Subject};

/// How often the server is asked which one-time keys are left.
const STATUS_PAUSE: Duration = Duration::from_secs(10 * 60);
/// How often old keys are looked for.
const SWEEP_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);
/// How far ahead of the own count a bundle's sequence is believed to be: at the pace they are drawn at, twenty years. A
/// word beyond it is no count of anything, and following it would use the numbers up.
const MOST_AHEAD: u64 = 1 << 20;
/// Pause before publishing is tried again; doubled with each time in a row.
const PUBLISH_PAUSE: Duration = Duration::from_secs(30);
/// Least time between two bundles that are drawn on the server's word: it may say anything, and each costs an RSA
/// signature and new keys.
const DRAWING_PAUSE: Duration = Duration::from_secs(10 * 60);
/// How often the server is asked which are left while nothing else makes it: those who draw them without beginning a
/// session tell nobody.
const STATUS_EVERY: Duration = Duration::from_secs(6 * 60 * 60);
/// Most private one-time keys that are kept. For each beyond it the one that no bundle has named for longest goes.
const MOST_ONE_TIME_KEYS: u64 = 10_000;

impl CurrentBundle {
    /// Whether its keys have served long enough at this time, or it is of another time altogether.
    fn worn(&self, now: Timestamp) -> bool {
        // one further ahead was signed under another clock: nobody would use it
        let young = |at: Timestamp| at <= now + CLOCK_TOLERANCE && now.since(at) < PREKEY_RENEWAL;
        !young(self.drawn) || !self.created.is_none_or(young)
    }
}

/// The private halves an INIT names.
pub(crate) struct Named {
    signed: SignedPrekey,
    kem: KemPrekey,
    one_time: Option<OneTimePrekey>,
}

impl Named {
    pub(crate) const fn borrowed(&self) -> Prekeys<'_> {
        Prekeys { signed: &self.signed, kem: &self.kem, one_time: self.one_time.as_ref() }
    }
}

/// Whether an INIT is under a bundle of ours.
pub(crate) fn names_known(rows: &dyn Rows, init: &Init) -> Result<bool, RowsError> {
    BUNDLES.has(rows, &init.bundle())
}

/// The private halves an INIT names, if all are still here.
pub(crate) fn named(rows: &dyn Rows, init: &Init) -> Result<Option<Named>, RowsError> {
    let signed = SIGNED_PREKEYS.get(rows, &init.signed_prekey_id())?;
    let kem = KEM_PREKEYS.get(rows, &init.kem_prekey_id())?;
    let one_time = init.one_time().map(|hash| ONE_TIME_PREKEYS.get(rows, &hash)).transpose()?;
    Ok(match (signed, kem, one_time) {
        (Some(signed), Some(kem), None) => Some(Named { signed, kem, one_time: None }),
        (Some(signed), Some(kem), Some(Some(one_time))) => Some(Named { signed, kem, one_time: Some(one_time) }),
        _ => None,
    })
}

/// Whether the private halves an INIT names are still here.
pub(crate) fn keeps_keys_of(rows: &dyn Rows, init: &Init) -> Result<bool, RowsError> {
    Ok(named(rows, init)?.is_some())
}

/// A session was answered: its one-time key is gone for good. One without may mean that none is left.
pub(crate) fn used(txn: &mut Txn<'_>, init: &Init) -> Result<(), RowsError> {
    if let Some(hash) = init.one_time() {
        ONE_TIME_PREKEYS.delete(txn.rows, &hash)?;
    }
    ask_status(txn);
    Ok(())
}

fn ask_status(txn: &mut Txn<'_>) {
    if !txn.paused(&Subject::OneTime) && txn.ask(Asked::OneTime, &OneTimeStatus {}) {
        txn.pause(Subject::OneTime, STATUS_PAUSE);
    }
}

/// A connection is there: is the server's bundle the newest, and has it keys left?
pub(crate) fn online(txn: &mut Txn<'_>, logged_in: &LoggedIn) -> Result<(), EngineError> {
    if let Some(mut current) = BUNDLE.get(txn.rows)? {
        // a server that lost the bundle gets it again
        current.published = logged_in.bundle_seq == current.seq;
        keep(txn, &current)?;
        ask_status(txn);
    }
    Ok(())
}

/// After a rollback: nothing of the old bundle counts any more.
pub(crate) fn begin_anew(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    txn.live.published_until = None;
    BUNDLE.delete(txn.rows)?;
    Ok(())
}

/// The server says it holds a bundle of this device with that sequence: perhaps one of a later state, and the next has to
/// be above it.
pub(crate) fn follow(txn: &mut Txn<'_>, theirs: u64) -> Result<(), RowsError> {
    let ours = Counter::Bundle.get(txn.rows)?;
    let believed = theirs > ours && theirs - ours <= MOST_AHEAD;
    if believed { Counter::Bundle.set(txn.rows, theirs) } else { Ok(()) }
}

/// Makes, renews and publishes the bundle as needed.
pub(crate) fn publish_bundle(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    if let Some(until) = txn.live.published_until.filter(|until| txn.now < *until) {
        txn.wake(until);
        return Ok(());
    }
    if txn.live.published_until.take().is_some() {
        ask_status(txn);
    }
    let current = match BUNDLE.get(txn.rows)? {
        Some(current) => current,
        None => make(txn, &[], None)?,
    };
    let time = server_clock::signing_time(txn)?;
    if current.worn(time) {
        // the next one lists what is left of its one-time keys
        if !txn.paused(&Subject::Publish) {
            txn.ask(Asked::OneTime, &OneTimeStatus {});
        }
        return Ok(());
    }
    if current.published {
        let renewal = PREKEY_RENEWAL.saturating_sub(time.since(current.drawn));
        let until = txn.now + renewal.min(STATUS_EVERY);
        txn.live.published_until = Some(until);
        txn.wake(until);
    } else if !txn.paused(&Subject::Publish) {
        let request = BundlePublish { bundle: current.bundle, one_time: current.one_time };
        txn.ask(Asked::Publish(current.seq), &request);
    }
    Ok(())
}

fn keep(txn: &mut Txn<'_>, current: &CurrentBundle) -> Result<(), RowsError> {
    txn.live.published_until = None;
    BUNDLE.put(txn.rows, current)
}

/// What became of publishing.
pub(crate) fn published(txn: &mut Txn<'_>, seq: u64, answer: Result<(), Refusal>) -> Result<(), EngineError> {
    match answer {
        Ok(()) => mark_published(txn, seq),
        // it has one as new: ours, or one of a later state of this device
        Err(refusal) if refusal.code == Code::Stale => {
            txn.ask(Asked::OneTime, &OneTimeStatus {});
            txn.back_off(Subject::Publish, PUBLISH_PAUSE);
            Ok(())
        }
        Err(_) => {
            txn.back_off(Subject::Publish, PUBLISH_PAUSE);
            Ok(())
        }
    }
}

fn mark_published(txn: &mut Txn<'_>, seq: u64) -> Result<(), EngineError> {
    let Some(mut current) = BUNDLE.get(txn.rows)? else { return Ok(()) };
    if current.seq == seq {
        txn.succeeded(&Subject::Publish);
        current.published = true;
        current.one_time.clear();
        keep(txn, &current)?;
    }
    Ok(())
}

/// Which one-time keys the server still has.
pub(crate) fn left(txn: &mut Txn<'_>, answer: Result<OneTimeLeft, Refusal>) -> Result<(), EngineError> {
    let Ok(left) = answer else {
        txn.back_off(Subject::Publish, PUBLISH_PAUSE);
        return Ok(());
    };
    let Some(current) = BUNDLE.get(txn.rows)? else { return Ok(()) };
    follow(txn, left.bundle_seq)?;
    let overtaken = (current.seq + 1..=Counter::Bundle.get(txn.rows)?).contains(&left.bundle_seq);
    if left.bundle_seq == current.seq {
        mark_published(txn, current.seq)?;
    }
    let few = left.bundle_seq == current.seq && left.hashes.len() < REFILL_ONE_TIME_BELOW;
    if few || overtaken || current.worn(server_clock::signing_time(txn)?) {
        draw(txn, &left.hashes)?;
    }
    Ok(())
}

/// Makes the next bundle and has it published at once, unless the one before is of a moment ago.
fn draw(txn: &mut Txn<'_>, left: &[KeyHash]) -> Result<(), EngineError> {
    // a new connection ends every pause, but not this one
    let next = txn.live.bundle_drawn.map_or(txn.now, |last| last + DRAWING_PAUSE);
    if !txn.is_time(next) {
        txn.pause(Subject::Publish, PUBLISH_PAUSE);
        return Ok(());
    }
    txn.live.bundle_drawn = Some(txn.now);
    let current = BUNDLE.get(txn.rows)?;
    make(txn, left, current.as_ref())?;
    txn.live.pause.remove(&Subject::Publish);
    Ok(())
}

/// One-time keys of a bundle: what names them, and the public halves of those that are new in it.
#[derive(Default)]
struct OneTime {
    hashes: Vec<KeyHash>,
    new: Vec<Blob>,
}

/// Lists what the server still has, as far as the private half is here: it could name keys of its own.
fn listed(txn: &mut Txn<'_>, left: &[KeyHash], known: Option<&CurrentBundle>) -> Result<OneTime, RowsError> {
    let (mut listed, named) = (OneTime::default(), txn.now.as_millis());
    for hash in left.iter().take(MAX_ONE_TIME_KEYS) {
        if let Some(key) = ONE_TIME_PREKEYS.get(txn.rows, hash)? {
            ONE_TIME_PREKEYS.put(txn.rows, hash, named, &key)?;
            listed.hashes.push(*hash);
        }
    }
    // keys of a bundle that did not get there go with the next one
    for key in known.iter().flat_map(|current| &current.one_time) {
        let hash = PublicKey::try_from(&**key).map(|key| one_time_hash(&key));
        let fresh = hash.is_ok_and(|hash| !listed.hashes.contains(&hash)) && listed.hashes.len() < MAX_ONE_TIME_KEYS;
        if let (true, Ok(hash)) = (fresh, hash) {
            listed.hashes.push(hash);
            listed.new.push(key.clone());
        }
    }
    let mut kept = make_room(txn, MAX_ONE_TIME_KEYS.saturating_sub(listed.hashes.len()))?;
    while listed.hashes.len() < MAX_ONE_TIME_KEYS && kept < MOST_ONE_TIME_KEYS {
        kept += 1;
        let key = OneTimePrekey::generate(txn.rng);
        ONE_TIME_PREKEYS.put(txn.rows, &key.hash(), named, &key)?;
        listed.hashes.push(key.hash());
        listed.new.push(Blob(key.public_key().as_bytes().to_vec()));
    }
    Ok(listed)
}

/// Lets the oldest keys go so that `wanted` fresh ones fit below the most, once nothing waits in the mailbox that could
/// name them; how many are kept. A session that somebody begins later with one that went is begun anew.
fn make_room(txn: &mut Txn<'_>, wanted: usize) -> Result<u64, RowsError> {
    let kept = ONE_TIME_PREKEYS.count(txn.rows)?;
    let surplus = (kept + wanted as u64).saturating_sub(MOST_ONE_TIME_KEYS);
    if surplus == 0 || !is_drained(txn) {
        return Ok(kept);
    }
    let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
    let oldest = ONE_TIME_PREKEYS.scan(txn.rows, 0..=u64::MAX, Direction::Ascending, surplus)?;
    for (_, key) in &oldest {
        ONE_TIME_PREKEYS.delete(txn.rows, &key.hash())?;
    }
    Ok(kept.saturating_sub(oldest.len() as u64))
}

/// Whether everything that waited in the mailbox has been read.
fn is_drained(txn: &Txn<'_>) -> bool {
    txn.live.link.as_ref().is_some_and(|link| link.synced)
}

/// Draws what is missing and signs a new bundle over it. It is published once this is committed.
fn make(txn: &mut Txn<'_>, left: &[KeyHash], known: Option<&CurrentBundle>) -> Result<CurrentBundle, EngineError> {
    let seq = Counter::Bundle.next(txn.rows)?;
    let (signed, kem, drawn) = lasting(txn, seq, known)?;
    let one_time = listed(txn, left, known)?;
    let created = server_clock::signing_time(txn)?;
    let draft = Draft {
        cert: &txn.me.cert,
        seq,
        created,
        signed_prekey: &signed,
        kem_prekey: &kem,
        one_time: &one_time.hashes,
    };
    let (bundle, hash) = draft.sign(&txn.me.keys.signing, txn.rng);
    let named = txn.now;
    BUNDLES.put(txn.rows, &hash, named.as_millis(), &())?;
    let current = CurrentBundle {
        seq,
        bundle: bundle.into(),
        one_time: one_time.new,
        published: false,
        prekey: signed.id,
        drawn,
        created: Some(created),
    };
    keep(txn, &current)?;
    Ok(current)
}

/// The signed prekey and the ML-KEM key: those in use while they are young, otherwise new ones.
fn lasting(
    txn: &mut Txn<'_>,
    seq: u64,
    known: Option<&CurrentBundle>,
) -> Result<(SignedPrekey, KemPrekey, Timestamp), EngineError> {
    let now = server_clock::signing_time(txn)?;
    let kept = match known.filter(|current| !current.worn(now)) {
        Some(current) => {
            let (signed, kem) =
                (SIGNED_PREKEYS.get(txn.rows, &current.prekey)?, KEM_PREKEYS.get(txn.rows, &current.prekey)?);
            signed.zip(kem).zip(Some(current.drawn))
        }
        None => None,
    };
    let ((signed, kem), drawn) = match kept {
        Some(kept) => kept,
        None => ((SignedPrekey::generate(seq, txn.rng), KemPrekey::generate(seq, txn.rng)), now),
    };
    // the order is when a bundle named them last
    let named = txn.now.as_millis();
    SIGNED_PREKEYS.put(txn.rows, &signed.id, named, &signed)?;
    KEM_PREKEYS.put(txn.rows, &signed.id, named, &kem)?;
    Ok((signed, kem, drawn))
}

/// Forgets what no bundle has named for 61 days, once nothing waits that could name it: a bundle is used for 30
/// days, and what was sent under it waits for at most 30 more.
pub(crate) fn expire_prekeys(txn: &mut Txn<'_>) -> Result<(), EngineError> {
    if !is_drained(txn) || txn.live.published_until.is_none() {
        return Ok(());
    }
    let now = txn.now;
    if txn.live.prekeys_swept.is_some_and(|at| now.since(at) < SWEEP_PAUSE) {
        return Ok(());
    }
    txn.live.prekeys_swept = Some(now);
    let old = 0..=(now - PREKEY_RETENTION).as_millis();
    SIGNED_PREKEYS.delete_range(txn.rows, old.clone())?;
    KEM_PREKEYS.delete_range(txn.rows, old.clone())?;
    BUNDLES.delete_range(txn.rows, old.clone())?;
    ONE_TIME_PREKEYS.delete_range(txn.rows, old.clone())?;
    Ok(INITS_ANSWERED.delete_range(txn.rows, old)?)
}
