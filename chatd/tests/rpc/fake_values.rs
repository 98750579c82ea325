//! What the fake finds, exports and keeps for bots.

use super::*;

/// Adds them.
pub(super) fn add(fake: &mut Fake) {
    fake.on(|fake, params: MsgSearch| {
        let state = fake.state();
        let from: usize = params.cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let found = state.messages.iter().rev().filter(|message| message.text.contains(&params.query)).skip(from);
        let limit = params.limit.unwrap_or(50).min(FOUND_AT_ONCE) as usize;
        let mut messages: Vec<_> = found.take(limit + 1).cloned().collect();
        let cursor = (messages.len() > limit).then(|| (from + limit).to_string());
        messages.truncate(limit);
        Ok(SearchPage { messages, cursor })
    });
    fake.on(|fake, params: MsgExport| {
        if std::path::Path::new(&params.out).exists() {
            return Err(RpcError::new(Kind::AlreadyExists, "there is a file of that name already"));
        }
        Ok(Exported { out: params.out, messages: fake.state().messages.len() as u64 })
    });
    // a message a page
    fake.on(|fake, params: MsgExportPage| {
        let state = fake.state();
        let place: usize = params.cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let text = state.messages.get(place).map(|message| serde_json::to_string(message).unwrap() + "\n");
        let cursor = (place + 1 < state.messages.len()).then(|| (place + 1).to_string());
        Ok(ExportPage { messages: u64::from(text.is_some()), text: text.unwrap_or_default(), cursor })
    });
    fake.on(|fake, params: KvGet| {
        let found = fake.state().values.get(&(params.scope, params.key)).cloned();
        found.ok_or(Kind::NotFound.into())
    });
    fake.on(|fake, params: KvSet| {
        let mut state = fake.state();
        let place = (params.scope, params.key.clone());
        let version = state.values.get(&place).map_or(0, |entry| entry.version);
        if params.if_version.is_some_and(|wanted| wanted != version) {
            return Err(Kind::Conflict.into());
        }
        let entry = KvEntry { key: params.key, value: params.value, version: version + 1 };
        state.values.insert(place, entry.clone());
        Ok(entry)
    });
    fake.on(|fake, params: KvDelete| {
        let known = fake.state().values.remove(&(params.scope, params.key));
        known.map(|_| Done {}).ok_or(Kind::NotFound.into())
    });
    fake.on(|fake, params: KvList| {
        let state = fake.state();
        let here = |((scope, _), _): &(&(Name, String), &KvEntry)| *scope == params.scope;
        Ok(KvPage { entries: state.values.iter().filter(here).map(|(_, entry)| entry.clone()).collect(), more: false })
    });
    fake.on(|fake, _: TokenList| {
        Ok(Tokens { tokens: fake.state().tokens.values().map(|(token, _)| token.clone()).collect() })
    });
    fake.on(|fake, _: AuditList| {
        Ok(AuditPage { entries: fake.state().journal.iter().rev().cloned().collect(), more: false })
    });
}
