//! Who the others are, as the socket asks: the server is asked first, so that nobody compares what is out of date.

use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::safety_number::SafetyNumber;
use chat_protocol::ids::Username;
use chat_protocol::limits::MAX_LOG_ENTRIES;
use chat_protocol::message::Blob;
use chat_protocol::message::client::LogFetch;
use chat_protocol::rpc::types::{
    IdentityAccept, IdentityGet, IdentitySelf, IdentityState, IdentityUnverify, IdentityVerify, OwnIdentity,
    PeerIdentity, PolicyAnswer, PolicyGet, PolicySet, SeenIdentity,
};
use chat_protocol::rpc::{ChatId, Handle, Kind, RpcError, Target};

use crate::api::Answer;
use crate::daemon::reads::{self, account, failed, not_found};
use crate::daemon::{Daemon, errors};
use crate::engine::peers::{self, Peer};
use crate::engine::settings::Settings;
use crate::engine::{trust, view};
use crate::store::Rows;

impl Handle<IdentitySelf> for Daemon {
    async fn handle(&self, IdentitySelf {}: IdentitySelf) -> Answer<OwnIdentity> {
        self.read(reads::own_identity).await
    }
}

impl Handle<IdentityGet> for Daemon {
    async fn handle(&self, params: IdentityGet) -> Answer<PeerIdentity> {
        let IdentityGet { user } = params;
        let asked = self.refresh(&user).await?;
        let refreshed = asked.refreshed;
        let identity = self.read(move |rows| identity(rows, &user)).await.map_err(|error| asked.or_why(error))?;
        Ok(PeerIdentity { refreshed, ..identity })
    }
}

impl Handle<IdentityVerify> for Daemon {
    async fn handle(&self, params: IdentityVerify) -> Answer<PeerIdentity> {
        let compared = params.compared()?;
        let asked = self.refresh(&params.user).await?;
        let refreshed = asked.refreshed;
        self.command(move |txn| {
            trust::verify(txn, &params.user, &compared)?;
            Ok(PeerIdentity { refreshed, ..identity(txn.rows, &params.user)? })
        })
        .await
        .map_err(|error| asked.or_why(error))
    }
}

impl Handle<IdentityUnverify> for Daemon {
    async fn handle(&self, params: IdentityUnverify) -> Answer<PeerIdentity> {
        let IdentityUnverify { user } = params;
        self.command(move |txn| {
            trust::unverify(txn, &user)?;
            Ok(identity(txn.rows, &user)?)
        })
        .await
    }
}

impl Handle<IdentityAccept> for Daemon {
    async fn handle(&self, params: IdentityAccept) -> Answer<PeerIdentity> {
        let IdentityAccept { user, fingerprint, head } = params;
        self.command(move |txn| {
            trust::accept(txn, &user, &fingerprint, &(&head).into())?;
            Ok(identity(txn.rows, &user)?)
        })
        .await
    }
}

impl Handle<PolicyGet> for Daemon {
    async fn handle(&self, params: PolicyGet) -> Answer<PolicyAnswer> {
        self.read(move |rows| policy(rows, params.chat.as_ref())).await
    }
}

impl Handle<PolicySet> for Daemon {
    async fn handle(&self, params: PolicySet) -> Answer<PolicyAnswer> {
        let PolicySet { chat, policy: wanted } = params;
        let user = peer(chat.as_ref())?.cloned();
        self.command(move |txn| {
            peers::set_policy(txn, user.as_ref(), wanted)?;
            Ok(policy(txn.rows, chat.as_ref())?)
        })
        .await
    }
}

/// What came of asking the server how the logs of a user and of this account stand.
struct Asked {
    /// It showed both, as far as there are any.
    refreshed: bool,
    /// Why it did not say who the user is.
    unsaid: Option<RpcError>,
}

impl Asked {
    /// A user who is not known here is nobody only if the server could be asked.
    fn or_why(self, error: RpcError) -> RpcError {
        match self.unsaid {
            Some(why) if error.kind == Kind::NotFound => {
                RpcError { message: format!("the user is not known here, and {}", why.message), ..why }
            }
            _ => error,
        }
    }
}

impl Daemon {
    /// Asks the server how the logs of `user` and of this account stand.
    async fn refresh(&self, user: &Username) -> Answer<Asked> {
        let me = self.me().await?;
        for (is_me, user) in [(false, user.clone()), (true, me)] {
            match self.whole_log(&user).await {
                Ok(entries) => self.command(move |txn| trust::apply_shown_log(txn, &user, &entries)).await?,
                // an account without a device has no log yet
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => {
                    tracing::debug!(%error, "an account log could not be refreshed");
                    return Ok(Asked { refreshed: false, unsaid: Some(error).filter(|_| !is_me) });
                }
            }
        }
        Ok(Asked { refreshed: true, unsaid: None })
    }

    async fn whole_log(&self, user: &Username) -> Answer<Vec<Blob>> {
        let mut entries = Vec::new();
        loop {
            let page = self.ask(&LogFetch { user: user.clone(), from: entries.len() as u64 }).await?;
            let empty = page.entries.is_empty();
            entries.extend(page.entries);
            if empty || entries.len() as u64 > page.head.seq || entries.len() >= MAX_LOG_ENTRIES {
                return Ok(entries);
            }
        }
    }
}

/// Whose chat is named; only private ones have somebody to trust.
fn peer(chat: Option<&Target>) -> Answer<Option<&Username>> {
    match chat {
        None => Ok(None),
        Some(Target::User(user)) => Ok(Some(user)),
        Some(_) => Err(RpcError::invalid("chat", "only a chat with one user has a policy")),
    }
}

fn policy(rows: &dyn Rows, chat: Option<&Target>) -> Answer<PolicyAnswer> {
    let default = Settings::get(rows).map_err(failed)?.trust_policy;
    let own = match peer(chat)? {
        Some(user) => peers::policy_of_chat(rows, user).map_err(failed)?,
        None => None,
    };
    let (policy, default) = (own.unwrap_or(default), default);
    Ok(PolicyAnswer { chat: chat.map(ChatId::from), policy, default })
}

/// Costs 10,400 hashes for each safety number: call it off the runtime.
fn identity(rows: &dyn Rows, user: &Username) -> Answer<PeerIdentity> {
    let account = account(rows)?;
    let peer = peers::get(rows, user).map_err(failed)?.ok_or_else(|| {
        not_found("user known to this daemon")
            .with_hint("chatctl who shows who is there; chatctl status whether the server is")
    })?;
    let own = peers::get(rows, &account.user).map_err(failed)?.map(|own| own.pinned.log);
    let own = own.or_else(|| account.log.clone()).ok_or_else(|| errors::idle(Some(&account)))?;
    let policy = peers::policy(rows, user).map_err(failed)?;
    let shown = view::identity(&peer);
    Ok(PeerIdentity {
        safety_number: Some(SafetyNumber::of(&own, &peer.pinned.log)),
        devices: view::devices(&peer, policy),
        policy,
        seen: shown.seen.iter().map(|seen| numbered(seen, &own, &peer)).collect(),
        ..shown
    })
}

/// Adds the safety number to an identity the user can decide for.
fn numbered(seen: &SeenIdentity, own: &AccountLog, peer: &Peer) -> SeenIdentity {
    let names = |log: &&AccountLog| log.fingerprint() == seen.fingerprint && log.head() == (&seen.head).into();
    let all = [&peer.pinned].into_iter().chain(&peer.rival).chain(&peer.others).map(|identity| &identity.log);
    let log = all.filter(|_| seen.state != IdentityState::Revoked).find(names);
    SeenIdentity { safety_number: log.map(|log| SafetyNumber::of(own, log)), ..seen.clone() }
}
