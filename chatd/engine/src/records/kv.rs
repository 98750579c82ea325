//! Values that bots keep here instead of in files of their own: small, named, and with versions.
//!
//! A namespace's keys are one row, so that they can be listed in their order although the store hides them.

use chat_protocol::rpc::Name;
use chat_protocol::rpc::types::{KvEntry, KvList, KvPage};

use crate::model::error::EngineError;
use crate::records::tokens;
use crate::rows::clients::{KvUsage, KvValue};
use crate::rows::counter::Counter;
use crate::rows::{KV_COUNTED, KV_KEYS, KV_USAGE, KV_VALUES};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Longest key and value, in bytes.
const MAX_KEY_BYTES: usize = 200;
const MAX_VALUE_BYTES: usize = 48 * 1024;
/// Most values of one namespace.
const MOST: usize = 1_000;
/// Most namespaces: a token makes as many as it likes, and the disk is not its own.
const MOST_NAMESPACES: u64 = 200;
/// Most bytes of keys and values in all, and in the namespaces of one token.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
const MAX_TOKEN_BYTES: u64 = 16 * 1024 * 1024;
/// Most namespaces of one token.
const MOST_TOKEN_NAMESPACES: u64 = 20;
/// Bytes of a page's values: with the longest keys it still fits its line.
const PAGE_BYTES: usize = 700 * 1024;

fn keys(rows: &dyn Rows, scope: &Name) -> Result<Vec<String>, RowsError> {
    Ok(KV_KEYS.get(rows, scope)?.unwrap_or_default())
}

fn value(rows: &dyn Rows, scope: &Name, key: &str) -> Result<Option<KvValue>, RowsError> {
    KV_VALUES.of(scope).get(rows, key)
}

fn entry(key: &str, value: &KvValue) -> Result<KvEntry, RowsError> {
    let json = serde_json::from_str(&value.json).map_err(|_| RowsError::Corrupt("a value is not JSON".to_owned()))?;
    Ok(KvEntry { key: key.to_owned(), value: json, version: value.version })
}

/// A value, if there is one.
///
/// # Errors
/// [`RowsError`].
pub fn get(rows: &dyn Rows, scope: &Name, key: &str) -> Result<Option<KvEntry>, RowsError> {
    value(rows, scope, key)?.map(|value| entry(key, &value)).transpose()
}

/// Keeps a value, if its version is `if_version` (0: there is none yet).
///
/// # Errors
/// `invalid_params`, `conflict`, `quota_exceeded`.
pub fn set(
    txn: &mut Txn<'_>,
    (scope, key): (&Name, &str),
    json: &serde_json::Value,
    if_version: Option<u64>,
) -> Result<KvEntry, EngineError> {
    let text = json.to_string();
    if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
        return Err(EngineError::invalid("key", format!("must have 1 to {MAX_KEY_BYTES} bytes")));
    }
    if text.len() > MAX_VALUE_BYTES {
        return Err(EngineError::too_long(text.len(), MAX_VALUE_BYTES));
    }
    count(txn.rows, scope)?;
    let (version, before) = matching(txn.rows, (scope, key), if_version)?;
    let after = (key.len() + text.len()) as u64;
    let begins = if version == 0 { index_key(txn, scope, key)? } else { false };
    charge(txn, scope, Change { bytes: (before, after), namespaces: (0, u64::from(begins)) })?;
    let value = KvValue { json: text, version: version + 1 };
    KV_VALUES.of(scope).put(txn.rows, key, 0, &value)?;
    Ok(entry(key, &value)?)
}

/// Forgets a value, if its version is `if_version`.
///
/// # Errors
/// `not_found`, `conflict`.
pub fn delete(txn: &mut Txn<'_>, (scope, key): (&Name, &str), if_version: Option<u64>) -> Result<(), EngineError> {
    count(txn.rows, scope)?;
    let (_, before) = matching(txn.rows, (scope, key), if_version)?;
    if !KV_VALUES.of(scope).delete(txn.rows, key)? {
        return Err(EngineError::none("such value"));
    }
    let mut keys = keys(txn.rows, scope)?;
    keys.retain(|known| known != key);
    charge(txn, scope, Change { bytes: (before, 0), namespaces: (u64::from(keys.is_empty()), 0) })?;
    if keys.is_empty() {
        KV_KEYS.delete(txn.rows, scope)?;
        KV_COUNTED.delete(txn.rows, scope)?;
        return Ok(());
    }
    Ok(KV_KEYS.put(txn.rows, scope, 0, &keys)?)
}

/// The version of a value and the bytes it takes, 0 if there is none, as long as the version is the one wanted.
fn matching(rows: &dyn Rows, (scope, key): (&Name, &str), wanted: Option<u64>) -> Result<(u64, u64), EngineError> {
    let known = value(rows, scope, key)?;
    let (version, bytes) = known.map_or((0, 0), |value| (value.version, (key.len() + value.json.len()) as u64));
    if wanted.is_none_or(|wanted| wanted == version) {
        Ok((version, bytes))
    } else {
        Err(EngineError::version(version))
    }
}

/// What a change adds to what values take, or takes from it.
#[derive(Clone, Copy)]
struct Change {
    bytes: (u64, u64),
    namespaces: (u64, u64),
}

impl Change {
    fn apply(self, usage: KvUsage) -> KvUsage {
        let moved = |from: u64, (before, after): (u64, u64)| from.saturating_sub(before).saturating_add(after);
        KvUsage { bytes: moved(usage.bytes, self.bytes), namespaces: moved(usage.namespaces, self.namespaces) }
    }

    fn grows(self) -> bool {
        self.bytes.1 > self.bytes.0 || self.namespaces.1 > self.namespaces.0
    }
}

/// Nothing is counted any more: older programs did not count, and namespaces cannot be listed.
pub(crate) fn count_anew(rows: &mut dyn Rows) -> Result<(), RowsError> {
    KV_COUNTED.clear(rows)?;
    KV_USAGE.clear(rows)?;
    Counter::KvBytes.set(rows, 0)
}

/// Counts what is in a namespace before anything is done in it, if that is not in the count.
fn count(rows: &mut dyn Rows, scope: &Name) -> Result<(), RowsError> {
    if KV_COUNTED.has(rows, scope)? {
        return Ok(());
    }
    let (keys, mut bytes) = (keys(rows, scope)?, 0);
    for key in &keys {
        bytes += value(rows, scope, key)?.map_or(0, |value| (key.len() + value.json.len()) as u64);
    }
    let found = Change { bytes: (0, bytes), namespaces: (0, u64::from(!keys.is_empty())) };
    let payer = tokens::payer(scope);
    let usage = found.apply(KV_USAGE.get(rows, &payer)?.unwrap_or_default());
    if usage != KvUsage::default() {
        KV_USAGE.put(rows, &payer, 0, &usage)?;
    }
    let total = Counter::KvBytes.get(rows)?.saturating_add(bytes);
    Counter::KvBytes.set(rows, total)?;
    KV_COUNTED.put(rows, scope, 0, &())
}

/// Counts a change to whoever pays for it, unless it grows beyond what they may have.
fn charge(txn: &mut Txn<'_>, scope: &Name, change: Change) -> Result<(), EngineError> {
    let (payer, (before, after)) = (tokens::payer(scope), change.bytes);
    let total = Counter::KvBytes.get(txn.rows)?.saturating_sub(before).saturating_add(after);
    let usage = change.apply(KV_USAGE.get(txn.rows, &payer)?.unwrap_or_default());
    if change.grows() {
        if total > MAX_BYTES {
            return Err(EngineError::full(format!("values take {} MiB: delete some that nobody uses", mib(MAX_BYTES))));
        }
        if tokens::owner_of(txn.rows, scope)?.is_some() {
            admit_token(&payer, &usage)?;
        }
    }
    Counter::KvBytes.set(txn.rows, total)?;
    if usage == KvUsage::default() {
        KV_USAGE.delete(txn.rows, &payer)?;
        return Ok(());
    }
    Ok(KV_USAGE.put(txn.rows, &payer, 0, &usage)?)
}

fn admit_token(token: &Name, usage: &KvUsage) -> Result<(), EngineError> {
    if usage.bytes > MAX_TOKEN_BYTES {
        let most = mib(MAX_TOKEN_BYTES);
        return Err(EngineError::full(format!("the values of the token {token} take {most} MiB: delete some")));
    }
    if usage.namespaces > MOST_TOKEN_NAMESPACES {
        return Err(EngineError::full(format!(
            "{MOST_TOKEN_NAMESPACES} namespaces of the token {token} have values: empty some"
        )));
    }
    Ok(())
}

const fn mib(bytes: u64) -> u64 {
    bytes / (1024 * 1024)
}

/// Adds a key to its namespace; whether the namespace begins with it.
fn index_key(txn: &mut Txn<'_>, scope: &Name, key: &str) -> Result<bool, EngineError> {
    let mut keys = keys(txn.rows, scope)?;
    let begins = keys.is_empty();
    if begins && KV_KEYS.count(txn.rows)? >= MOST_NAMESPACES {
        return Err(EngineError::full(format!(
            "{MOST_NAMESPACES} namespaces have values: empty some that nobody uses"
        )));
    }
    if keys.len() >= MOST {
        return Err(EngineError::full(format!("{MOST} values are in this namespace")));
    }
    if let Err(at) = keys.binary_search_by(|known| known.as_str().cmp(key)) {
        keys.insert(at, key.to_owned());
    }
    KV_KEYS.put(txn.rows, scope, 0, &keys)?;
    Ok(begins)
}

/// Values of a namespace in order of the keys, as many as asked for and as fit into an answer.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows, asked: &KvList, limit: usize) -> Result<KvPage, RowsError> {
    let prefix = asked.prefix.as_deref().unwrap_or_default();
    let behind = |key: &&String| asked.after.as_deref().is_none_or(|after| key.as_str() > after);
    let keys = keys(rows, &asked.scope)?;
    let mut wanted = keys.iter().filter(|key| key.starts_with(prefix)).filter(behind).peekable();
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while entries.len() < limit
        && let Some(key) = wanted.peek()
    {
        if let Some(value) = value(rows, &asked.scope, key)? {
            bytes += value.json.len() + key.len();
            if bytes > PAGE_BYTES && !entries.is_empty() {
                break;
            }
            entries.push(entry(key, &value)?);
        }
        wanted.next();
    }
    Ok(KvPage { entries, more: wanted.peek().is_some() })
}
