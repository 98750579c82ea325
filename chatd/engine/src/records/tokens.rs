//! Tokens: what each may do, kept beside a hash of its text; and the journal of what they were used for.
//!
//! Whoever reads the rows learns no token: its text is 256 random bits, so its hash gives nothing away.

use chat_protocol::rpc::types::{AuditEntry, AuditList, AuditPage, Token};
use chat_protocol::rpc::{ChatId, Name};

use crate::model::error::EngineError;
pub use crate::rows::clients::TokenHash;
use crate::rows::clients::TokenRow;
use crate::rows::counter::Counter;
use crate::rows::{AUDIT, AUDIT_REFUSED, TOKEN_NAMES, TOKENS};
use crate::store::{Direction, Rows, RowsError};
use crate::txn::Txn;

/// Most tokens of one account.
const MOST: u64 = 200;
/// Entries of the journal that are kept, of either kind: some weeks of a busy bot, and a few MiB. What was refused is
/// counted apart, so that no token can push its traces out by asking for what it may not have.
const KEPT: u64 = 10_000;

/// What a token was used for.
#[derive(Clone, Debug)]
pub struct Use {
    /// Which token.
    pub token: Name,
    /// What was asked for.
    pub method: &'static str,
    /// About which chat.
    pub chat: Option<ChatId>,
    /// Why it was refused, if it was.
    pub refused: Option<&'static str>,
}

fn token(kept: &TokenRow) -> Result<Token, RowsError> {
    serde_json::from_str(&kept.json).map_err(|_| RowsError::Corrupt("a token is not JSON".to_owned()))
}

/// Keeps a new token.
///
/// # Errors
/// `already_exists`; `quota_exceeded`.
pub fn create(txn: &mut Txn<'_>, token: &Token, hash: TokenHash) -> Result<(), EngineError> {
    if TOKENS.has(txn.rows, &token.name)? {
        return Err(EngineError::taken("there is a token of this name"));
    }
    if TOKENS.count(txn.rows)? >= MOST {
        return Err(EngineError::full(format!("{MOST} tokens are there: revoke some that nobody uses")));
    }
    let json = serde_json::to_string(token).map_err(|_| EngineError::damaged("a token cannot be written"))?;
    TOKENS.put(txn.rows, &token.name, 0, &TokenRow { json, hash })?;
    Ok(TOKEN_NAMES.put(txn.rows, &hash, 0, &token.name.to_string())?)
}

/// Forgets a token.
///
/// # Errors
/// `not_found`.
pub fn revoke(txn: &mut Txn<'_>, name: &Name) -> Result<(), EngineError> {
    let kept = TOKENS.get(txn.rows, name)?.ok_or_else(|| EngineError::none(&format!("token {name}")))?;
    TOKEN_NAMES.delete(txn.rows, &kept.hash)?;
    TOKENS.delete(txn.rows, name)?;
    Ok(())
}

/// The token whose text has this hash.
///
/// # Errors
/// [`RowsError`].
pub fn find(rows: &dyn Rows, hash: &TokenHash) -> Result<Option<Token>, RowsError> {
    let Some(name) = TOKEN_NAMES.get(rows, hash)? else { return Ok(None) };
    let name: Name = name.parse().map_err(|_| RowsError::Corrupt("a token without name".to_owned()))?;
    TOKENS.get(rows, &name)?.as_ref().map(token).transpose()
}

/// The token whose own name this is, if there is one: a token's own names are its name, and those that begin with it and
/// a dot.
pub(crate) fn owner_of(rows: &dyn Rows, name: &Name) -> Result<Option<Name>, RowsError> {
    let owner = payer(name);
    Ok(TOKENS.has(rows, &owner)?.then_some(owner))
}

/// What a name begins with, up to its first dot: no token's name has one.
pub(crate) fn payer(name: &Name) -> Name {
    let first = name.as_str().split('.').next().and_then(|first| first.parse().ok());
    first.unwrap_or_else(|| name.clone())
}

/// Every token in order of the names.
///
/// # Errors
/// [`RowsError`].
pub fn list(rows: &dyn Rows) -> Result<Vec<Token>, RowsError> {
    let mut tokens = TOKENS.all(rows)?.iter().map(token).collect::<Result<Vec<_>, RowsError>>()?;
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tokens)
}

/// Notes what a token is used for, and lets the oldest entry of its kind go.
///
/// # Errors
/// [`EngineError::Rows`].
pub fn record_use(txn: &mut Txn<'_>, used: Use) -> Result<(), EngineError> {
    let seq = Counter::Audit.next(txn.rows)?;
    let journal = if used.refused.is_some() { &AUDIT_REFUSED } else { &AUDIT };
    let entry = AuditEntry {
        seq,
        time_ms: txn.clock.as_millis(),
        token: used.token,
        method: used.method.to_owned(),
        chat: used.chat,
        refused: used.refused.map(str::to_owned),
    };
    let json = serde_json::to_string(&entry).map_err(|_| EngineError::damaged("an entry cannot be written"))?;
    journal.put(txn.rows, &seq, seq, &json)?;
    if journal.count(txn.rows)? > KEPT
        && let Some((oldest, _)) = journal.first(txn.rows)?
    {
        journal.delete(txn.rows, &oldest)?;
    }
    Ok(())
}

/// Entries of the journal, the newest first.
///
/// # Errors
/// [`RowsError`].
pub fn journal(rows: &dyn Rows, asked: &AuditList, limit: usize) -> Result<AuditPage, RowsError> {
    let mut below = asked.before.unwrap_or(u64::MAX);
    let mut entries = Vec::new();
    // one more than asked for shows whether there are more
    while entries.len() <= limit {
        let page = before(rows, below, limit + 1)?;
        let Some(last) = page.last() else { break };
        below = last.seq;
        entries
            .extend(page.into_iter().filter(|entry| asked.token.as_ref().is_none_or(|wanted| *wanted == entry.token)));
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    Ok(AuditPage { entries, more })
}

/// The newest entries of both kinds before a number, at most so many.
fn before(rows: &dyn Rows, seq: u64, most: usize) -> Result<Vec<AuditEntry>, RowsError> {
    let Some(last) = seq.checked_sub(1) else { return Ok(Vec::new()) };
    let mut entries = Vec::new();
    for journal in [&AUDIT, &AUDIT_REFUSED] {
        for (_, json) in journal.scan(rows, 0..=last, Direction::Descending, most)? {
            let entry: AuditEntry = serde_json::from_str(&json)
                .map_err(|_| RowsError::Corrupt("an entry of the journal is not JSON".to_owned()))?;
            entries.push(entry);
        }
    }
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.seq));
    entries.truncate(most);
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows hold these as JSON, which the golden files of the rows do not look into.
    #[test]
    fn tokens_and_entries_of_the_journal_are_written_as_they_always_were() {
        let token = concat!(
            r#"{"name":"ci","scopes":["read:events","send"],"chats":["@bob","room:public"],"allow_to":["@bob"],"#,
            r#""rate":1,"created_ms":2,"expires_ms":3}"#
        );
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Token>(token).unwrap()).unwrap(), token);
        let entry =
            r#"{"seq":1,"time_ms":2,"token":"ci","method":"msg.send","chat":"@bob","refused":"forbidden_scope"}"#;
        assert_eq!(serde_json::to_string(&serde_json::from_str::<AuditEntry>(entry).unwrap()).unwrap(), entry);
    }
}
