//! What a test makes the server say or hide: a proxy before the true one, which does not know of it.

use chat_protocol::cbor;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::{DeviceId, Head, Username};
use chat_protocol::message::Blob;
use chat_protocol::message::client::{Request, Submit};
use chat_protocol::message::server::{
    Accepted, Code, KnownUser, LogPage, LoggedIn, LookedUp, OneTimeLeft, Refusal, WaitingDevices,
};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_server::store::KnownHead;

use crate::server::{Server, spoil, stale};

/// What a log is said to be.
#[derive(Clone)]
pub struct Shown {
    pub entries: Vec<Vec<u8>>,
    pub head: Head,
}

impl Shown {
    pub fn of(log: &AccountLog) -> Self {
        Self { entries: log.entries_from(0).map(<[u8]>::to_vec).collect(), head: log.head() }
    }

    fn page(&self, from: u64) -> Vec<u8> {
        let entries = self.entries.iter().skip(from as usize).cloned().map(Blob).collect();
        cbor::encode(&LogPage { entries, head: self.head })
    }
}

pub type Answer = Result<Vec<u8>, Refusal>;
/// What a login is said to find.
pub type Claim = Box<dyn Fn(LoggedIn) -> LoggedIn + Send>;

/// What becomes of a request on its way to the true server.
pub enum Heard {
    /// It goes on, perhaps changed.
    Passed(Vec<u8>),
    /// It is answered here.
    Answered(Answer),
}

impl Server {
    pub fn hear(&mut self, by: &Username, device: DeviceId, number: u16, payload: Vec<u8>) -> Heard {
        if let Some(answer) = self.says.get(&(device, number)) {
            return Heard::Answered(answer.clone());
        }
        match Request::decode(number, &payload).unwrap() {
            Request::Submit(_) => self.submitted(by, device, cbor::decode(&payload).unwrap()),
            Request::RoomPost(_) if self.puts_off() => Heard::Answered(Err(Code::Busy.into())),
            Request::BundleFetch(fetch) if self.bundleless.contains(&fetch.device) => {
                Heard::Answered(Err(Code::NotFound.into()))
            }
            Request::BundlePublish(publish) if self.forgetful == Some(device) => {
                let log = self.log_of(by);
                let bundle = VerifiedBundle::verify(&publish.bundle, log.active(&device).unwrap());
                self.offered.insert(bundle.unwrap().seq());
                Heard::Answered(Err(Code::Stale.into()))
            }
            Request::OneTimeStatus(_) if self.forgetful == Some(device) => {
                let bundle_seq = self.offered.last().copied().unwrap_or(self.state(device).bundle_seq);
                Heard::Answered(Ok(cbor::encode(&OneTimeLeft { hashes: Vec::new(), bundle_seq })))
            }
            Request::DevicesWaiting(_) if self.waiting.iter().any(|(owner, _)| owner == by) => {
                let own = self.waiting.iter().filter(|(owner, _)| owner == by);
                let devices = own.map(|(_, device)| device.clone()).collect();
                Heard::Answered(Ok(cbor::encode(&WaitingDevices { devices })))
            }
            Request::LogFetch(fetch) => match self.shown_to(by, &fetch.user) {
                Some(log) => Heard::Answered(Ok(log.page(fetch.from))),
                None => Heard::Passed(payload),
            },
            Request::Lookup(lookup) => {
                self.lookups += 1;
                match lookup.users.iter().any(|user| self.shown_to(by, user).is_some()) {
                    true => Heard::Answered(Ok(self.looked_up(by, &lookup.users))),
                    false => Heard::Passed(payload),
                }
            }
            _ => Heard::Passed(payload),
        }
    }

    /// The log that somebody sees in place of the true one.
    pub fn shown_to(&self, by: &Username, user: &Username) -> Option<&Shown> {
        self.shown.get(user).filter(|_| user != by || self.own_too.contains(user))
    }

    /// The head of a log as somebody sees it.
    pub fn head_for(&self, by: &Username, user: &Username) -> Head {
        self.shown_to(by, user).map_or_else(|| self.log_of(user).head(), |shown| shown.head)
    }

    /// Who there is, as somebody sees it.
    fn looked_up(&self, by: &Username, users: &[Username]) -> Vec<u8> {
        let seen = |known: KnownHead| {
            let head = self.shown_to(by, &known.user).map(|shown| shown.head).or(known.head);
            KnownUser { user: known.user, head, online: false }
        };
        cbor::encode(&LookedUp { users: self.heads(users).into_iter().map(seen).collect() })
    }

    fn puts_off(&mut self) -> bool {
        self.asked += 1;
        self.busy > 0 && self.asked.is_multiple_of(self.busy)
    }

    fn submitted(&mut self, by: &Username, device: DeviceId, mut submit: Submit) -> Heard {
        self.seen.push((device, submit.clone()));
        if self.puts_off() {
            return Heard::Answered(Err(Code::Busy.into()));
        }
        if submit.to.iter().any(|to| Some(to.device) == self.broken) {
            return Heard::Answered(Err(Code::Internal.into()));
        }
        if self.swallow.contains(&(self.seen.len() - 1)) {
            return Heard::Answered(Ok(cbor::encode(&Accepted { full: Vec::new() })));
        }
        for claim in &mut submit.heads {
            let shown = self.shown_to(by, &claim.user).map(|shown| shown.head);
            if !self.takes_all && shown.is_some_and(|shown| shown != claim.head) {
                return Heard::Answered(Err(stale(&claim.user, self.head_for(by, &claim.user))));
            }
            if shown.is_none() && !self.takes_all {
                continue;
            }
            claim.head = self.log_of(&claim.user).head();
        }
        submit.to.iter_mut().filter(|to| Some(to.device) == self.corrupt).for_each(|to| spoil(&mut to.envelope));
        Heard::Passed(cbor::encode(&submit))
    }
}
