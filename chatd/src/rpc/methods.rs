//! Names and handlers: which call asks what of the daemon.
//!
//! A handler reads its named parameters, asks the [`Api`], and bounds the answer. It knows nothing of
//! connections.

use std::collections::HashMap;
use std::sync::Arc;

use chat_protocol::rpc::types::{
    AccountLogin, AccountLogout, AccountPassword, AccountRegister, AccountReset, AccountResetCancel, AccountStatus,
    AuditList, Chat, ChatCanSend, ChatGet, ChatList, ChatMarkRead, ChatOpen, ChatSet, ChatUnread, ContactBlock,
    ContactGet, ContactList, ContactSet, ContactUnblock, DaemonHealth, DaemonInfo, DaemonMetrics, DaemonShutdown,
    DeviceApprove, DeviceList, DeviceRevoke, Discover, EventsAck, EventsConsumers, EventsForget, EventsPull,
    EventsSubscribe, EventsUnsubscribe, Hello, HelloAnswer, IdentityAccept, IdentityGet, IdentitySelf,
    IdentityUnverify, IdentityVerify, KvDelete, KvGet, KvList, KvSet, Message, MessagePage, MetricsText, MsgCancel,
    MsgDelete, MsgEdit, MsgExport, MsgExportPage, MsgGet, MsgList, MsgOutbox, MsgReact, MsgResend, MsgSearch, MsgSend,
    MsgStatus, MsgWait, NetKick, PolicyGet, PolicySet, PresenceList, ProfileGet, ProfileSet, SettingsGet, SettingsSet,
    TokenCreate, TokenList, TokenRevoke, UserLookup,
};
use chat_protocol::rpc::{API_VERSION, Concurrency, Kind, MAX_LINE_BYTES, Method, RpcError, openrpc};
use futures_util::future::BoxFuture;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::access::{self, Access, Keyring};
use super::readers::Readers;
use super::reply::{MAX_ID_BYTES, written};
use super::{gate, pull};
use crate::api::{Answer, Api};
use crate::metrics::CONTENT_TYPE;

/// Room an answer's own frame takes, besides the result: version, id and braces.
const FRAME_BYTES: usize = 1024 + MAX_ID_BYTES;

/// When the calls of each name run.
pub(super) type Orders = HashMap<&'static str, Concurrency>;

/// What answers calls of one name: from who calls and the parameters as they were written, to the result.
pub(super) type Handler =
    Box<dyn Fn(Access, Option<Box<RawValue>>) -> BoxFuture<'static, Answer<Box<RawValue>>> + Send + Sync>;

/// Everything the socket answers.
pub(super) struct Offer {
    /// By the method's name.
    pub(super) handlers: HashMap<&'static str, Handler>,
    /// See [`Concurrency`]; what is not here runs at once.
    pub(super) orders: Orders,
    /// Whom they ask.
    pub(super) api: Arc<dyn Api>,
    /// Consumers that read now.
    pub(super) readers: Arc<Readers>,
    /// Tokens that are in use.
    pub(super) keyring: Arc<Keyring>,
}

impl Offer {
    /// What `api` can do.
    pub(super) fn new(api: Arc<dyn Api>) -> Self {
        let mut module = Module {
            handlers: HashMap::new(),
            orders: Orders::new(),
            api,
            readers: Arc::default(),
            keyring: Arc::default(),
        };
        daemon(&mut module);
        account(&mut module);
        people(&mut module);
        chats(&mut module);
        messages(&mut module);
        automation(&mut module);
        tokens(&mut module);
        events(&mut module);
        let Module { handlers, orders, api, readers, keyring } = module;
        Self { handlers, orders, api, readers, keyring }
    }
}

impl Offer {
    /// Counts a call and what came of it; names that are no methods share one.
    pub(super) fn count(&self, method: &str, error: Option<Kind>) {
        let method = self.orders.get_key_value(method).map_or("unknown", |(known, _)| known);
        self.api.metrics().called(method, error.map_or("ok", Kind::as_str));
    }
}

fn daemon(module: &mut Module) {
    // this one is answered where the connection is known
    module.orders.insert(Hello::NAME, Hello::CONCURRENCY);
    module.add(|_, Discover {}| async move { Ok(openrpc::document()) });
    module.add(|api, DaemonInfo {}| async move { api.daemon_info().await });
    let readers = Arc::clone(&module.readers);
    module.add_known(move |api, access, DaemonHealth {}| {
        let readers = Arc::clone(&readers);
        async move {
            let mut health = api.daemon_health().await?;
            health.consumers.retain(|consumer| access.owns(&consumer.name));
            readers.mark(&mut health.consumers);
            Ok(health)
        }
    });
    module.add_known(|api, access, DaemonMetrics {}| async move { metrics(api.as_ref(), &access).await });
    module.add(|api, DaemonShutdown {}| async move { api.daemon_shutdown().await });
    module.add(|api, NetKick {}| async move { api.net_kick().await });
}

fn account(module: &mut Module) {
    module.add(|api, params: AccountRegister| async move { api.account_register(params).await });
    module.add(|api, params: AccountLogin| async move { api.account_login(params).await });
    module.add(|api, AccountStatus {}| async move { api.account_status().await });
    module.add(|api, params: AccountLogout| async move { api.account_logout(params).await });
    module.add(|api, params: AccountPassword| async move { api.account_password(params).await });
    module.add(|api, params: AccountReset| async move { api.account_reset(params).await });
    module.add(|api, AccountResetCancel {}| async move { api.account_reset_cancel().await });
    module.add(|api, SettingsGet {}| async move { api.account_settings_get().await });
    module.add(|api, params: SettingsSet| async move { api.account_settings_set(params).await });
}

fn people(module: &mut Module) {
    module.add(|api, PresenceList {}| async move { api.presence_list().await });
    module.add(|api, params: UserLookup| async move { api.user_lookup(params).await });
    module.add(|api, DeviceList {}| async move { api.device_list().await });
    module.add(|api, params: DeviceApprove| async move { api.device_approve(params).await });
    module.add(|api, params: DeviceRevoke| async move { api.device_revoke(params).await });
    module.add(|api, IdentitySelf {}| async move { api.identity_self().await });
    module.add(|api, params: IdentityGet| async move { api.identity_get(params).await });
    module.add(|api, params: IdentityVerify| async move { api.identity_verify(params).await });
    module.add(|api, params: IdentityUnverify| async move { api.identity_unverify(params).await });
    module.add(|api, params: PolicyGet| async move { api.identity_policy_get(params).await });
    module.add(|api, params: PolicySet| async move { api.identity_policy_set(params).await });
    module.add(|api, params: IdentityAccept| async move { api.identity_accept(params).await });
    module.add(|api, params: ContactList| async move { api.contact_list(params).await });
    module.add(|api, params: ContactGet| async move { api.contact_get(params).await });
    module.add(|api, params: ContactSet| async move { api.contact_set(params).await });
    module.add(|api, params: ContactBlock| async move { api.contact_block(params).await });
    module.add(|api, params: ContactUnblock| async move { api.contact_unblock(params).await });
    module.add(|api, params: ProfileGet| async move { api.profile_get(params).await });
    module.add(|api, params: ProfileSet| async move { api.profile_set(params).await });
}

fn chats(module: &mut Module) {
    module.add(|api, params: ChatOpen| async move { api.chat_open(params).await });
    module.add_known(|api, access, params: ChatList| async move {
        let mut page = api.chat_list(params).await?;
        page.chats.retain(|chat| access.chats().is_none_or(|chats| chats.contains(&chat.id)));
        Ok(page)
    });
    module.add(|api, params: ChatGet| async move { api.chat_get(params).await });
    module.add(|api, params: ChatMarkRead| async move { api.chat_mark_read(params).await });
    module.add_known(|api, access, params: ChatSet| async move {
        let chat = api.chat_set(params).await?;
        Ok(Chat { last: chat.last.filter(|_| access.reads()), ..chat })
    });
    module.add(|api, params: ChatCanSend| async move { api.chat_can_send(params).await });
    module.add(|api, ChatUnread {}| async move { api.chat_unread().await });
}

fn messages(module: &mut Module) {
    module.add(|api, params: MsgSend| async move { api.msg_send(params).await });
    module.add(|api, params: MsgGet| async move { api.msg_get(params).await });
    module.add(|api, params: MsgList| async move {
        let forwards = params.after.is_some();
        Ok(fit(api.msg_list(params).await?, forwards))
    });
    module.add(|api, params: MsgOutbox| async move { api.msg_outbox(params).await });
    module.add(|api, params: MsgStatus| async move { api.msg_status(params).await });
    module.add(|api, params: MsgWait| async move { api.msg_wait(params).await });
    module.add(|api, params: MsgCancel| async move { api.msg_cancel(params).await });
    module.add(|api, params: MsgResend| async move { api.msg_resend(params).await });
    module.add(|api, params: MsgEdit| async move { api.msg_edit(params).await });
    module.add(|api, params: MsgDelete| async move { api.msg_delete(params).await });
    module.add_known(|api, access, params: MsgReact| async move {
        let message = api.msg_react(params).await?;
        Ok(if access.reads() { message } else { Message { text: String::new(), ..message } })
    });
    module.add(|api, params: MsgSearch| async move { api.msg_search(params).await });
    module.add(|api, params: MsgExport| async move { api.msg_export(params).await });
    module.add(|api, params: MsgExportPage| async move { api.msg_export_page(params).await });
}

fn automation(module: &mut Module) {
    module.add(|api, params: KvGet| async move { api.kv_get(params).await });
    module.add(|api, params: KvSet| async move { api.kv_set(params).await });
    module.add(|api, params: KvDelete| async move { api.kv_delete(params).await });
    module.add(|api, params: KvList| async move { api.kv_list(params).await });
}

fn tokens(module: &mut Module) {
    module.add(|api, params: TokenCreate| async move { access::create(api.as_ref(), params).await });
    module.add(|api, TokenList {}| async move { api.token_list().await });
    let keyring = Arc::clone(&module.keyring);
    module.add(move |api, params: TokenRevoke| {
        let keyring = Arc::clone(&keyring);
        async move {
            let name = params.name.clone();
            let done = api.token_revoke(params).await?;
            keyring.revoked(&name);
            Ok(done)
        }
    });
    module.add(|api, params: AuditList| async move { api.audit_list(params).await });
}

fn events(module: &mut Module) {
    // these two are answered where the connection is known
    module.orders.insert(EventsSubscribe::NAME, EventsSubscribe::CONCURRENCY);
    module.orders.insert(EventsUnsubscribe::NAME, EventsUnsubscribe::CONCURRENCY);
    let readers = Arc::clone(&module.readers);
    module.add(move |api, params: EventsAck| {
        let readers = Arc::clone(&readers);
        async move {
            let consumer = params.consumer.clone();
            let acked = api.events_ack(params).await?;
            readers.acked(&consumer, acked.acked_seq);
            Ok(acked)
        }
    });
    module.add_known(|api, access, params: EventsPull| async move { pull::pull(api.as_ref(), &access, params).await });
    let readers = Arc::clone(&module.readers);
    module.add_known(move |api, access, EventsConsumers {}| {
        let readers = Arc::clone(&readers);
        async move {
            let mut found = api.events_consumers().await?;
            found.consumers.retain(|consumer| access.owns(&consumer.name));
            readers.mark(&mut found.consumers);
            Ok(found)
        }
    });
    let readers = Arc::clone(&module.readers);
    module.add(move |api, params: EventsForget| {
        let readers = Arc::clone(&readers);
        async move {
            let consumer = params.consumer.clone();
            let done = api.events_forget(params).await?;
            readers.forgotten(&consumer);
            Ok(done)
        }
    });
}

/// Whether both sides speak the same version.
///
/// # Errors
/// `version_mismatch`.
pub(super) fn hello(params: &Hello) -> Answer<HelloAnswer> {
    if params.api != API_VERSION {
        let message = format!("this daemon speaks version {API_VERSION} of the API");
        return Err(RpcError::new(Kind::VersionMismatch, message));
    }
    Ok(HelloAnswer {
        api: API_VERSION.to_owned(),
        daemon: concat!("chatd/", env!("CARGO_PKG_VERSION")).to_owned(),
        features: Vec::new(),
    })
}

/// What was counted, and what is so at the moment, as far as it is the caller's to know.
///
/// # Errors
/// What the store says.
pub(super) async fn metrics(api: &dyn Api, access: &Access) -> Answer<MetricsText> {
    let mut health = api.daemon_health().await?;
    health.consumers.retain(|consumer| access.owns(&consumer.name));
    let newest = *api.newest_event().borrow();
    let text = api.metrics().text(&health, newest);
    let text = text.map_err(|error| RpcError::new(Kind::Internal, error.to_string()))?;
    Ok(MetricsText { content_type: CONTENT_TYPE.to_owned(), text })
}

/// The methods so far, and whom they ask.
struct Module {
    handlers: HashMap<&'static str, Handler>,
    orders: Orders,
    api: Arc<dyn Api>,
    readers: Arc<Readers>,
    keyring: Arc<Keyring>,
}

impl Module {
    /// Adds the method whose parameters `handler` takes.
    fn add<M, F, Fut>(&mut self, handler: F)
    where
        M: Method,
        F: Fn(Arc<dyn Api>, M) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Answer<M::Answer>> + Send + 'static,
    {
        self.add_known(move |api, _, params| handler(api, params));
    }

    /// The same, for a handler that has to know who calls.
    fn add_known<M, F, Fut>(&mut self, handler: F)
    where
        M: Method,
        F: Fn(Arc<dyn Api>, Access, M) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Answer<M::Answer>> + Send + 'static,
    {
        let api = Arc::clone(&self.api);
        let call = move |access: Access, params: Option<Box<RawValue>>| -> BoxFuture<'static, _> {
            let (api, handler) = (Arc::clone(&api), handler.clone());
            Box::pin(async move {
                gate::open::<M>(&access, api.as_ref()).await?;
                let asked = read::<M>(params.as_deref())?;
                gate::admit(&access, api.as_ref(), &asked).await?;
                write(&handler(Arc::clone(&api), access, asked).await?)
            })
        };
        self.handlers.insert(M::NAME, Box::new(call));
        self.orders.insert(M::NAME, M::CONCURRENCY);
    }
}

/// Reads named parameters; none at all, and an empty list of them, are the same as `{}`.
pub(super) fn read<M: Method>(params: Option<&RawValue>) -> Result<M, RpcError> {
    let none = params.is_none_or(|params| serde_json::from_str::<[IgnoredAny; 0]>(params.get()).is_ok());
    let text = params.filter(|_| !none).map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err(RpcError::invalid("params", "parameters must be named: an object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let message = error.inner().to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        RpcError::invalid(path_of(&error.path().to_string(), message), message)
    })
}

/// Where the mistake is; a missing key has no place of its own, so its name is the path.
fn path_of(found: &str, message: &str) -> String {
    let named = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match (found, named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => "params".to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (path, None) => path.to_owned(),
    }
}

/// Writes an answer out, and refuses one that would not fit its line.
fn write(answer: &impl serde::Serialize) -> Result<Box<RawValue>, RpcError> {
    let text = written(answer)?;
    if text.get().len() + FRAME_BYTES > MAX_LINE_BYTES {
        let refusal = RpcError::new(Kind::TooLarge, "the answer does not fit into one line");
        return Err(refusal.with_hint("ask for fewer with `limit`"));
    }
    Ok(text)
}

/// Leaves out the messages farthest from where the caller asked, until the page fits its line.
fn fit(mut page: MessagePage, forwards: bool) -> MessagePage {
    let mut room = MAX_LINE_BYTES - 2 * FRAME_BYTES;
    let mut fits = |message: &Message| {
        let bytes = serde_json::to_string(message).map_or(usize::MAX, |text| text.len() + 1);
        let left = room.checked_sub(bytes);
        room = left.unwrap_or(0);
        left.is_some()
    };
    let all = page.messages.len();
    let kept = if forwards {
        page.messages.iter().take_while(|message| fits(message)).count()
    } else {
        page.messages.iter().rev().take_while(|message| fits(message)).count()
    };
    if forwards {
        page.messages.truncate(kept);
    } else {
        page.messages.drain(..all - kept);
    }
    page.more |= kept < all;
    page
}
