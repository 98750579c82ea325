//! Who there is, where their logs stand, who is online.

use std::collections::HashSet;

use bytes::Bytes;
use chat_protocol::frame::Frame;
use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_LOOKUP_USERS;
use chat_protocol::message::client::{Lookup, PresenceWatch};
use chat_protocol::message::server::{Code, KnownUser, LookedUp, PresenceChange, PresenceList, Push, Refusal};

use super::asked::Asked;
use super::ready::Ready;
use crate::mailbox::{busy, store_failed};
use crate::router::encode;

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

    /// Answers with everybody visible; more than fits one frame follows as changes. A list that is longer than the share
    /// of the connection is refused as `busy`; changes are told all the same.
    pub(super) fn presence_watch(&self, asked: Asked, ask: PresenceWatch) {
        let mut parts = self.shared().router.watch(self.peer(), ask.visible).into_iter();
        let users = parts.next().unwrap_or_default();
        let changes = parts.map(|online| Push::Presence(PresenceChange { online, offline: Vec::new() }));
        let mut frames = vec![asked.answer(&Ok(PresenceList { users }))];
        frames.extend(changes.map(|change| encode(&Frame::push(&change))));
        if !self.peer().outbox().may_answer(frames.iter().map(Bytes::len).sum()) {
            return self.refuse(asked, busy());
        }
        frames.into_iter().for_each(|frame| self.peer().push(frame));
    }
}
