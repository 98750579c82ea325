//! Who there is, where their logs stand, who is online.

use std::collections::HashSet;

use chat_protocol::frame::Frame;
use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_LOOKUP_USERS;
use chat_protocol::message::Blob;
use chat_protocol::message::client::{LogFetch, Lookup, PresenceWatch};
use chat_protocol::message::server::{Code, KnownUser, LogPage, LookedUp, PresenceChange, PresenceList, Push, Refusal};

use super::asked::Asked;
use super::ready::{MAX_PAGE_BYTES, Ready};
use crate::mailbox::store_failed;
use crate::router::encode;

/// Entries read at once: about as many as fit.
const MAX_PAGE_ENTRIES: u32 = 128;

impl Ready {
    pub(super) async fn lookup(&self, ask: Lookup) -> Result<LookedUp, Refusal> {
        if ask.users.len() > MAX_LOOKUP_USERS {
            return Err(Code::TooLarge.into());
        }
        let mut seen = HashSet::new();
        let users: Vec<Username> = ask.users.into_iter().filter(|user| seen.insert(user.clone())).collect();
        let known = self.shared().store.heads(&users).await.map_err(|error| store_failed("lookup", &error))?;
        let describe = |user: &Username| {
            let known = known.iter().find(|known| &known.user == user)?;
            Some(KnownUser { user: user.clone(), head: known.head, online: self.shared().router.sees(user) })
        };
        Ok(LookedUp { users: users.iter().filter_map(describe).collect() })
    }

    pub(super) async fn log_fetch(&self, ask: &LogFetch) -> Result<LogPage, Refusal> {
        let _place = self.shared().queued.page().await;
        let page = self.shared().store.log(&ask.user, ask.from, MAX_PAGE_ENTRIES).await;
        let page = page.map_err(|error| store_failed("log", &error))?.ok_or(Code::NotFound)?;
        let entries = page.entries.into_iter().scan(0, |bytes, entry| {
            *bytes += entry.len();
            (*bytes <= MAX_PAGE_BYTES).then_some(Blob(entry))
        });
        Ok(LogPage { entries: entries.collect(), head: page.head })
    }

    /// Answers with everybody visible; more than fits one frame follows as changes.
    pub(super) fn presence_watch(&self, asked: Asked, ask: PresenceWatch) {
        let mut parts = self.shared().router.watch(self.peer(), ask.visible).into_iter();
        let users = parts.next().unwrap_or_default();
        self.answer(asked, Ok(PresenceList { users }));
        for online in parts {
            let more = Push::Presence(PresenceChange { online, offline: Vec::new() });
            self.peer().push(encode(&Frame::push(&more)));
        }
    }
}
