//! A member with a device and the protocol, and no daemon that would keep its rules.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::ids::{DeviceId, MessageId, SubmitId, Username};
use chat_protocol::invite::Invite;
use chat_protocol::message::client::{Addressed, BundleFetch, LogAppend, LogFetch, Submit, UserHead};
use chat_protocol::message::server::{Accepted, Enrolled, Refusal};
use chat_protocol::message::{Blob, Envelope};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::content::{Body, Content, Conversation, Heads, SenderSeq, Text};
use chat_protocol::session::init::{Own, initiate};
use chat_protocol::session::ratchet::Session;
use chat_protocol::time::Timestamp;
use chat_server::fixtures::client::{Client, enrol, login, now, register};

/// Where the server is, and what everybody knows who was invited.
#[derive(Clone)]
pub struct Town {
    at: SocketAddr,
    server_key: ServerPublicKey,
    secret: FernetKey,
}

impl Town {
    pub fn of(invite: &str) -> Self {
        let invite = Invite::parse(invite).unwrap();
        let at = SocketAddr::new(invite.host.parse().unwrap(), invite.port);
        Self { at, server_key: invite.server_key, secret: invite.secret }
    }

    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// A guest's connection from an address of this machine; `None` if it is not taken.
    pub async fn guest(&self, from: IpAddr) -> Option<Client> {
        Client::connect_from(from, self.at, &self.server_key, &self.secret).await
    }
}

/// Somebody with a device, whose daemon is real.
#[derive(Clone)]
pub struct Victim {
    pub user: Username,
    pub log: AccountLog,
}

impl Victim {
    pub fn device(&self) -> DeviceId {
        self.log.active_devices().next().unwrap().id()
    }

    fn head(&self) -> UserHead {
        UserHead { user: self.user.clone(), head: self.log.head() }
    }
}

/// The first of the devices that members put into their accounts, by the number of its keys.
const FURTHER_DEVICES: usize = 1_000;

pub struct Member {
    town: Town,
    from: IpAddr,
    device: FirstDevice,
    pub client: Client,
    counter: u64,
    talks: HashMap<DeviceId, Talk>,
}

impl Member {
    /// Registers and logs in, from an address of its own.
    pub async fn join(town: &Town, number: u8) -> Self {
        let (town, from) = (town.clone(), IpAddr::from([127, 0, 7, number + 1]));
        let mut client = town.guest(from).await.unwrap();
        let name = format!("member{number}");
        client.call(&register(&name)).await.unwrap();
        let device = first_device(&name.parse().unwrap(), number.into(), now());
        let enrolled = client.call(&enrol(&client, &device, true)).await.unwrap();
        assert!(matches!(enrolled, Enrolled::Ready(_)), "{enrolled:?}");
        Self { town, from, device, client, counter: 0, talks: HashMap::new() }
    }

    /// Logs in again; whether that was allowed.
    pub async fn come_back(&mut self) -> bool {
        let Some(mut client) = self.town.guest(self.from).await else { return false };
        let ask = login(&client, &self.device);
        let entered = client.try_call(&ask).await;
        self.client = client;
        matches!(entered, Some(Ok(_)))
    }

    pub async fn look_up(&mut self, name: &str) -> Victim {
        let user: Username = name.parse().unwrap();
        let page = self.client.call(&LogFetch { user: user.clone(), from: 0 }).await.unwrap();
        let entries: Vec<_> = page.entries.into_iter().map(|entry| entry.0).collect();
        Victim { log: AccountLog::verify(&user, &entries).unwrap(), user }
    }

    pub fn next_submit(&mut self) -> SubmitId {
        self.counter += 1;
        SubmitId::new(self.counter, [1; 8])
    }

    /// A submit of something for somebody; `None` if the connection is gone.
    pub async fn submit(&mut self, to: &Victim, envelope: Envelope) -> Option<Result<Accepted, Refusal>> {
        let id = self.ask_submit(&[(to, envelope)]).await;
        self.submitted(id).await
    }

    /// A submit for several people, whose answer is looked at later.
    pub async fn ask_submit(&mut self, to: &[(&Victim, Envelope)]) -> u64 {
        let heads = to.iter().map(|(victim, _)| victim.head()).collect();
        let addressed = |(victim, envelope): &(&Victim, Envelope)| Addressed {
            device: victim.device(),
            envelope: envelope.clone(),
        };
        let submit =
            Submit { submit_id: self.next_submit(), heads, to: to.iter().map(addressed).collect(), group: None };
        self.client.ask(&submit).await
    }

    /// What became of it; `None` if the connection is gone.
    pub async fn submitted(&mut self, id: u64) -> Option<Result<Accepted, Refusal>> {
        self.client.try_answer::<Submit>(id).await
    }

    /// Puts one more device into the account and takes it out again: two more entries that everybody has to read.
    /// `None` if the connection is gone.
    pub async fn grow_log(&mut self) -> Option<Result<(), Refusal>> {
        let (user, at) = (self.device.cert.user().clone(), now());
        let further = first_device(&user, FURTHER_DEVICES + usize::try_from(self.device.log.head().seq).unwrap(), at);
        let log = &self.device.log;
        let acceptance = further.keys.accept(&log.fingerprint(), &further.cert, &mut rand::rng());
        let adding = log.add_device(self.author(at), &further.cert, acceptance, &mut rand::rng()).unwrap();
        if let refused @ Err(_) = self.append(adding).await? {
            return Some(refused);
        }
        let revoking =
            self.device.log.revoke_devices(self.author(at), vec![further.cert.id()], &mut rand::rng()).unwrap();
        self.append(revoking).await
    }

    fn author(&self, at: Timestamp) -> Author<'_> {
        Author { key: &self.device.keys.signing, cert: &self.device.cert, at }
    }

    async fn append(&mut self, entry: Vec<u8>) -> Option<Result<(), Refusal>> {
        let append = LogAppend { head: self.device.log.head(), entry: Blob(entry) };
        let answer = self.client.try_call(&append).await?;
        Some(answer.map(|_| {
            self.device.log.extend(&[&*append.entry]).unwrap();
        }))
    }

    /// An INIT for a device under an identity that nobody's log has.
    pub async fn made_up(&mut self, to: &Victim) -> Option<Envelope> {
        let log = AccountLog::genesis(self.author(now()), None, &mut rand::rng()).ok()?;
        self.init(to, &log).await
    }

    /// An INIT for a device under the account's own log, of which whoever gets it has to read what is new.
    pub async fn under_own_log(&mut self, to: &Victim) -> Option<Envelope> {
        let log = self.device.log.clone();
        self.init(to, &log).await
    }

    async fn init(&mut self, to: &Victim, log: &AccountLog) -> Option<Envelope> {
        self.begin(to, log).await?.seal(b"nothing")
    }

    async fn begin(&mut self, to: &Victim, log: &AccountLog) -> Option<Talk> {
        let fetch = BundleFetch { user: to.user.clone(), device: to.device() };
        let taken = self.client.try_call(&fetch).await?.ok()?;
        let bundle = VerifiedBundle::verify(&taken.bundle, to.log.active(&to.device())?).ok()?;
        let FirstDevice { keys, cert, .. } = &self.device;
        let begun = initiate(Own { keys, cert, log }, &to.log, &bundle, now(), &mut rand::rng()).ok()?;
        let heads = Heads { own: log.head(), peer: to.log.head() };
        Some(Talk { session: begun.session, init: begun.init, heads, said: 0, under_way: None })
    }

    /// The next message for somebody, or that which was not taken yet. `None` if there is no session and none begins.
    pub async fn said_to(&mut self, to: &Victim) -> Option<Envelope> {
        if !self.talks.contains_key(&to.device()) {
            let log = self.device.log.clone();
            let begun = self.begin(to, &log).await?;
            self.talks.insert(to.device(), begun);
        }
        let conversation = Conversation::Direct(self.device.cert.user().clone());
        self.talks.get_mut(&to.device())?.say(conversation)
    }

    /// The message that is under way to somebody was taken.
    pub fn was_taken(&mut self, to: &Victim) {
        if let Some(talk) = self.talks.get_mut(&to.device()) {
            talk.under_way = None;
        }
    }
}

/// One end of a session that hears nothing of the other.
struct Talk {
    session: Session,
    init: Vec<u8>,
    heads: Heads,
    said: u64,
    under_way: Option<Envelope>,
}

impl Talk {
    fn say(&mut self, conversation: Conversation) -> Option<Envelope> {
        if self.under_way.is_none() {
            self.said += 1;
            let sender_seq = Some(SenderSeq { epoch: 1, n: self.said, first: None });
            let body = Body::Text(Text { text: format!("buy {}", self.said), ..Text::default() });
            let (id, heads) = (MessageId::from_parts(now(), rand::random()), self.heads);
            let content = Content { conversation, id, sender_seq, sent: now(), heads, acks: Vec::new(), body };
            self.under_way = self.seal(&content.encode().ok()?);
        }
        self.under_way.clone()
    }

    fn seal(&mut self, content: &[u8]) -> Option<Envelope> {
        let sealed = self.session.seal(content).ok()?;
        let (header, token) = (Blob(sealed.header), Blob(sealed.token));
        Some(Envelope { sid: self.session.id(), header, token, init: Some(Blob(self.init.clone())) })
    }
}
