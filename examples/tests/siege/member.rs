//! A member with a device and the protocol, and no daemon that would keep its rules.

use std::net::{IpAddr, SocketAddr};

use chat_protocol::crypto::fernet::FernetKey;
use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::ids::{DeviceId, SubmitId, Username};
use chat_protocol::invite::Invite;
use chat_protocol::message::client::{Addressed, BundleFetch, LogAppend, LogFetch, Submit, UserHead};
use chat_protocol::message::server::{Accepted, Enrolled, Refusal};
use chat_protocol::message::{Blob, Envelope};
use chat_protocol::session::bundle::VerifiedBundle;
use chat_protocol::session::init::{Own, initiate};
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
        Self { town, from, device, client, counter: 0 }
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
        let to_device = vec![Addressed { device: to.device(), envelope }];
        let submit = Submit { submit_id: self.next_submit(), heads: vec![to.head()], to: to_device };
        self.client.try_call(&submit).await
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
        let fetch = BundleFetch { user: to.user.clone(), device: to.device() };
        let taken = self.client.try_call(&fetch).await?.ok()?;
        let bundle = VerifiedBundle::verify(&taken.bundle, to.log.active(&to.device())?).ok()?;
        let FirstDevice { keys, cert, .. } = &self.device;
        let begun = initiate(Own { keys, cert, log }, &to.log, &bundle, now(), &mut rand::rng()).ok()?;
        let (mut session, init) = (begun.session, Blob(begun.init));
        let sealed = session.seal(b"nothing").ok()?;
        let (header, token) = (Blob(sealed.header), Blob(sealed.token));
        Some(Envelope { sid: session.id(), header, token, init: Some(init) })
    }
}
