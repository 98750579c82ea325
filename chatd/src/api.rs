//! What the control socket may ask of the daemon: one method for each RPC method.
//!
//! The socket side ([`crate::rpc`]) parses, bounds, orders and answers; the daemon's loop does the
//! rest behind this trait. `hello`, `events.subscribe`, `.unsubscribe` and `.pull` are
//! answered by the socket side alone, from the log. Errors are for the caller's eyes: nothing secret is in them.

use async_trait::async_trait;
use chat_protocol::rpc::types::{
    AccountLogin, AccountLogout, AccountPassword, AccountRegister, AccountReset, AccountStatusAnswer, Acked, Approved,
    AuditList, AuditPage, CanSend, Chat, ChatCanSend, ChatGet, ChatList, ChatMarkRead, ChatOpen, ChatPage, ChatSet,
    Consumers, Contact, ContactBlock, ContactGet, ContactList, ContactSet, ContactUnblock, Contacts, DaemonInfoAnswer,
    DeviceApprove, DeviceRevoke, Devices, Done, Entered, EventsAck, EventsForget, ExportPage, Exported, Health,
    IdentityAccept, IdentityGet, IdentityUnverify, IdentityVerify, KvDelete, KvEntry, KvGet, KvList, KvPage, KvSet,
    LookupAnswer, MarkedRead, Message, MessagePage, MessageStatus, MsgCancel, MsgDelete, MsgEdit, MsgExport,
    MsgExportPage, MsgGet, MsgList, MsgOutbox, MsgReact, MsgResend, MsgSearch, MsgSend, MsgStatus, MsgWait, OpenedChat,
    OutboxPage, OwnIdentity, PeerIdentity, PolicyAnswer, PolicyGet, PolicySet, PresenceAnswer, Profile, ProfileGet,
    ProfileSet, ResetAnswer, SearchPage, Sent, Settings, SettingsSet, Token, TokenRevoke, Tokens, Unread, UserLookup,
};
use chat_protocol::rpc::{Event, Name, RpcError};
use tokio::sync::{broadcast, watch};

use crate::metrics::Metrics;

pub use crate::engine::tokens::{TokenHash, Use};

/// A stretch of the durable event log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// Events behind the place asked for, ascending, each with its `seq`.
    pub events: Vec<Event>,
    /// The oldest sequence still kept; one more than the newest when the log is empty.
    pub oldest_seq: u64,
}

/// The outcome of a call.
pub type Answer<T> = Result<T, RpcError>;

/// The daemon as the control socket sees it.
///
/// Calls may come from many connections at once. A call that is dropped half-way (its connection is
/// gone) either had its whole effect or none.
#[async_trait]
pub trait Api: Send + Sync + 'static {
    /// `daemon.info`
    async fn daemon_info(&self) -> Answer<DaemonInfoAnswer>;
    /// `daemon.health`
    async fn daemon_health(&self) -> Answer<Health>;
    /// `daemon.shutdown`: asks the process to drain and end; returns before it does.
    async fn daemon_shutdown(&self) -> Answer<Done>;
    /// `net.kick`
    async fn net_kick(&self) -> Answer<Done>;

    /// `account.register`
    async fn account_register(&self, params: AccountRegister) -> Answer<Entered>;
    /// `account.login`
    async fn account_login(&self, params: AccountLogin) -> Answer<Entered>;
    /// `account.status`
    async fn account_status(&self) -> Answer<AccountStatusAnswer>;
    /// `account.logout`
    async fn account_logout(&self, params: AccountLogout) -> Answer<Done>;
    /// `account.password`
    async fn account_password(&self, params: AccountPassword) -> Answer<Done>;
    /// `account.reset`
    async fn account_reset(&self, params: AccountReset) -> Answer<ResetAnswer>;
    /// `account.reset.cancel`
    async fn account_reset_cancel(&self) -> Answer<Done>;

    /// `presence.list`
    async fn presence_list(&self) -> Answer<PresenceAnswer>;
    /// `user.lookup`
    async fn user_lookup(&self, params: UserLookup) -> Answer<LookupAnswer>;

    /// `device.list`
    async fn device_list(&self) -> Answer<Devices>;
    /// `device.approve`
    async fn device_approve(&self, params: DeviceApprove) -> Answer<Approved>;
    /// `device.revoke`
    async fn device_revoke(&self, params: DeviceRevoke) -> Answer<Done>;

    /// `identity.self`
    async fn identity_self(&self) -> Answer<OwnIdentity>;
    /// `identity.get`
    async fn identity_get(&self, params: IdentityGet) -> Answer<PeerIdentity>;
    /// `identity.verify`
    async fn identity_verify(&self, params: IdentityVerify) -> Answer<PeerIdentity>;
    /// `identity.unverify`
    async fn identity_unverify(&self, params: IdentityUnverify) -> Answer<PeerIdentity>;
    /// `identity.policy.get`
    async fn identity_policy_get(&self, params: PolicyGet) -> Answer<PolicyAnswer>;
    /// `identity.policy.set`
    async fn identity_policy_set(&self, params: PolicySet) -> Answer<PolicyAnswer>;
    /// `identity.accept`
    async fn identity_accept(&self, params: IdentityAccept) -> Answer<PeerIdentity>;

    /// `chat.open`
    async fn chat_open(&self, params: ChatOpen) -> Answer<OpenedChat>;
    /// `chat.list`
    async fn chat_list(&self, params: ChatList) -> Answer<ChatPage>;
    /// `chat.get`
    async fn chat_get(&self, params: ChatGet) -> Answer<Chat>;
    /// `chat.mark_read`
    async fn chat_mark_read(&self, params: ChatMarkRead) -> Answer<MarkedRead>;

    /// `msg.send`
    async fn msg_send(&self, params: MsgSend) -> Answer<Sent>;
    /// `msg.get`
    async fn msg_get(&self, params: MsgGet) -> Answer<Message>;
    /// `msg.list`
    async fn msg_list(&self, params: MsgList) -> Answer<MessagePage>;
    /// `msg.outbox`
    async fn msg_outbox(&self, params: MsgOutbox) -> Answer<OutboxPage>;
    /// `msg.status`
    async fn msg_status(&self, params: MsgStatus) -> Answer<MessageStatus>;

    /// `account.settings.get`
    async fn account_settings_get(&self) -> Answer<Settings>;
    /// `account.settings.set`
    async fn account_settings_set(&self, params: SettingsSet) -> Answer<Settings>;
    /// `contact.list`
    async fn contact_list(&self, params: ContactList) -> Answer<Contacts>;
    /// `contact.get`
    async fn contact_get(&self, params: ContactGet) -> Answer<Contact>;
    /// `contact.set`
    async fn contact_set(&self, params: ContactSet) -> Answer<Contact>;
    /// `contact.block`
    async fn contact_block(&self, params: ContactBlock) -> Answer<Contact>;
    /// `contact.unblock`
    async fn contact_unblock(&self, params: ContactUnblock) -> Answer<Contact>;
    /// `profile.get`
    async fn profile_get(&self, params: ProfileGet) -> Answer<Profile>;
    /// `profile.set`
    async fn profile_set(&self, params: ProfileSet) -> Answer<Profile>;
    /// `chat.set`
    async fn chat_set(&self, params: ChatSet) -> Answer<Chat>;
    /// `chat.can_send`
    async fn chat_can_send(&self, params: ChatCanSend) -> Answer<CanSend>;
    /// `chat.unread`
    async fn chat_unread(&self) -> Answer<Unread>;
    /// `msg.wait`
    async fn msg_wait(&self, params: MsgWait) -> Answer<MessageStatus>;
    /// `msg.cancel`
    async fn msg_cancel(&self, params: MsgCancel) -> Answer<MessageStatus>;
    /// `msg.resend`
    async fn msg_resend(&self, params: MsgResend) -> Answer<Sent>;
    /// `msg.edit`
    async fn msg_edit(&self, params: MsgEdit) -> Answer<Message>;
    /// `msg.delete`
    async fn msg_delete(&self, params: MsgDelete) -> Answer<Done>;
    /// `msg.react`
    async fn msg_react(&self, params: MsgReact) -> Answer<Message>;
    /// `msg.search`
    async fn msg_search(&self, params: MsgSearch) -> Answer<SearchPage>;
    /// `msg.export`
    async fn msg_export(&self, params: MsgExport) -> Answer<Exported>;
    /// `msg.export.page`
    async fn msg_export_page(&self, params: MsgExportPage) -> Answer<ExportPage>;
    /// Makes sure that there is a consumer, and returns its place: `place` if it is new, or the log's end.
    async fn consumer_open(&self, consumer: Name, place: Option<u64>) -> Answer<u64>;
    /// `events.ack`
    async fn events_ack(&self, params: EventsAck) -> Answer<Acked>;
    /// `events.consumers`
    async fn events_consumers(&self) -> Answer<Consumers>;
    /// `events.forget`
    async fn events_forget(&self, params: EventsForget) -> Answer<Done>;
    /// `kv.get`
    async fn kv_get(&self, params: KvGet) -> Answer<KvEntry>;
    /// `kv.set`
    async fn kv_set(&self, params: KvSet) -> Answer<KvEntry>;
    /// `kv.delete`
    async fn kv_delete(&self, params: KvDelete) -> Answer<Done>;
    /// `kv.list`
    async fn kv_list(&self, params: KvList) -> Answer<KvPage>;

    /// Keeps a new token beside the hash of its text.
    async fn token_create(&self, token: Token, hash: TokenHash) -> Answer<()>;
    /// The token whose text has this hash.
    async fn token_find(&self, hash: TokenHash) -> Answer<Option<Token>>;
    /// `token.list`
    async fn token_list(&self) -> Answer<Tokens>;
    /// `token.revoke`
    async fn token_revoke(&self, params: TokenRevoke) -> Answer<Done>;
    /// Notes what a token is used for; durable once this returns.
    async fn token_used(&self, used: Use) -> Answer<()>;
    /// `audit.list`
    async fn audit_list(&self, params: AuditList) -> Answer<AuditPage>;

    /// What is counted.
    fn metrics(&self) -> &Metrics;
    /// The newest sequence in the event log, changed after each commit that appended; 0 when empty.
    fn newest_event(&self) -> watch::Receiver<u64>;
    /// Events behind `seq`, at most `max`.
    async fn events_after(&self, seq: u64, max: usize) -> Answer<EventPage>;
    /// Volatile events from now on. Whoever lags behind misses some, and is not told.
    fn volatile(&self) -> broadcast::Receiver<Event>;
}
