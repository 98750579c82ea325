//! Values that bots keep.

use chat_protocol::rpc::Name;
use chat_protocol::rpc::types::{KvDelete, KvEntry, KvGet, KvList, KvSet};

use super::send::text;
use crate::cli::kv::Kv;
use crate::error::Failure;
use crate::output::text::escape;
use crate::session::Session;

/// `chatctl kv …`
pub(super) async fn kv(kv: Kv, session: &mut Session) -> Result<(), Failure> {
    match kv {
        Kv::Get(place) => {
            let params = KvGet { scope: place.scope, key: place.key };
            session.simple(&params, |entry| vec![escape(&entry.value.to_string())]).await
        }
        Kv::Set { place, value, if_version } => {
            let value = text(Some(value), session)?;
            let value = serde_json::from_str(&value).unwrap_or(serde_json::Value::String(value));
            let params = KvSet { scope: place.scope, key: place.key, value, if_version };
            session.simple(&params, |entry| vec![format!("version {}", entry.version)]).await
        }
        Kv::Delete(place) => {
            let params = KvDelete { scope: place.scope, key: place.key, if_version: None };
            session.simple(&params, |_| vec!["forgotten".to_owned()]).await
        }
        Kv::List { scope } => kv_list(scope, session).await,
    }
}

/// Every page of a namespace.
async fn kv_list(scope: Name, session: &mut Session) -> Result<(), Failure> {
    let client = session.client().await?;
    let mut after = None;
    loop {
        let page = client.call(&KvList { scope: scope.clone(), prefix: None, limit: None, after }).await?;
        for entry in &page.entries {
            let plain =
                |KvEntry { key, value, .. }: &KvEntry| vec![format!("{} {}", escape(key), escape(&value.to_string()))];
            session.out.answer(entry, plain)?;
        }
        after = page.entries.last().map(|entry| entry.key.clone());
        if !page.more || after.is_none() {
            return Ok(());
        }
    }
}
