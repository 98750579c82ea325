//! The table of contents of the socket's calls: each is one step of the engine, one look at the rows, or
//! one question to the server.

use async_trait::async_trait;
use chat_protocol::ids::Username;
use chat_protocol::message::client::{Lookup, PresenceWatch};
use chat_protocol::rpc::types::{
    AccountLogin, AccountLogout, AccountPassword, AccountRegister, AccountReset, AccountStatusAnswer, Acked, Approved,
    AuditList, AuditPage, CanSend, Chat, ChatCanSend, ChatGet, ChatList, ChatMarkRead, ChatOpen, ChatPage, ChatSet,
    Consumers, Contact, ContactBlock, ContactGet, ContactList, ContactSet, ContactUnblock, Contacts, DaemonInfoAnswer,
    DaemonLimits, DeleteScope, DeviceApprove, DeviceRevoke, Devices, Done, Entered, EventsAck, EventsForget,
    ExportPage, Exported, Health, IdentityAccept, IdentityGet, IdentityUnverify, IdentityVerify, KvDelete, KvEntry,
    KvGet, KvList, KvPage, KvSet, LookupAnswer, MarkedRead, Message, MessagePage, MessageStatus, MsgCancel, MsgDelete,
    MsgEdit, MsgExport, MsgExportPage, MsgGet, MsgList, MsgOutbox, MsgReact, MsgResend, MsgSearch, MsgSend, MsgStatus,
    MsgWait, OpenedChat, OutboxPage, OwnIdentity, PeerIdentity, PolicyAnswer, PolicyGet, PolicySet, PresenceAnswer,
    PresentUser, Profile, ProfileGet, ProfileSet, ResetAnswer, SearchPage, Sent, Settings, SettingsSet, Token,
    TokenRevoke, Tokens, Unread, UserInfo, UserLookup,
};
use chat_protocol::rpc::{API_VERSION, ChatId, Event, Kind, Name, RpcError, Target};
use tokio::sync::{broadcast, watch};

use super::{Daemon, Order, errors, reads};
use crate::api::{Answer, Api, EventPage, TokenHash, Use};
use crate::clock;
use crate::engine::{amend, chats, commands, consumers, contacts, devices, history, kv, peers, profile, tokens, view};
use crate::metrics::Metrics;

#[async_trait]
impl Api for Daemon {
    async fn daemon_info(&self) -> Answer<DaemonInfoAnswer> {
        // it may have moved since the start
        let socket = self.setup.dir.told_socket().unwrap_or_else(|| self.setup.socket.clone());
        Ok(DaemonInfoAnswer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: API_VERSION.to_owned(),
            profile: self.setup.profile.clone(),
            data_dir: self.setup.dir.path().display().to_string(),
            socket: socket.display().to_string(),
            pid: std::process::id(),
            uptime_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            limits: DaemonLimits::current(),
            features: Vec::new(),
        })
    }

    async fn daemon_health(&self) -> Answer<Health> {
        self.health().await
    }

    async fn daemon_shutdown(&self) -> Answer<Done> {
        self.ending.cancel();
        Ok(Done {})
    }

    async fn net_kick(&self) -> Answer<Done> {
        self.order(Order::Kick).await?;
        Ok(Done {})
    }

    async fn account_register(&self, params: AccountRegister) -> Answer<Entered> {
        self.register(params).await
    }

    async fn account_login(&self, params: AccountLogin) -> Answer<Entered> {
        self.login(params).await
    }

    async fn account_status(&self) -> Answer<AccountStatusAnswer> {
        self.status().await
    }

    async fn account_logout(&self, params: AccountLogout) -> Answer<Done> {
        self.logout(params).await
    }

    async fn account_password(&self, params: AccountPassword) -> Answer<Done> {
        self.password(params).await
    }

    async fn account_reset(&self, params: AccountReset) -> Answer<ResetAnswer> {
        self.reset(params).await
    }

    async fn account_reset_cancel(&self) -> Answer<Done> {
        self.cancel_reset().await
    }

    async fn presence_list(&self) -> Answer<PresenceAnswer> {
        let me = self.me().await?;
        let visible = self.settings().await?.presence;
        let list = self.ask(&PresenceWatch { visible }).await?;
        let present = |user: Username| PresentUser { me: user == me, user };
        Ok(PresenceAnswer { users: list.users.into_iter().map(present).collect() })
    }

    async fn user_lookup(&self, params: UserLookup) -> Answer<LookupAnswer> {
        let found = self.ask(&Lookup { users: params.users.clone() }).await?.users;
        self.read(move |rows| {
            let mut users = Vec::new();
            for user in params.users {
                let known = found.iter().find(|known| known.user == user);
                let pinned = peers::get(rows, &user).map_err(|error| errors::rows(&error))?;
                users.push(UserInfo {
                    exists: known.is_some(),
                    online: known.is_some_and(|known| known.online),
                    fingerprint: pinned.map(|peer| peer.pinned.log.fingerprint()),
                    profile: profile::of(rows, &user).map_err(|error| errors::rows(&error))?,
                    user,
                });
            }
            Ok(LookupAnswer { users })
        })
        .await
    }

    async fn device_list(&self) -> Answer<Devices> {
        self.read(reads::devices).await
    }

    async fn device_approve(&self, params: DeviceApprove) -> Answer<Approved> {
        self.approve(params).await
    }

    async fn device_revoke(&self, params: DeviceRevoke) -> Answer<Done> {
        self.command(move |turn| devices::revoke(turn, &params.device_ids)).await?;
        Ok(Done {})
    }

    async fn identity_self(&self) -> Answer<OwnIdentity> {
        self.read(reads::own_identity).await
    }

    async fn identity_get(&self, params: IdentityGet) -> Answer<PeerIdentity> {
        self.identity(params.user).await
    }

    async fn identity_verify(&self, params: IdentityVerify) -> Answer<PeerIdentity> {
        self.verify(params).await
    }

    async fn identity_unverify(&self, params: IdentityUnverify) -> Answer<PeerIdentity> {
        self.unverify(params.user).await
    }

    async fn identity_accept(&self, params: IdentityAccept) -> Answer<PeerIdentity> {
        self.accept(params).await
    }

    async fn identity_policy_get(&self, params: PolicyGet) -> Answer<PolicyAnswer> {
        self.policy(params).await
    }

    async fn identity_policy_set(&self, params: PolicySet) -> Answer<PolicyAnswer> {
        self.set_policy(params).await
    }

    async fn chat_open(&self, params: ChatOpen) -> Answer<OpenedChat> {
        let Target::User(user) = &params.to else {
            return Err(RpcError::invalid("to", "only a chat with one user has sessions"));
        };
        let (user, chat) = (user.clone(), ChatId::from(&params.to));
        let wanted = user.clone();
        self.command(move |turn| {
            commands::open(turn, &wanted);
            Ok(())
        })
        .await?;
        self.read(move |rows| reads::opened(rows, &user, chat)).await
    }

    async fn chat_list(&self, params: ChatList) -> Answer<ChatPage> {
        self.read(move |rows| reads::chats(rows, &params)).await
    }

    async fn chat_get(&self, params: ChatGet) -> Answer<Chat> {
        self.read(move |rows| reads::chat(rows, &reads::chat_of(rows, &params.to)?)).await
    }

    async fn chat_mark_read(&self, params: ChatMarkRead) -> Answer<MarkedRead> {
        let ChatMarkRead { to, up_to } = params;
        let to = reads::to(&to, &self.me().await?).chat();
        let chat = view::chat_id(&to).ok_or_else(|| RpcError::from(Kind::NotFound))?;
        let unread = self.command(move |turn| commands::mark_read(turn, &to, up_to.as_ref())).await?;
        Ok(MarkedRead { chat, unread })
    }

    async fn msg_send(&self, params: MsgSend) -> Answer<Sent> {
        self.send(params).await
    }

    async fn msg_wait(&self, params: MsgWait) -> Answer<MessageStatus> {
        self.wait(&params).await
    }

    async fn msg_cancel(&self, params: MsgCancel) -> Answer<MessageStatus> {
        let id = params.id;
        self.command(move |turn| amend::cancel(turn, &id)).await?;
        self.read(move |rows| reads::message_status(rows, &id)).await
    }

    async fn msg_resend(&self, params: MsgResend) -> Answer<Sent> {
        self.resend(params).await
    }

    async fn msg_edit(&self, params: MsgEdit) -> Answer<Message> {
        let MsgEdit { id, text } = params;
        shown(&self.command(move |turn| amend::edit(turn, &id, text)).await?)
    }

    async fn msg_delete(&self, params: MsgDelete) -> Answer<Done> {
        let MsgDelete { id, scope } = params;
        self.command(move |turn| match scope {
            DeleteScope::Myself => amend::delete_here(turn, &id),
            DeleteScope::All => amend::delete_everywhere(turn, &id),
        })
        .await?;
        Ok(Done {})
    }

    async fn msg_react(&self, params: MsgReact) -> Answer<Message> {
        let MsgReact { id, emoji, remove } = params;
        shown(&self.command(move |turn| amend::react(turn, &id, &emoji, remove.unwrap_or(false))).await?)
    }

    async fn msg_get(&self, params: MsgGet) -> Answer<Message> {
        self.read(move |rows| reads::message(rows, &params.id)).await
    }

    async fn msg_list(&self, params: MsgList) -> Answer<MessagePage> {
        self.read(move |rows| reads::messages(rows, &params)).await
    }

    async fn msg_outbox(&self, params: MsgOutbox) -> Answer<OutboxPage> {
        self.read(move |rows| reads::outbox(rows, &params)).await
    }

    async fn msg_status(&self, params: MsgStatus) -> Answer<MessageStatus> {
        self.read(move |rows| reads::message_status(rows, &params.id)).await
    }

    async fn account_settings_get(&self) -> Answer<Settings> {
        self.settings().await
    }

    async fn account_settings_set(&self, params: SettingsSet) -> Answer<Settings> {
        self.change_settings(params).await
    }

    async fn contact_list(&self, params: ContactList) -> Answer<Contacts> {
        self.read(move |rows| reads::contacts(rows, &params)).await
    }

    async fn contact_get(&self, params: ContactGet) -> Answer<Contact> {
        self.rows(move |rows| contacts::get(rows, &params.user)).await
    }

    async fn contact_set(&self, params: ContactSet) -> Answer<Contact> {
        self.command(move |turn| contacts::set(turn, params)).await
    }

    async fn contact_block(&self, params: ContactBlock) -> Answer<Contact> {
        self.command(move |turn| contacts::block(turn, &params.user, true)).await
    }

    async fn contact_unblock(&self, params: ContactUnblock) -> Answer<Contact> {
        self.command(move |turn| contacts::block(turn, &params.user, false)).await
    }

    async fn profile_get(&self, params: ProfileGet) -> Answer<Profile> {
        self.read(move |rows| reads::profile(rows, params.user.as_ref())).await
    }

    async fn profile_set(&self, params: ProfileSet) -> Answer<Profile> {
        self.command(move |turn| profile::set(turn, params)).await
    }

    async fn chat_set(&self, params: ChatSet) -> Answer<Chat> {
        let chat = reads::to(&params.to, &self.me().await?).chat();
        let id = chat.clone();
        self.command(move |turn| chats::set(turn, &id, &params)).await?;
        self.read(move |rows| reads::chat(rows, &chat)).await
    }

    async fn chat_can_send(&self, params: ChatCanSend) -> Answer<CanSend> {
        self.read(move |rows| reads::can_send(rows, &params.to)).await
    }

    async fn chat_unread(&self) -> Answer<Unread> {
        self.rows(|rows| chats::unread(rows, clock::now())).await
    }

    async fn msg_search(&self, params: MsgSearch) -> Answer<SearchPage> {
        self.search(params).await
    }

    async fn msg_export(&self, params: MsgExport) -> Answer<Exported> {
        self.export(params).await
    }

    async fn msg_export_page(&self, params: MsgExportPage) -> Answer<ExportPage> {
        self.export_page(params).await
    }

    async fn kv_get(&self, params: KvGet) -> Answer<KvEntry> {
        let found = self.rows(move |rows| kv::get(rows, &params.scope, &params.key)).await?;
        found.ok_or_else(|| RpcError::new(Kind::NotFound, "there is no such value"))
    }

    async fn kv_set(&self, params: KvSet) -> Answer<KvEntry> {
        let KvSet { scope, key, value, if_version } = params;
        self.command(move |turn| kv::set(turn, (&scope, &key), &value, if_version)).await
    }

    async fn kv_delete(&self, params: KvDelete) -> Answer<Done> {
        let KvDelete { scope, key, if_version } = params;
        let gone = self.command(move |turn| kv::delete(turn, (&scope, &key), if_version)).await;
        gone.map_err(|error| errors::none_of(error, "such value")).map(|()| Done {})
    }

    async fn kv_list(&self, params: KvList) -> Answer<KvPage> {
        let limit = reads::limit(params.limit, 100)?;
        self.rows(move |rows| kv::list(rows, &params, limit)).await
    }

    async fn token_create(&self, token: Token, hash: TokenHash) -> Answer<()> {
        self.command(move |turn| tokens::create(turn, &token, hash)).await
    }

    async fn token_find(&self, hash: TokenHash) -> Answer<Option<Token>> {
        self.rows(move |rows| tokens::find(rows, &hash)).await
    }

    async fn token_list(&self) -> Answer<Tokens> {
        self.rows(tokens::list).await.map(|tokens| Tokens { tokens })
    }

    async fn token_revoke(&self, params: TokenRevoke) -> Answer<Done> {
        let name = params.name.clone();
        let gone = self.command(move |turn| tokens::revoke(turn, &params.name)).await;
        gone.map_err(|error| errors::none_of(error, &format!("token {name}"))).map(|()| Done {})
    }

    async fn token_used(&self, used: Use) -> Answer<()> {
        self.command(move |turn| tokens::note(turn, used)).await
    }

    async fn audit_list(&self, params: AuditList) -> Answer<AuditPage> {
        let limit = reads::limit(params.limit, 100)?;
        self.rows(move |rows| tokens::journal(rows, &params, limit)).await
    }

    async fn consumer_open(&self, consumer: Name, place: Option<u64>) -> Answer<u64> {
        self.command(move |turn| consumers::open(turn, &consumer, place)).await
    }

    async fn events_ack(&self, params: EventsAck) -> Answer<Acked> {
        let EventsAck { consumer, seq } = params;
        let acked_seq = self.command(move |turn| consumers::ack(turn, &consumer, seq)).await?;
        Ok(Acked { acked_seq })
    }

    async fn events_consumers(&self) -> Answer<Consumers> {
        self.read(|rows| consumers::list(rows).map_err(|error| errors::rows(&error)))
            .await
            .map(|consumers| Consumers { consumers })
    }

    async fn events_forget(&self, params: EventsForget) -> Answer<Done> {
        self.command(move |turn| consumers::forget(turn, &params.consumer)).await.map(|()| Done {})
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn newest_event(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    async fn events_after(&self, seq: u64, max: usize) -> Answer<EventPage> {
        self.read(move |rows| reads::events_after(rows, seq, max)).await
    }

    fn volatile(&self) -> broadcast::Receiver<Event> {
        self.volatile.subscribe()
    }
}

fn shown(message: &history::Message) -> Answer<Message> {
    view::message(message).ok_or_else(|| RpcError::from(Kind::NotFound))
}

impl Daemon {
    pub(super) async fn me(&self) -> Answer<Username> {
        self.read(|rows| Ok(reads::account(rows)?.user)).await
    }
}
