//! Who calls: the owner, a token, or nobody yet; and which tokens are in use.
//!
//! A token is 256 random bits. Only its hash is kept, so neither the store nor this process's memory, after the
//! call that presented it, tells what it was. Revoking it, or its end, closes the connections that use it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chat_protocol::crypto::kdf;
use chat_protocol::rpc::types::{Token, TokenCreate, TokenMade};
use chat_protocol::rpc::{ChatId, Kind, Name, RpcError, Scope, Secret};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::subscribe::now_ms;
use crate::api::{Answer, Backend};

/// How a token's text begins, so that tools which look for leaked secrets know it.
const PREFIX: &str = "chatd_";
/// Longest text that is looked at.
const MAX_TEXT_BYTES: usize = 128;
/// Most connections of one token at once: a bot has a few, and others want to call too.
pub const MAX_TOKEN_CONNECTIONS: usize = 32;
/// How long a connection that needs a token may be without one.
const GREETING_WITHIN: Duration = Duration::from_secs(10);
/// How often a connection looks whether its token has ended: the clock may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Who calls on a connection.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// Whoever may open the socket without a token.
    Owner,
    /// A program with a token.
    Bearer(Arc<Bearer>),
    /// Nobody known: a token has to come first.
    Nobody,
}

/// A token in use, shared by all its connections.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) token: Token,
    /// Of calls that reach others.
    rate: Option<DefaultDirectRateLimiter>,
    /// Places of its connections.
    connections: Arc<Semaphore>,
    /// Cancelled when the token is revoked.
    revoked: CancellationToken,
}

impl Access {
    /// Waits until it is good no longer; forever for the owner.
    pub(super) async fn ended(&self) {
        let bearer = match self {
            Self::Owner => return std::future::pending().await,
            Self::Nobody => return tokio::time::sleep(GREETING_WITHIN).await,
            Self::Bearer(bearer) => bearer,
        };
        loop {
            let left = bearer.left();
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = bearer.revoked.cancelled() => return,
                () = tokio::time::sleep(left.min(LOOK_EVERY)) => {}
            }
        }
    }

    /// The chats it is confined to, if it is.
    pub(super) fn chats(&self) -> Option<&[ChatId]> {
        match self {
            Self::Owner => None,
            Self::Bearer(bearer) => bearer.token.chats.as_deref(),
            Self::Nobody => Some(&[]),
        }
    }

    /// Whether it may see what is written, by either way.
    pub(super) fn reads(&self) -> bool {
        match self {
            Self::Owner => true,
            Self::Bearer(bearer) => {
                let scopes = &bearer.token.scopes;
                scopes.contains(&Scope::ReadHistory) || scopes.contains(&Scope::ReadEvents)
            }
            Self::Nobody => false,
        }
    }

    /// Whether it is still good.
    ///
    /// # Errors
    /// As [`Bearer::check`].
    pub(super) fn check(&self) -> Answer<()> {
        if let Self::Bearer(bearer) = self { bearer.check() } else { Ok(()) }
    }

    /// A place among the connections of its token, if it has one.
    ///
    /// # Errors
    /// `quota_exceeded` if all are taken.
    pub(super) fn place(&self) -> Answer<Option<OwnedSemaphorePermit>> {
        let Self::Bearer(bearer) = self else { return Ok(None) };
        let place = Arc::clone(&bearer.connections).try_acquire_owned();
        place.map(Some).map_err(|_| {
            let why = format!("this token has {MAX_TOKEN_CONNECTIONS} connections, and no more are possible");
            RpcError::new(Kind::QuotaExceeded, why)
                .with_hint("close some, or ask the owner for another token: chatctl token create")
        })
    }

    /// Whether both are the owner, nobody, or one use of one token.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Owner, Self::Owner) | (Self::Nobody, Self::Nobody) => true,
            (Self::Bearer(one), Self::Bearer(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Whether a name that callers give to something of theirs is one of its own.
    pub(super) fn owns(&self, name: &Name) -> bool {
        match self {
            Self::Owner => true,
            Self::Bearer(bearer) => bearer.owns_name(name),
            Self::Nobody => false,
        }
    }
}

impl Bearer {
    fn new(token: Token) -> Self {
        let rate = token.rate.and_then(NonZeroU32::new).map(|most| RateLimiter::direct(Quota::per_minute(most)));
        let connections = Arc::new(Semaphore::new(MAX_TOKEN_CONNECTIONS));
        Self { token, rate, connections, revoked: CancellationToken::new() }
    }

    /// Time until the token ends by itself.
    fn left(&self) -> Duration {
        self.token.expires_ms.map_or(Duration::MAX, |end| Duration::from_millis(end.saturating_sub(now_ms())))
    }

    /// Whether the token is still good.
    ///
    /// # Errors
    /// `unauthenticated` once it is revoked, `token_expired` once its time is over.
    pub(super) fn check(&self) -> Answer<()> {
        if self.revoked.is_cancelled() {
            return Err(unknown());
        }
        if self.left().is_zero() {
            let refusal = RpcError::new(Kind::TokenExpired, "the token has expired");
            return Err(refusal.with_hint("ask the owner for a new one: chatctl token create"));
        }
        Ok(())
    }

    /// Takes one call out of those a minute has.
    ///
    /// # Errors
    /// `rate_limited` with the time until the next.
    pub(super) fn take(&self) -> Answer<()> {
        let Some(rate) = &self.rate else { return Ok(()) };
        rate.check().map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            RpcError::new(Kind::RateLimited, "the token writes too often").with_retry_after_ms(millis)
        })
    }

    /// Its own names are its name, and those that begin with its name and a dot.
    pub(super) fn owns_name(&self, name: &Name) -> bool {
        let rest = name.as_str().strip_prefix(self.token.name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The tokens that were presented since the daemon began.
#[derive(Debug, Default)]
pub(super) struct ActiveTokens {
    live: Mutex<HashMap<Name, Arc<Bearer>>>,
}

impl ActiveTokens {
    /// Whose token this is.
    ///
    /// # Errors
    /// `unauthenticated` for one that nobody has, `token_expired`.
    pub(super) async fn present(&self, backend: &dyn Backend, text: &Secret) -> Answer<Access> {
        if text.expose().len() > MAX_TEXT_BYTES {
            return Err(unknown());
        }
        let hash = kdf::sha256(text.expose().as_bytes());
        let token = backend.token_find(hash).await?.ok_or_else(unknown)?;
        let name = token.name.clone();
        let bearer = Arc::clone(self.lock().entry(name.clone()).or_insert_with(|| Arc::new(Bearer::new(token))));
        // it may have been revoked between the look and the entry
        if backend.token_find(hash).await?.is_none_or(|now| now != bearer.token) {
            self.revoked(&name);
            return Err(unknown());
        }
        bearer.check()?;
        Ok(Access::Bearer(bearer))
    }

    /// Ends the use of a token that is no more.
    pub(super) fn revoked(&self, name: &Name) {
        if let Some(bearer) = self.lock().remove(name) {
            bearer.revoked.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Name, Arc<Bearer>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a token; its text is in the answer alone.
///
/// # Errors
/// `invalid_params` for what makes no sense, and what the store says.
pub(super) async fn create(backend: &dyn Backend, asked: TokenCreate) -> Answer<TokenMade> {
    check(&asked)?;
    let TokenCreate { name, mut scopes, chats, allow_to, rate, expires_ms } = asked;
    scopes.sort_unstable();
    scopes.dedup();
    let ids = |targets: Option<Vec<_>>| targets.map(|targets| targets.iter().map(ChatId::from).collect());
    let (chats, allow_to) = (ids(chats), ids(allow_to));
    let info = Token { name, scopes, chats, allow_to, rate, created_ms: now_ms(), expires_ms };
    let bytes = Zeroizing::new(rand::rng().random::<[u8; 32]>());
    let text = Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*bytes)));
    backend.token_create(info.clone(), kdf::sha256(text.as_bytes())).await?;
    Ok(TokenMade { token: Secret::from(text), info })
}

fn check(asked: &TokenCreate) -> Answer<()> {
    if asked.name.as_str().contains('.') {
        return Err(RpcError::invalid(
            "name",
            "a token's name has no dots: they part it from the names of its own things",
        ));
    }
    if let Some(place) = asked.scopes.iter().position(|scope| *scope == Scope::Owner) {
        return Err(RpcError::invalid(format!("scopes[{place}]"), "no token can have this scope"));
    }
    if asked.rate == Some(0) {
        return Err(RpcError::invalid("rate", "must be at least 1; leave out `send` and `react` to forbid writing"));
    }
    if asked.expires_ms.is_some_and(|end| end <= now_ms()) {
        return Err(RpcError::invalid("expires_ms", "this time is over; it is in milliseconds since 1970"));
    }
    Ok(())
}

/// The same words for a token that never was, that was revoked, and that is malformed.
fn unknown() -> RpcError {
    RpcError::new(Kind::Unauthenticated, "this is no token of this daemon")
        .with_hint("it may have been revoked: chatctl token list")
}
