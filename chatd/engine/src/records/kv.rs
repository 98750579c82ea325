//! Values that bots keep here instead of in files of their own: small, named, and with versions.
//!
//! A namespace's keys are one row, so that they can be listed in their order although the store hides them.

use chat_protocol::rpc::Name;
use chat_protocol::rpc::types::{KvEntry, KvList, KvPage};

use crate::model::error::EngineError;
use crate::rows::clients::KvValue;
use crate::rows::{KV_KEYS, KV_VALUES};
use crate::store::{Rows, RowsError};
use crate::txn::Txn;

/// Longest key and value, in bytes.
const MAX_KEY_BYTES: usize = 200;
const MAX_VALUE_BYTES: usize = 48 * 1024;
/// Most values of one namespace.
const MOST: usize = 1_000;
/// Most namespaces: a token makes as many as it likes, and the disk is not its own.
const MOST_NAMESPACES: u64 = 200;
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
    let version = matching(txn.rows, (scope, key), if_version)?;
    if version == 0 {
        index_key(txn, scope, key)?;
    }
    let value = KvValue { json: text, version: version + 1 };
    KV_VALUES.of(scope).put(txn.rows, key, 0, &value)?;
    Ok(entry(key, &value)?)
}

/// Forgets a value, if its version is `if_version`.
///
/// # Errors
/// `not_found`, `conflict`.
pub fn delete(txn: &mut Txn<'_>, (scope, key): (&Name, &str), if_version: Option<u64>) -> Result<(), EngineError> {
    matching(txn.rows, (scope, key), if_version)?;
    if !KV_VALUES.of(scope).delete(txn.rows, key)? {
        return Err(EngineError::none("such value"));
    }
    let mut keys = keys(txn.rows, scope)?;
    keys.retain(|known| known != key);
    if keys.is_empty() {
        KV_KEYS.delete(txn.rows, scope)?;
        return Ok(());
    }
    Ok(KV_KEYS.put(txn.rows, scope, 0, &keys)?)
}

/// The version of a value, 0 if there is none, as long as it is the one wanted.
fn matching(rows: &dyn Rows, (scope, key): (&Name, &str), wanted: Option<u64>) -> Result<u64, EngineError> {
    let version = value(rows, scope, key)?.map_or(0, |value| value.version);
    if wanted.is_none_or(|wanted| wanted == version) { Ok(version) } else { Err(EngineError::version(version)) }
}

fn index_key(txn: &mut Txn<'_>, scope: &Name, key: &str) -> Result<(), EngineError> {
    let mut keys = keys(txn.rows, scope)?;
    if keys.is_empty() && KV_KEYS.count(txn.rows)? >= MOST_NAMESPACES {
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
    Ok(KV_KEYS.put(txn.rows, scope, 0, &keys)?)
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
