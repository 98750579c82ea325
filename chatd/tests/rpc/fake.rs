//! A daemon without network, keys or disk behind a real socket: what callers see of one.

#![allow(unreachable_pub, dead_code, reason = "shared by the tests of chatd and chatctl")]

#[path = "fake_identity.rs"]
pub mod identity;
#[path = "fake_served.rs"]
mod served;
#[path = "fake_state.rs"]
mod state;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chat_protocol::ids::{DeviceId, Fingerprint, MessageId, Username};
use chat_protocol::rpc::events::{Deleted, Reacted, StatusChanged, Synced};
use chat_protocol::rpc::types::*;
use chat_protocol::rpc::{ChatId, Event, EventBody, Kind, Name, RpcError, Target};
use chatd::api::{Answer, Api, EventPage, TokenHash, Use};
use chatd::dirs::DataDir;
use chatd::metrics::Metrics;
use chatd::rpc::{Policy, Server};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;

pub use self::served::{Served, serve};
pub use self::state::{Fake, user};

/// The only password the fake accepts.
pub const PASSWORD: &str = "correct horse battery";
/// What a page of a search holds at most.
pub const FOUND_AT_ONCE: u32 = 20;
/// When everything happens.
pub const NOW: u64 = 1_700_000_000_000;

#[async_trait]
impl Api for Fake {
    async fn daemon_info(&self) -> Answer<DaemonInfoAnswer> {
        Ok(self.state().info.clone())
    }

    async fn daemon_health(&self) -> Answer<Health> {
        Ok(self.state().health.clone())
    }

    async fn daemon_shutdown(&self) -> Answer<Done> {
        self.stop.cancel();
        Ok(Done {})
    }

    async fn net_kick(&self) -> Answer<Done> {
        Ok(Done {})
    }

    async fn account_register(&self, params: AccountRegister) -> Answer<Entered> {
        if params.user.as_str() == "taken" {
            return Err(RpcError::new(Kind::AlreadyExists, "that name is taken"));
        }
        self.enter(params.user.clone(), params.password(), params.door())
    }

    async fn account_login(&self, params: AccountLogin) -> Answer<Entered> {
        self.enter(params.user.clone(), params.password(), params.door())
    }

    async fn account_status(&self) -> Answer<AccountStatusAnswer> {
        if let Some(account) = self.state().account.clone() {
            return Ok(account);
        }
        let logged_in = self.state().logged_in;
        Ok(AccountStatusAnswer {
            state: if logged_in { AccountState::Ready } else { AccountState::None },
            user: logged_in.then(|| user("alice")),
            server: logged_in.then(|| "chat.example:8897".to_owned()),
            device_id: logged_in.then(|| DeviceId::new([2; 16])),
            fingerprint: logged_in.then(|| Fingerprint::new([3; 32])),
            reset_at_ms: None,
            own_reset_at_ms: None,
            digits: None,
            confirmed: None,
        })
    }

    async fn account_logout(&self, _: AccountLogout) -> Answer<Done> {
        self.state().logged_in = false;
        Ok(Done {})
    }

    async fn account_password(&self, params: AccountPassword) -> Answer<Done> {
        let mut state = self.state();
        state.secrets.extend([params.old.expose().to_owned(), params.new.expose().to_owned()]);
        if params.old.expose() == PASSWORD { Ok(Done {}) } else { Err(Kind::BadCredentials.into()) }
    }

    async fn account_reset(&self, _: AccountReset) -> Answer<ResetAnswer> {
        Ok(ResetAnswer { state: ResetProgress::Waiting, at_ms: Some(NOW) })
    }

    async fn account_reset_cancel(&self) -> Answer<Done> {
        Ok(Done {})
    }

    async fn presence_list(&self) -> Answer<PresenceAnswer> {
        let _open = self.gate.acquire().await.unwrap();
        let mut names: Vec<String> = self.state().online.iter().cloned().collect();
        names.sort();
        let users = names.iter().map(|name| PresentUser { user: user(name), me: name == "alice" }).collect();
        Ok(PresenceAnswer { users })
    }

    async fn user_lookup(&self, params: UserLookup) -> Answer<LookupAnswer> {
        let info = |user: Username| UserInfo {
            exists: !matches!(user.as_str(), "nobody" | "unknown"),
            user,
            online: false,
            fingerprint: None,
            profile: None,
        };
        Ok(LookupAnswer { users: params.users.into_iter().map(info).collect() })
    }

    async fn device_list(&self) -> Answer<Devices> {
        Ok(Devices { devices: self.state().devices.clone() })
    }

    async fn device_approve(&self, params: DeviceApprove) -> Answer<Approved> {
        let mut state = self.state();
        let waits = |device: &&mut Device| device.device_id == params.device_id && device.digits.is_some();
        let device = state.devices.iter_mut().find(waits).ok_or(Kind::NotFound)?;
        if device.digits.as_deref() != Some(&params.digits.replace(' ', "")) {
            return Err(RpcError::new(Kind::Conflict, "the digits are not those of this device"));
        }
        (device.state, device.digits) = (DeviceState::Active, None);
        Ok(Approved { state: Approval::Added })
    }

    async fn device_revoke(&self, params: DeviceRevoke) -> Answer<Done> {
        let mut state = self.state();
        let known = |id: &DeviceId| state.devices.iter().any(|device| device.device_id == *id);
        if !params.device_ids.iter().all(known) {
            return Err(Kind::NotFound.into());
        }
        let named = |device: &&mut Device| params.device_ids.contains(&device.device_id);
        state.devices.iter_mut().filter(named).for_each(|device| device.state = DeviceState::Revoked);
        Ok(Done {})
    }

    async fn identity_self(&self) -> Answer<OwnIdentity> {
        Ok(identity::own(user("alice")))
    }

    async fn identity_get(&self, params: IdentityGet) -> Answer<PeerIdentity> {
        Ok(self.peer(params.user))
    }

    async fn identity_verify(&self, params: IdentityVerify) -> Answer<PeerIdentity> {
        if identity::fits(&params)? {
            return Ok(self.trust(params.user, IdentityState::Verified));
        }
        Err(RpcError::new(Kind::IdentityUnverified, "this is not the safety number"))
    }

    async fn identity_unverify(&self, params: IdentityUnverify) -> Answer<PeerIdentity> {
        Ok(self.trust(params.user, IdentityState::Tofu))
    }

    async fn identity_accept(&self, params: IdentityAccept) -> Answer<PeerIdentity> {
        Ok(self.trust(params.user, IdentityState::Tofu))
    }

    async fn identity_policy_get(&self, params: PolicyGet) -> Answer<PolicyAnswer> {
        let state = self.state();
        let default = state.settings.trust_policy;
        let chat = params.chat.as_ref().map(ChatId::from);
        let own = chat.as_ref().and_then(|chat| state.policies.get(chat)).copied();
        Ok(PolicyAnswer { chat, policy: own.unwrap_or(default), default })
    }

    async fn identity_policy_set(&self, params: PolicySet) -> Answer<PolicyAnswer> {
        let PolicySet { chat, policy } = params;
        match (chat.as_ref().map(ChatId::from), policy) {
            (Some(chat), Some(policy)) => drop(self.state().policies.insert(chat, policy)),
            (Some(chat), None) => drop(self.state().policies.remove(&chat)),
            (None, Some(policy)) => self.state().settings.trust_policy = policy,
            (None, None) => return Err(RpcError::invalid("policy", "missing")),
        }
        self.identity_policy_get(PolicyGet { chat }).await
    }

    async fn chat_open(&self, params: ChatOpen) -> Answer<OpenedChat> {
        Ok(OpenedChat { chat: ChatId::from(&params.to), devices: Vec::new(), identity: IdentityState::Tofu })
    }

    async fn chat_list(&self, _: ChatList) -> Answer<ChatPage> {
        Ok(ChatPage { chats: Vec::new(), cursor: None })
    }

    async fn chat_get(&self, params: ChatGet) -> Answer<Chat> {
        let Target::User(peer) = &params.to else { return Err(Kind::NotFound.into()) };
        let identity = self.state().trust.get(peer).copied().ok_or(Kind::NotFound)?;
        let set = ChatSet { to: params.to.clone(), muted_until_ms: None, ttl_s: None, archived: None };
        Ok(Chat { peer: Some(peer.clone()), identity: Some(identity), ..self.chat_set(set).await? })
    }

    async fn chat_mark_read(&self, params: ChatMarkRead) -> Answer<MarkedRead> {
        Ok(MarkedRead { chat: ChatId::from(&params.to), unread: 0 })
    }

    async fn msg_send(&self, params: MsgSend) -> Answer<Sent> {
        if let Target::User(name) = &params.to {
            if let Some(refusal) = self.state().refuses.get(name.as_str()) {
                return Err(refusal.clone());
            }
            match name.as_str() {
                "nobody" => return Err(RpcError::new(Kind::NotFound, "there is no user nobody")),
                "unknown" if params.require_user == Some(true) => {
                    return Err(RpcError::new(Kind::NotFound, "there is no user unknown"));
                }
                "changed" => return Err(RpcError::new(Kind::IdentityChanged, "the identity of @changed has changed")),
                _ => {}
            }
        }
        let known = params.client_id.as_ref().and_then(|key| self.state().keys.get(key).cloned());
        if let Some(sent) = known {
            return Ok(Sent { duplicate: true, ..sent });
        }
        let id = self.store(&params.to, "alice", &params.text, Some(MessageState::Queued));
        let sent = Sent { id, chat: ChatId::from(&params.to), state: MessageState::Queued, duplicate: false };
        if let Some(key) = params.client_id {
            self.state().keys.insert(key, sent.clone());
        }
        Ok(sent)
    }

    async fn msg_get(&self, params: MsgGet) -> Answer<Message> {
        let found = self.state().messages.iter().find(|message| message.id == params.id).cloned();
        found.ok_or(Kind::NotFound.into())
    }

    async fn msg_list(&self, params: MsgList) -> Answer<MessagePage> {
        let (chat, state) = (ChatId::from(&params.to), self.state());
        let all: Vec<_> = state.messages.iter().filter(|message| message.chat == chat).collect();
        let place = |id: MessageId| all.iter().position(|message| message.id == id);
        if params.before.or(params.after).is_some_and(|id| place(id).is_none()) {
            return Err(RpcError::new(Kind::NotFound, "no such message in this chat"));
        }
        let low = params.after.and_then(place).map_or(0, |place| place + 1);
        let near = &all[low..params.before.and_then(place).unwrap_or(all.len())];
        let limit = near.len().min(params.limit.unwrap_or(50) as usize);
        let page = if params.after.is_some() { &near[..limit] } else { &near[near.len() - limit..] };
        let messages = page.iter().map(|message| (*message).clone()).collect();
        Ok(MessagePage { messages, more: limit < near.len() })
    }

    async fn msg_status(&self, params: MsgStatus) -> Answer<MessageStatus> {
        Ok(MessageStatus { id: params.id, state: MessageState::Queued, recipients: Vec::new() })
    }

    async fn msg_wait(&self, params: MsgWait) -> Answer<MessageStatus> {
        let found = self.state().messages.iter().find(|message| message.id == params.id).cloned();
        let state = found.ok_or(Kind::NotFound)?.state.ok_or(Kind::InvalidParams)?;
        if state == params.state {
            return Ok(MessageStatus { id: params.id, state, recipients: Vec::new() });
        }
        tokio::time::sleep(Duration::from_millis(params.timeout_ms.unwrap_or(0))).await;
        Err(Kind::Timeout.into())
    }

    async fn msg_cancel(&self, params: MsgCancel) -> Answer<MessageStatus> {
        let message = self.change(params.id, |message| message.state = Some(MessageState::Cancelled))?;
        self.moved(message.id, MessageState::Cancelled);
        Ok(MessageStatus { id: message.id, state: MessageState::Cancelled, recipients: Vec::new() })
    }

    async fn msg_resend(&self, params: MsgResend) -> Answer<Sent> {
        let message = self.change(params.id, |_| {})?;
        let chat = message.chat;
        let to = chat.as_str().parse().map_err(|_| Kind::NotFound)?;
        let id = self.store(&to, "alice", &message.text, Some(MessageState::Queued));
        Ok(Sent { id, chat, state: MessageState::Queued, duplicate: false })
    }

    async fn msg_edit(&self, params: MsgEdit) -> Answer<Message> {
        let message = self.change(params.id, |message| {
            message.text = params.text;
            message.edited_ms = Some(NOW);
        })?;
        self.append(None, &EventBody::MessageEdited(message.clone()));
        Ok(message)
    }

    async fn msg_delete(&self, params: MsgDelete) -> Answer<Done> {
        self.change(params.id, |message| {
            message.text.clear();
            message.deleted = true;
        })?;
        let why = if params.scope == DeleteScope::All { "author" } else { "here" };
        self.append(None, &EventBody::MessageDeleted(Deleted { id: params.id, why: why.to_owned() }));
        Ok(Done {})
    }

    async fn msg_react(&self, params: MsgReact) -> Answer<Message> {
        let given = Reaction { emoji: params.emoji, users: vec![user("alice")] };
        let emoji = Some(given.emoji.clone()).filter(|_| params.remove != Some(true));
        let message = self.change(params.id, |message| {
            message.reactions = if emoji.is_some() { vec![given] } else { Vec::new() };
        })?;
        self.append(None, &EventBody::MessageReaction(Reacted { id: params.id, user: user("alice"), emoji }));
        Ok(message)
    }

    async fn account_settings_get(&self) -> Answer<Settings> {
        Ok(self.state().settings.clone())
    }

    async fn account_settings_set(&self, params: SettingsSet) -> Answer<Settings> {
        let mut state = self.state();
        let settings = &mut state.settings;
        settings.read_receipts = params.read_receipts.unwrap_or(settings.read_receipts);
        settings.presence = params.presence.unwrap_or(settings.presence);
        settings.history_days = params.history_days.unwrap_or(settings.history_days);
        settings.event_days = params.event_days.unwrap_or(settings.event_days);
        settings.max_events = params.max_events.unwrap_or(settings.max_events);
        settings.trust_policy = params.trust_policy.unwrap_or(settings.trust_policy);
        settings.outbox_days = params.outbox_days.unwrap_or(settings.outbox_days);
        Ok(settings.clone())
    }

    /// A contact a page.
    async fn contact_list(&self, params: ContactList) -> Answer<Contacts> {
        let state = self.state();
        let behind = |user: &Username| params.after.as_ref().is_none_or(|after| user > after);
        let mut contacts: Vec<_> = state.contacts.values().filter(|one| behind(&one.user)).cloned().collect();
        let more = contacts.len() > 1;
        contacts.truncate(1);
        Ok(Contacts { contacts, more })
    }

    async fn contact_get(&self, params: ContactGet) -> Answer<Contact> {
        Ok(self.contact(&params.user, |_| {}))
    }

    async fn contact_set(&self, params: ContactSet) -> Answer<Contact> {
        Ok(self.contact(&params.user, |contact| {
            contact.alias = params.alias.clone().or(contact.alias.take());
            contact.note = params.note.clone().or(contact.note.take());
        }))
    }

    async fn contact_block(&self, params: ContactBlock) -> Answer<Contact> {
        Ok(self.contact(&params.user, |contact| contact.blocked = true))
    }

    async fn contact_unblock(&self, params: ContactUnblock) -> Answer<Contact> {
        Ok(self.contact(&params.user, |contact| contact.blocked = false))
    }

    async fn profile_get(&self, params: ProfileGet) -> Answer<Profile> {
        let who = params.user.unwrap_or_else(|| user("alice"));
        self.state().profiles.get(&who).cloned().ok_or(Kind::NotFound.into())
    }

    async fn profile_set(&self, params: ProfileSet) -> Answer<Profile> {
        let mut state = self.state();
        let empty = Profile { display_name: None, about: None, bot: false };
        let profile = state.profiles.entry(user("alice")).or_insert(empty);
        profile.display_name = params.display_name.or(profile.display_name.take());
        profile.about = params.about.or(profile.about.take());
        profile.bot = params.bot.unwrap_or(profile.bot);
        Ok(profile.clone())
    }

    async fn chat_set(&self, params: ChatSet) -> Answer<Chat> {
        let id = ChatId::from(&params.to);
        let last = self.state().messages.iter().rev().find(|message| message.chat == id).cloned();
        Ok(Chat {
            id,
            kind: ChatKind::Direct,
            title: params.to.to_string(),
            end_to_end: true,
            unread: 0,
            last,
            peer: None,
            identity: None,
            muted_until_ms: params.muted_until_ms.filter(|until| *until > 0),
            ttl_s: params.ttl_s.filter(|ttl_s| *ttl_s > 0),
            archived: params.archived.unwrap_or(false),
        })
    }

    async fn chat_can_send(&self, params: ChatCanSend) -> Answer<CanSend> {
        let changed = params.to == Target::User(user("changed"));
        Ok(CanSend { ok: !changed, reasons: changed.then(|| "identity_changed".to_owned()).into_iter().collect() })
    }

    async fn chat_unread(&self) -> Answer<Unread> {
        let messages = self.state().messages.iter().filter(|message| !message.outgoing).count() as u64;
        Ok(Unread { messages, chats: messages.min(1), mentions: 0 })
    }

    async fn msg_search(&self, params: MsgSearch) -> Answer<SearchPage> {
        let state = self.state();
        let from: usize = params.cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let found = state.messages.iter().rev().filter(|message| message.text.contains(&params.query)).skip(from);
        let limit = params.limit.unwrap_or(50).min(FOUND_AT_ONCE) as usize;
        let mut messages: Vec<_> = found.take(limit + 1).cloned().collect();
        let cursor = (messages.len() > limit).then(|| (from + limit).to_string());
        messages.truncate(limit);
        Ok(SearchPage { messages, cursor })
    }

    async fn msg_export(&self, params: MsgExport) -> Answer<Exported> {
        if std::path::Path::new(&params.out).exists() {
            return Err(RpcError::new(Kind::AlreadyExists, "there is a file of that name already"));
        }
        Ok(Exported { out: params.out, messages: self.state().messages.len() as u64 })
    }

    /// A message a page.
    async fn msg_export_page(&self, params: MsgExportPage) -> Answer<ExportPage> {
        let state = self.state();
        let place: usize = params.cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let text = state.messages.get(place).map(|message| serde_json::to_string(message).unwrap() + "\n");
        let cursor = (place + 1 < state.messages.len()).then(|| (place + 1).to_string());
        Ok(ExportPage { messages: u64::from(text.is_some()), text: text.unwrap_or_default(), cursor })
    }

    /// A message a page.
    async fn msg_outbox(&self, params: MsgOutbox) -> Answer<OutboxPage> {
        let state = self.state();
        let place: usize = params.cursor.map_or(0, |cursor| cursor.parse().unwrap());
        let unsent = |message: &&Message| matches!(message.state, Some(MessageState::Queued | MessageState::Failed));
        let mut messages: Vec<_> = state.messages.iter().filter(unsent).skip(place).cloned().collect();
        let cursor = (messages.len() > 1).then(|| (place + 1).to_string());
        messages.truncate(1);
        Ok(OutboxPage { messages, cursor })
    }

    async fn kv_get(&self, params: KvGet) -> Answer<KvEntry> {
        let found = self.state().values.get(&(params.scope, params.key)).cloned();
        found.ok_or(Kind::NotFound.into())
    }

    async fn kv_set(&self, params: KvSet) -> Answer<KvEntry> {
        let mut state = self.state();
        let place = (params.scope, params.key.clone());
        let version = state.values.get(&place).map_or(0, |entry| entry.version);
        if params.if_version.is_some_and(|wanted| wanted != version) {
            return Err(Kind::Conflict.into());
        }
        let entry = KvEntry { key: params.key, value: params.value, version: version + 1 };
        state.values.insert(place, entry.clone());
        Ok(entry)
    }

    async fn kv_delete(&self, params: KvDelete) -> Answer<Done> {
        let known = self.state().values.remove(&(params.scope, params.key));
        known.map(|_| Done {}).ok_or(Kind::NotFound.into())
    }

    async fn kv_list(&self, params: KvList) -> Answer<KvPage> {
        let state = self.state();
        let here = |((scope, _), _): &(&(Name, String), &KvEntry)| *scope == params.scope;
        Ok(KvPage { entries: state.values.iter().filter(here).map(|(_, entry)| entry.clone()).collect(), more: false })
    }

    async fn token_create(&self, token: Token, hash: TokenHash) -> Answer<()> {
        let mut state = self.state();
        if state.tokens.contains_key(&token.name) {
            return Err(Kind::AlreadyExists.into());
        }
        state.tokens.insert(token.name.clone(), (token, hash));
        Ok(())
    }

    async fn token_find(&self, hash: TokenHash) -> Answer<Option<Token>> {
        let state = self.state();
        Ok(state.tokens.values().find(|(_, known)| *known == hash).map(|(token, _)| token.clone()))
    }

    async fn token_list(&self) -> Answer<Tokens> {
        Ok(Tokens { tokens: self.state().tokens.values().map(|(token, _)| token.clone()).collect() })
    }

    async fn token_revoke(&self, params: TokenRevoke) -> Answer<Done> {
        self.state().tokens.remove(&params.name).map(|_| Done {}).ok_or(Kind::NotFound.into())
    }

    async fn token_used(&self, used: Use) -> Answer<()> {
        let mut state = self.state();
        let seq = state.journal.len() as u64 + 1;
        let Use { token, method, chat, refused } = used;
        let (method, refused) = (method.to_owned(), refused.map(str::to_owned));
        state.journal.push(AuditEntry { seq, time_ms: NOW, token, method, chat, refused });
        Ok(())
    }

    async fn audit_list(&self, _: AuditList) -> Answer<AuditPage> {
        Ok(AuditPage { entries: self.state().journal.iter().rev().cloned().collect(), more: false })
    }

    async fn consumer_open(&self, consumer: Name, place: Option<u64>) -> Answer<u64> {
        let mut state = self.state();
        let newest = state.oldest + state.log.len() as u64 - 1;
        Ok(*state.consumers.entry(consumer).or_insert(place.unwrap_or(newest)))
    }

    async fn events_ack(&self, params: EventsAck) -> Answer<Acked> {
        let mut state = self.state();
        state.acks += 1;
        let place = state.consumers.get_mut(&params.consumer).ok_or(Kind::UnknownConsumer)?;
        *place = params.seq.max(*place);
        Ok(Acked { acked_seq: *place })
    }

    async fn events_consumers(&self) -> Answer<Consumers> {
        let state = self.state();
        let shown = |(name, acked): (&Name, &u64)| Consumer {
            name: name.clone(),
            acked_seq: *acked,
            lag: state.oldest + state.log.len() as u64 - 1 - acked,
            connected: false,
            seen_ms: NOW,
        };
        Ok(Consumers { consumers: state.consumers.iter().map(shown).collect() })
    }

    async fn events_forget(&self, params: EventsForget) -> Answer<Done> {
        let known = self.state().consumers.remove(&params.consumer);
        known.map(|_| Done {}).ok_or(Kind::UnknownConsumer.into())
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    async fn events_after(&self, seq: u64, max: usize) -> Answer<EventPage> {
        let state = self.state();
        let behind = state.log.iter().filter(|event| event.seq.unwrap_or(0) > seq);
        Ok(EventPage { events: behind.take(max).cloned().collect(), oldest_seq: state.oldest })
    }

    fn volatile(&self) -> broadcast::Receiver<Event> {
        self.volatile.subscribe()
    }
}

/// An event of no consequence.
pub fn nothing_much(number: u64) -> EventBody {
    EventBody::SyncDone(Synced { replayed: number })
}
