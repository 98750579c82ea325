//! What a token may do: one rule for every call, over every transport.
//!
//! The order matters: whether the token is still good, whether a scope of it opens the call, whether it is confined
//! to other chats, how often it writes. What changes something, and whatever is refused, is in the journal before
//! anything happens.

use std::borrow::Cow;

use chat_protocol::rpc::types::Hello;
use chat_protocol::rpc::{ChatId, Concurrency, Kind, Method, RpcError, Scope, Subject, Target};
use serde_json::value::RawValue;

use super::access::{Access, Bearer};
use super::params;
use crate::api::{Answer, Backend, Use};

/// Reads a call that the caller may make, or says why not: whoever has no right to it does not hear what is wrong with it.
///
/// # Errors
/// As [`open`] and [`admit`]; `invalid_params`.
pub(super) async fn call<M: Method>(access: &Access, backend: &dyn Backend, params: Option<&RawValue>) -> Answer<M> {
    open::<M>(access, backend).await?;
    let asked = params::read::<M>(params)?;
    admit(access, backend, &asked).await?;
    Ok(asked)
}

/// Whether the caller may make this call at all, whatever its parameters are.
///
/// # Errors
/// `unauthenticated`, `token_expired`, `forbidden_scope`; what the store says when the journal cannot be kept.
pub(super) async fn open<M: Method>(access: &Access, backend: &dyn Backend) -> Answer<()> {
    let bearer = match access {
        Access::Owner => return Ok(()),
        Access::Nobody if M::NAME == Hello::NAME => return Ok(()),
        Access::Nobody => return Err(nobody()),
        Access::Bearer(bearer) => bearer,
    };
    bearer.check()?;
    if M::SCOPES.is_empty() || M::SCOPES.iter().any(|scope| bearer.token.scopes.contains(scope)) {
        return Ok(());
    }
    let refusal = no_scope(M::SCOPES);
    note::<M>(bearer, backend, None, Some(&refusal)).await?;
    Err(refusal)
}

/// Lets a call that is [`open`] through, or says why not.
///
/// # Errors
/// `forbidden_scope`, `rate_limited`; what the store says when the journal cannot be kept.
pub(super) async fn admit<M: Method>(access: &Access, backend: &dyn Backend, call: &M) -> Answer<()> {
    let Access::Bearer(bearer) = access else { return Ok(()) };
    let chat = subject(bearer, backend, call).await;
    let verdict = match &chat {
        Ok(chat) => judge::<M>(bearer, backend, chat.as_ref()).await,
        Err(refusal) => Err(refusal.clone()),
    };
    if verdict.is_err() || is_noted(call) {
        note::<M>(bearer, backend, chat.ok().flatten(), verdict.as_ref().err()).await?;
    }
    verdict
}

async fn note<M: Method>(
    bearer: &Bearer,
    backend: &dyn Backend,
    chat: Option<ChatId>,
    refusal: Option<&RpcError>,
) -> Answer<()> {
    let (token, refused) = (bearer.token.name.clone(), refusal.map(|refusal| refusal.kind.as_str()));
    backend.token_used(Use { token, method: M::NAME, chat, refused }).await
}

/// Whether an allowed call belongs in the journal: it changes more than the caller's own place in the log, or values.
fn is_noted<M: Method>(call: &M) -> bool {
    let own = matches!(call.subject(), Subject::Own(_)) || M::SCOPES == [Scope::ReadEvents];
    M::CONCURRENCY == Concurrency::Serial && !own
}

/// The chat a call is about, as far as that matters for this token.
async fn subject<M: Method>(bearer: &Bearer, backend: &dyn Backend, call: &M) -> Answer<Option<ChatId>> {
    match call.subject() {
        Subject::Chat(target) => Ok(Some(ChatId::from(target))),
        Subject::Message(id) if is_confined(bearer) => Ok(Some(backend.chat_of(id).await?)),
        Subject::User(user) => Ok(Some(ChatId::from(&Target::User(user.clone())))),
        Subject::EveryChat if bearer.token.chats.is_some() => Err(name_one()),
        Subject::File => Err(no_files()),
        Subject::Own(name) if !bearer.owns_name(name) => Err(foreign(bearer)),
        Subject::Nothing | Subject::Message(_) | Subject::EveryChat | Subject::Own(_) => Ok(None),
    }
}

async fn judge<M: Method>(bearer: &Bearer, backend: &dyn Backend, chat: Option<&ChatId>) -> Answer<()> {
    let writes = !M::SCOPES.is_empty() && M::SCOPES.iter().all(|scope| scope.writes());
    confine(bearer, chat, writes)?;
    if writes {
        bearer.take()?;
        backend.admit_token_message().await?;
    }
    Ok(())
}

fn is_confined(bearer: &Bearer) -> bool {
    bearer.token.chats.is_some() || bearer.token.allow_to.is_some()
}

fn confine(bearer: &Bearer, chat: Option<&ChatId>, writes: bool) -> Answer<()> {
    let Some(chat) = chat else { return Ok(()) };
    let within = |chats: &Option<Vec<ChatId>>| chats.as_ref().is_none_or(|chats| chats.contains(chat));
    if !within(&bearer.token.chats) {
        return Err(RpcError::new(Kind::ForbiddenScope, "the token is not for this chat"));
    }
    if writes && !within(&bearer.token.allow_to) {
        return Err(RpcError::new(Kind::ForbiddenScope, "the token may not write to this chat"));
    }
    Ok(())
}

fn no_scope(scopes: &[Scope]) -> RpcError {
    let wanted = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" or ");
    let hint: Cow<'_, str> = if scopes == [Scope::Owner] {
        "call without a token, on the socket".into()
    } else {
        "the owner can make another: chatctl token create".into()
    };
    RpcError::new(Kind::ForbiddenScope, format!("the token lacks the scope {wanted}")).with_hint(hint)
}

fn name_one() -> RpcError {
    RpcError::new(Kind::ForbiddenScope, "the token is for some chats only")
        .with_hint("name one of them, if the call takes one")
}

fn no_files() -> RpcError {
    let refusal = RpcError::new(Kind::ForbiddenScope, "a token names no files of the daemon's machine");
    refusal.with_hint("send what is in them: `password`, `invite`")
}

fn foreign(bearer: &Bearer) -> RpcError {
    let name = &bearer.token.name;
    let refusal = RpcError::new(Kind::ForbiddenScope, "the name belongs to somebody else");
    refusal.with_hint(format!("a token's own names are {name}, and those that begin with {name}."))
}

/// Nobody has shown a token yet.
pub(super) fn nobody() -> RpcError {
    let refusal = RpcError::new(Kind::Unauthenticated, "a token is needed here");
    refusal.with_hint("send it as `Authorization: Bearer TOKEN`, or with `hello`; chatctl token create makes one")
}
