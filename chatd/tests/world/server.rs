//! A server in memory: keeps its promises exactly, unless a test makes it lie.

use std::collections::{BTreeMap, BTreeSet};

use chat_protocol::cbor;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::ids::{DeviceId, Head, KeyHash, SubmitId, Username};
use chat_protocol::message::client::{LogAppend, Request, Submit, UserHead};
use chat_protocol::message::server::{
    Accepted, Bundle, Code, Deliver, KnownUser, LogGrew, LogPage, LoggedIn, LookedUp, MailboxDrained, OneTimeLeft,
    Post, PresenceList, Push, Refusal, RoomPage, RoomPosted, WaitingDevice, WaitingDevices,
};
use chat_protocol::message::{Blob, Done};
use chat_protocol::session::bundle::one_time_hash;
use chat_protocol::time::Timestamp;
use chat_server::mailbox::rules::{Owner, Quota, Target, Usage, Verdict, judge, next_seq};
use chat_server::store::DeviceState;

/// An account as the server keeps it.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub entries: Vec<Vec<u8>>,
    pub head: Option<Head>,
    pub devices: Vec<DeviceId>,
    /// It shows only so many entries of the log to others.
    pub shown: Option<usize>,
    /// And no more to its own devices either.
    pub own_too: bool,
}

/// A device and its mailbox.
#[derive(Clone, Debug)]
pub struct Device {
    pub state: DeviceState,
    pub bundle: Option<Vec<u8>>,
    pub bundle_seq: u64,
    pub one_time: Vec<Vec<u8>>,
    pub mailbox: Vec<Deliver>,
    pub acked: u64,
    pub last: u64,
    pub submit_counter: u64,
    pub done: BTreeMap<SubmitId, Vec<u8>>,
}

impl Device {
    fn new(state: DeviceState) -> Self {
        Self {
            state,
            bundle: None,
            bundle_seq: 0,
            one_time: Vec::new(),
            mailbox: Vec::new(),
            acked: 0,
            last: 0,
            submit_counter: 0,
            done: BTreeMap::new(),
        }
    }
}

/// The server, and the lies a test tells through it.
#[derive(Debug, Default)]
pub struct Server {
    pub accounts: BTreeMap<Username, Account>,
    pub devices: BTreeMap<DeviceId, Device>,
    pub room: Vec<Post>,
    /// Mailboxes that take nothing.
    pub full: BTreeSet<DeviceId>,
    /// Everything that was ever submitted, as it was.
    pub seen: Vec<(DeviceId, Submit)>,
    /// Submits whose numbers here are lost: accepted and never stored.
    pub swallow: BTreeSet<usize>,
    /// Requests whose numbers are multiples of this are answered `busy`; 0 for none.
    pub busy: usize,
    /// Spoils every message to this device.
    pub corrupt: Option<DeviceId>,
    /// Submits to this device are answered `internal`.
    pub broken: Option<DeviceId>,
    /// Submits and posts that were asked for.
    pub asked: usize,
    /// What it says of devices that ask to be let in, true or not.
    pub waiting: Vec<(Username, WaitingDevice)>,
    /// It takes what is sealed for any state of the logs.
    pub takes_all: bool,
    /// Devices that were revoked, whose connections are to end.
    pub ended: Vec<DeviceId>,
}

/// What the server says to a connected device.
pub type Pushes = Vec<(DeviceId, Push)>;
type Answer = Result<Vec<u8>, Refusal>;

impl Server {
    pub fn enrol(&mut self, user: &Username, device: DeviceId, entries: Vec<Vec<u8>>, head: Head) {
        let account = Account { entries, head: Some(head), devices: vec![device], shown: None, own_too: false };
        self.accounts.insert(user.clone(), account);
        self.devices.insert(device, Device::new(DeviceState::Active));
    }

    /// A further device of an account, which waits for approval.
    pub fn wait(&mut self, user: &Username, device: DeviceId) {
        self.accounts.get_mut(user).unwrap().devices.push(device);
        self.devices.insert(device, Device::new(DeviceState::Waiting));
    }

    pub fn login(&mut self, user: &Username, device: &DeviceId) -> Result<(LoggedIn, Vec<Push>), Refusal> {
        let state = &self.devices[device];
        match state.state {
            DeviceState::Active => {}
            DeviceState::Waiting => return Err(Code::ApprovalRequired.into()),
            _ => return Err(Code::Revoked.into()),
        }
        let logged_in = LoggedIn {
            head: self.head_for(user, user),
            mailbox_acked: state.acked,
            mailbox_last: state.last,
            bundle_seq: state.bundle_seq,
            submit_counter: state.submit_counter,
            room_last: self.room.len() as u64,
            reset_pending: None,
        };
        let mut pushes: Vec<_> = state.mailbox.iter().cloned().map(Push::Deliver).collect();
        pushes.push(Push::Drained(MailboxDrained { seq: state.last }));
        Ok((logged_in, pushes))
    }

    pub fn answer(&mut self, user: &Username, from: &DeviceId, request: Request, now: Timestamp) -> (Answer, Pushes) {
        let nothing = Vec::new();
        if self.busy > 0 && matches!(request, Request::Submit(_) | Request::RoomPost(_)) {
            self.asked += 1;
            if self.asked.is_multiple_of(self.busy) {
                return (Err(Code::Busy.into()), nothing);
            }
        }
        match request {
            Request::Lookup(lookup) => (Ok(cbor::encode(&self.lookup(user, &lookup.users))), nothing),
            Request::LogFetch(fetch) => (self.log(user, &fetch.user, fetch.from), nothing),
            Request::LogAppend(append) => self.append(user, &append),
            Request::DevicesWaiting(_) => {
                let own = self.waiting.iter().filter(|(owner, _)| owner == user);
                let devices = own.map(|(_, device)| device.clone()).collect();
                (Ok(cbor::encode(&WaitingDevices { devices })), nothing)
            }
            Request::BundlePublish(publish) => {
                let device = self.devices.get_mut(from).unwrap();
                let seq = bundle_seq(&publish.bundle);
                if seq <= device.bundle_seq {
                    return (Err(Code::Stale.into()), nothing);
                }
                device.bundle = Some(publish.bundle.0);
                device.bundle_seq = seq;
                device.one_time.extend(publish.one_time.into_iter().map(|key| key.0));
                let listed = one_time_hashes(device.bundle.as_deref().unwrap());
                device.one_time.retain(|key| listed.contains(&hash_of(key)));
                (Ok(cbor::encode(&Done {})), nothing)
            }
            Request::BundleFetch(fetch) => (self.bundle(&fetch.device), nothing),
            Request::OneTimeStatus(_) => {
                let device = &self.devices[from];
                let hashes = device.one_time.iter().map(hash_of).collect();
                (Ok(cbor::encode(&OneTimeLeft { hashes, bundle_seq: device.bundle_seq })), nothing)
            }
            Request::Submit(submit) => self.submit(user, from, submit),
            Request::MailboxAck(ack) => {
                let device = self.devices.get_mut(from).unwrap();
                assert!(ack.seq <= device.last, "acknowledged what never was");
                device.acked = device.acked.max(ack.seq);
                let acked = device.acked;
                device.mailbox.retain(|deliver| deliver.mailbox_seq > acked);
                (Ok(cbor::encode(&Done {})), nothing)
            }
            Request::RoomPost(post) => self.post(user, from, post.submit_id, post.text, now),
            Request::RoomSince(since) => (Ok(cbor::encode(&self.room_page(since.seq, since.max))), nothing),
            Request::PresenceWatch(_) => (Ok(cbor::encode(&PresenceList { users: Vec::new() })), nothing),
            other => panic!("the engine never asks {other:?}"),
        }
    }

    fn lookup(&self, by: &Username, users: &[Username]) -> LookedUp {
        let known = |user: &Username| {
            self.accounts.get(user)?;
            Some(KnownUser { user: user.clone(), head: Some(self.head_for(by, user)), online: false })
        };
        LookedUp { users: users.iter().filter_map(known).collect() }
    }

    fn log(&self, by: &Username, user: &Username, from: u64) -> Answer {
        let account = self.accounts.get(user).ok_or(Refusal::new(Code::NotFound))?;
        let head = self.head_for(by, user);
        let shown = account.entries.iter().take(head.seq as usize + 1);
        let entries = shown.skip(from as usize).take(2).cloned().map(Blob).collect();
        Ok(cbor::encode(&LogPage { entries, head }))
    }

    /// The log as it stands.
    pub fn log_of(&self, user: &Username) -> AccountLog {
        AccountLog::verify(user, &self.accounts[user].entries).unwrap()
    }

    /// The head of a log as somebody is shown it.
    fn head_for(&self, by: &Username, user: &Username) -> Head {
        let account = &self.accounts[user];
        match account.shown {
            Some(shown) if by != user || account.own_too => self.log_of(user).head_at(shown as u64 - 1).unwrap(),
            _ => account.head.unwrap(),
        }
    }

    /// Extends a log that stands where its author believes, and acts on it.
    pub fn append(&mut self, user: &Username, ask: &LogAppend) -> (Answer, Pushes) {
        let mut log = self.log_of(user);
        let known = log.head();
        let stale =
            || Refusal { heads: Some(vec![UserHead { user: user.clone(), head: known }]), ..Code::Stale.into() };
        let extended = log.extend(&[&*ask.entry]);
        let Ok(extension) = extended else {
            return (Err(if known == ask.head { Code::BadRequest.into() } else { stale() }), Vec::new());
        };
        if log.head() == known {
            return (Ok(cbor::encode(&Done {})), Vec::new());
        }
        if known != ask.head {
            return (Err(stale()), Vec::new());
        }
        for device in extension.added {
            self.devices.entry(device).or_insert_with(|| Device::new(DeviceState::Active)).state = DeviceState::Active;
        }
        for device in extension.revoked {
            self.devices.insert(device, Device::new(DeviceState::Revoked));
            self.ended.push(device);
        }
        let account = self.accounts.get_mut(user).unwrap();
        account.entries.push(ask.entry.0.clone());
        account.head = Some(log.head());
        let grew = Push::LogGrew(LogGrew { user: user.clone(), head: log.head() });
        let told = account.devices.iter().filter(|device| self.devices[device].state == DeviceState::Active);
        let pushes = told.map(|device| (*device, grew.clone())).collect();
        (Ok(cbor::encode(&Done {})), pushes)
    }

    fn bundle(&mut self, device: &DeviceId) -> Answer {
        let device = self.devices.get_mut(device).ok_or(Refusal::new(Code::NotFound))?;
        let bundle = device.bundle.clone().ok_or(Refusal::new(Code::NotFound))?;
        let one_time = device.one_time.pop().map(Blob);
        Ok(cbor::encode(&Bundle { bundle: bundle.into(), one_time }))
    }

    fn heads(&self, by: &Username) -> Vec<UserHead> {
        let head = |user: &Username| UserHead { user: user.clone(), head: self.head_for(by, user) };
        self.accounts.keys().map(head).collect()
    }

    fn owner(&self, device: &DeviceId) -> Option<Owner> {
        let (user, _) = self.accounts.iter().find(|(_, account)| account.devices.contains(device))?;
        let messages = if self.full.contains(device) { 1 } else { 0 };
        let active = self.devices[device].state == DeviceState::Active;
        Some(Owner { user: user.clone(), active, usage: Usage { messages, ..Usage::default() } })
    }

    fn submit(&mut self, user: &Username, from: &DeviceId, submit: Submit) -> (Answer, Pushes) {
        self.seen.push((*from, submit.clone()));
        if submit.to.iter().any(|to| Some(to.device) == self.broken) {
            return (Err(Code::Internal.into()), Vec::new());
        }
        if let Some(answer) = self.devices[from].done.get(&submit.submit_id) {
            return (Ok(answer.clone()), Vec::new());
        }
        let targets: Vec<_> = submit
            .to
            .iter()
            .map(|to| Target {
                device: to.device,
                owner: self.owner(&to.device),
                bytes: to.envelope.token.len() as u64,
            })
            .collect();
        let truth = if self.takes_all { submit.heads.clone() } else { self.heads(user) };
        let quota = Quota { messages: 1, bytes: u64::MAX, from_one: u64::MAX };
        let full = match judge(&quota, &submit.heads, &truth, &targets) {
            Verdict::Stale(heads) => {
                return (Err(Refusal { heads: Some(heads), ..Code::Stale.into() }), Vec::new());
            }
            Verdict::NotFound => return (Err(Code::NotFound.into()), Vec::new()),
            Verdict::Full => return (Err(Code::MailboxFull.into()), Vec::new()),
            Verdict::Store { full, .. } => full,
        };
        let answer = cbor::encode(&Accepted { full: full.clone() });
        let sender = self.devices.get_mut(from).unwrap();
        sender.submit_counter = sender.submit_counter.max(submit.submit_id.counter());
        sender.done.insert(submit.submit_id, answer.clone());
        let swallowed = self.swallow.contains(&(self.seen.len() - 1));
        let mut pushes = Vec::new();
        for to in submit.to.into_iter().filter(|to| !swallowed && !full.contains(&to.device)) {
            pushes.push((to.device, Push::Deliver(self.store(user, from, to.device, to.envelope))));
        }
        (Ok(answer), pushes)
    }

    /// Puts an envelope into a mailbox, whoever says it is from whom.
    pub fn store(
        &mut self,
        user: &Username,
        from: &DeviceId,
        to: DeviceId,
        envelope: chat_protocol::message::Envelope,
    ) -> Deliver {
        let mut envelope = envelope;
        if self.corrupt == Some(to) {
            envelope.token.0[9] ^= 1;
        }
        let device = self.devices.get_mut(&to).unwrap();
        device.last = next_seq(device.last);
        let deliver = Deliver { mailbox_seq: device.last, from: user.clone(), from_device: *from, envelope };
        device.mailbox.push(deliver.clone());
        deliver
    }

    fn post(
        &mut self,
        user: &Username,
        from: &DeviceId,
        submit_id: SubmitId,
        text: String,
        now: Timestamp,
    ) -> (Answer, Pushes) {
        if let Some(answer) = self.devices[from].done.get(&submit_id) {
            return (Ok(answer.clone()), Vec::new());
        }
        let room_seq = self.room.len() as u64 + 1;
        let post = Post { room_seq, user: user.clone(), at: now, text, submit_id, device: *from };
        self.room.push(post.clone());
        let answer = cbor::encode(&RoomPosted { room_seq, at: now });
        let sender = self.devices.get_mut(from).unwrap();
        sender.submit_counter = sender.submit_counter.max(submit_id.counter());
        sender.done.insert(submit_id, answer.clone());
        (Ok(answer), self.devices.keys().map(|device| (*device, Push::Room(post.clone()))).collect())
    }

    fn room_page(&self, seq: Option<u64>, max: u64) -> RoomPage {
        let last = self.room.len() as u64;
        let from = seq.unwrap_or(last.saturating_sub(max));
        let posts = self.room.iter().filter(|post| post.room_seq > from).take(max.min(3) as usize).cloned().collect();
        RoomPage { posts, last, oldest: u64::from(last > 0) }
    }
}

/// The sequence inside a signed bundle: field 4 of the object in field 0.
fn bundle_seq(bundle: &[u8]) -> u64 {
    at_field(bundle, 4).u64().unwrap()
}

/// The hashes of its one-time keys: field 11.
fn one_time_hashes(bundle: &[u8]) -> Vec<KeyHash> {
    at_field(bundle, 11).decode().unwrap()
}

fn at_field(bundle: &[u8], field: u64) -> minicbor::Decoder<'_> {
    let mut outer = minicbor::Decoder::new(bundle);
    outer.map().unwrap();
    outer.u64().unwrap();
    let mut inner = minicbor::Decoder::new(outer.bytes().unwrap());
    inner.map().unwrap();
    while inner.u64().unwrap() != field {
        inner.skip().unwrap();
    }
    inner
}

fn hash_of(key: &Vec<u8>) -> KeyHash {
    one_time_hash(&key.as_slice().try_into().unwrap())
}
