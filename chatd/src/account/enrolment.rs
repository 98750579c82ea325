//! The talks that lead into an account, from what is kept to what the server says.

use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::identity::device::DeviceKeys;
use chat_protocol::ids::{Fingerprint, HeadHash, Username};
use chat_protocol::message::Blob;
use chat_protocol::message::client::{Enrol, Password, Register, Reset};
use chat_protocol::message::server::{Code, Enrolled, Refusal, ResetState};
use chat_protocol::time::Timestamp;

use super::record::Pending;
use super::{
    Access, Account, AccountContext, AccountError, Entered, Reset as ResetRow, ResetOutcome, Standing, Wait, binding,
    log_in,
};
use crate::clock;
use crate::link::{CallError, Connection};

/// Everything is committed and the server is there: the talk can begin.
pub(super) struct Enrolment<'d> {
    context: &'d AccountContext,
    connection: Connection,
    keys: DeviceKeys,
    offer: Account,
    token: Option<[u8; 16]>,
    password: Password,
    /// The server may know of this offer already: it was made before.
    again: bool,
    /// It was taken: this is the account that is here.
    settled: bool,
}

impl<'d> Enrolment<'d> {
    /// Commits what will be offered, or finds what was offered before, and connects.
    pub(super) async fn open(
        context: &'d AccountContext,
        access: Access,
        user: Username,
        password: Password,
    ) -> Result<Self, AccountError> {
        let known = context.account()?;
        let settled = known.is_some();
        if let Some(Account { user: other, .. }) = known.as_ref().filter(|account| account.user != user) {
            return Err(AccountError::Another { user: other.clone() });
        }
        let (offer, keys, again) = match known {
            Some(account) => {
                let keys = context.keys_of(&account).await?;
                (Account { server: access.server, ..account }, keys, true)
            }
            None => offer(context, &access, &user).await?,
        };
        let connection = Connection::dial(&offer.server, &context.timing).await?;
        Ok(Self { context, connection, keys, offer, token: access.token, password, again, settled })
    }

    pub(super) async fn register(mut self) -> Result<Entered, AccountError> {
        if self.context.account()?.is_some() {
            return Err(AccountError::Already { user: self.offer.user });
        }
        if self.again && self.known().await? {
            return self.ready().await;
        }
        let invite = self.token.map(|token| Blob(token.to_vec()));
        let call = Register { user: self.offer.user.clone(), password: self.password.clone(), invite };
        match self.connection.call(&call).await {
            Ok(_) => self.enrol().await,
            // perhaps our own, from before a crash: the password will tell
            Err(CallError::Refused(refusal)) if refusal.code == Code::Exists && self.again => self.claim().await,
            Err(CallError::Refused(refusal)) => self.refuse(&refusal),
            Err(CallError::Lost(lost)) => Err(lost.into()),
        }
    }

    /// A device that the server knows is enrolled once more as it is: so the password is looked at in any case.
    pub(super) async fn login(self) -> Result<Entered, AccountError> {
        self.enrol().await
    }

    /// Whether the server knows the device already: a talk before this one got that far.
    async fn known(&mut self) -> Result<bool, AccountError> {
        match log_in(&mut self.connection, &self.keys, &self.offer.cert).await {
            Ok(_) => Ok(true),
            Err(CallError::Refused(_)) => Ok(false),
            Err(CallError::Lost(lost)) => Err(lost.into()),
        }
    }

    async fn claim(self) -> Result<Entered, AccountError> {
        let (context, user) = (self.context, self.offer.user.clone());
        match self.enrol().await {
            Err(AccountError::BadCredentials) => {
                context.commit(|rows| Pending::delete(rows))?;
                Err(AccountError::NameTaken { user })
            }
            outcome => outcome,
        }
    }

    async fn enrol(mut self) -> Result<Entered, AccountError> {
        let genesis = self.offer.log.as_ref().filter(|_| !self.settled).and_then(genesis_of);
        let first = self.ask_to_enrol(genesis.clone()).await;
        // the account has another first device: this one can only wait for its approval
        let lost_the_race = matches!(&first, Err(CallError::Refused(refusal)) if refusal.code == Code::Exists);
        let answer = if lost_the_race && genesis.is_some() { self.ask_to_enrol(None).await } else { first };
        match answer {
            Ok(Enrolled::Ready(_)) => self.ready().await,
            Ok(Enrolled::ApprovalRequired(_, fingerprint)) => self.wait(fingerprint).await,
            Err(CallError::Refused(refusal)) if refusal.code == Code::Revoked => Err(AccountError::Revoked),
            Err(CallError::Refused(refusal)) if refusal.code == Code::Denied => {
                // nothing of ours is known there; another attempt makes a fresh offer
                self.context.commit(|rows| Pending::delete(rows))?;
                Err(AccountError::BadCredentials)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what to wait for. A user who said that the digits are alike has said so of these digits only.
    async fn wait(self, fingerprint: Fingerprint) -> Result<Entered, AccountError> {
        let before = self.offer.wait.clone().filter(|wait| wait.fingerprint == fingerprint);
        let wait = before.unwrap_or(Wait { fingerprint, acceptance: None });
        let account = Account { standing: Standing::Waiting, log: None, wait: Some(wait), ..self.offer };
        self.context.commit(|rows| Pending::settle(&account, rows))?;
        self.connection.close().await;
        Ok(Entered::ApprovalRequired { device: account.device() })
    }

    async fn ask_to_enrol(&mut self, genesis: Option<Blob>) -> Result<Enrolled, CallError> {
        let cert = &self.offer.cert;
        let signature = binding(&self.connection).sign_enrol(&self.keys.signing, cert, &mut rand::rng()).into();
        let (user, password, cert) = (self.offer.user.clone(), self.password.clone(), cert.bytes().to_vec().into());
        self.connection.call(&Enrol { user, password, cert, signature, genesis }).await
    }

    async fn ready(self) -> Result<Entered, AccountError> {
        // without a log that may be believed, all there is to do is to wait
        let standing = if self.offer.log.is_some() { Standing::Active } else { Standing::Waiting };
        let account = Account { standing, ..self.offer };
        self.context.commit(|rows| Pending::settle(&account, rows))?;
        self.connection.close().await;
        let device = account.device();
        match account.log {
            Some(log) => Ok(Entered::Ready { device, fingerprint: log.fingerprint() }),
            // approved meanwhile; which log that is, the digits have to show
            None => Ok(Entered::ApprovalRequired { device }),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Result<Entered, AccountError> {
        let error = match refusal.code {
            Code::Exists => AccountError::NameTaken { user: self.offer.user.clone() },
            Code::Denied => AccountError::InviteRefused,
            _ => return Err(AccountError::Refused(refusal.clone())),
        };
        self.context.commit(|rows| Pending::delete(rows))?;
        Err(error)
    }
}

/// What was offered before and not settled, or a fresh offer; either way it is committed.
async fn offer(
    context: &AccountContext,
    access: &Access,
    user: &Username,
) -> Result<(Account, DeviceKeys, bool), AccountError> {
    let before = context.commit(|rows| Pending::load(rows))?;
    if let Some(Pending { account }) = before
        && account.user == *user
    {
        let keys = context.keys_of(&account).await?;
        let account = Account { server: access.server.clone(), ..account };
        return Ok((commit_offer(context, account)?, keys, true));
    }
    let keys = context.make_keys(user).await?;
    let account = fresh(&keys, access, user, None)?;
    Ok((commit_offer(context, account)?, keys, false))
}

fn fresh(
    keys: &DeviceKeys,
    access: &Access,
    user: &Username,
    replaces: Option<HeadHash>,
) -> Result<Account, AccountError> {
    let at = clock::now();
    let cert = keys.certify(user, at)?;
    let author = Author { key: &keys.signing, cert: &cert, at };
    let log = Some(AccountLog::genesis(author, replaces, &mut rand::rng())?);
    let (user, server) = (user.clone(), access.server.clone());
    Ok(Account { user, server, cert, log, standing: Standing::Active, next_key: None, wait: None })
}

fn commit_offer(context: &AccountContext, account: Account) -> Result<Account, AccountError> {
    let pending = Pending { account };
    context.commit(|rows| pending.save(rows))?;
    Ok(pending.account)
}

fn genesis_of(log: &AccountLog) -> Option<Blob> {
    log.entries_from(0).next().map(|entry| Blob(entry.to_vec()))
}

/// Begins an identity anew; see [`super::reset`].
pub(super) async fn reset(
    context: &AccountContext,
    access: Access,
    user: Username,
    password: Password,
) -> Result<ResetOutcome, AccountError> {
    if let Some(Account { user: other, .. }) = context.account()?.filter(|account| account.user != user) {
        return Err(AccountError::Another { user: other });
    }
    let keys = context.make_keys(&user).await?;
    let connection = Connection::dial(&access.server, &context.timing).await?;
    let before = context.commit(|rows| ResetRow::load(rows))?.map(|reset| reset.account().clone());
    let offer = before.filter(|account| account.user == user);
    let offer = offer.map(|account| Account { server: access.server.clone(), ..account });
    let mut talk = ResetTalk { context, access, user, password, keys, connection };
    talk.run(offer).await
}

struct ResetTalk<'d> {
    context: &'d AccountContext,
    access: Access,
    user: Username,
    password: Password,
    keys: DeviceKeys,
    connection: Connection,
}

impl ResetTalk<'_> {
    /// The same bytes as before while they are still right; else a genesis that replaces what stands there now.
    async fn run(&mut self, before: Option<Account>) -> Result<ResetOutcome, AccountError> {
        if let Some(offer) = before {
            match self.ask(&offer, true).await {
                Err(CallError::Refused(refusal)) if refusal.code == Code::Stale => {}
                // done, in a talk whose end was not heard
                Err(CallError::Refused(refusal)) if refusal.code == Code::Exists => return self.done(&offer),
                outcome => return self.settle(&offer, outcome?),
            }
        }
        let unheaded = fresh(&self.keys, &self.access, &self.user, None)?;
        let replaces = match self.ask(&unheaded, false).await {
            Err(CallError::Refused(Refusal { code: Code::Stale, heads: Some(heads), .. })) => {
                heads.iter().find(|head| head.user == self.user).map(|head| head.head.hash)
            }
            Err(CallError::Refused(refusal)) if refusal.code == Code::NotFound => {
                return Err(AccountError::NothingToReset);
            }
            Err(error) => return Err(error.into()),
            Ok(_) => None,
        };
        let offer = fresh(&self.keys, &self.access, &self.user, replaces)?;
        self.keep(&offer, None)?;
        let state = self.ask(&offer, true).await?;
        self.settle(&offer, state)
    }

    async fn ask(&mut self, offer: &Account, with_genesis: bool) -> Result<ResetState, CallError> {
        let signature = binding(&self.connection).sign_enrol(&self.keys.signing, &offer.cert, &mut rand::rng()).into();
        let genesis = offer.log.as_ref().filter(|_| with_genesis).and_then(genesis_of);
        let (user, password) = (self.user.clone(), self.password.clone());
        self.connection
            .call(&Reset { user, password, cert: offer.cert.bytes().to_vec().into(), signature, genesis })
            .await
    }

    fn settle(&self, offer: &Account, state: ResetState) -> Result<ResetOutcome, AccountError> {
        match state {
            ResetState::Waiting(until) => {
                self.keep(offer, Some(until))?;
                Ok(ResetOutcome::Waiting(until))
            }
            ResetState::Done(_) => self.done(offer),
        }
    }

    fn keep(&self, offer: &Account, until: Option<Timestamp>) -> Result<(), AccountError> {
        self.context.commit(|rows| ResetRow::new(offer.clone(), until).save(rows))
    }

    fn done(&self, offer: &Account) -> Result<ResetOutcome, AccountError> {
        self.context.commit(|rows| {
            ResetRow::delete(rows)?;
            Pending::settle(offer, rows)
        })?;
        let fingerprint = offer.log.as_ref().map(AccountLog::fingerprint).ok_or(AccountError::NoAccount)?;
        Ok(ResetOutcome::Done { device: offer.device(), fingerprint })
    }
}
