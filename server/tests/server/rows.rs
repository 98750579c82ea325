//! Made-up people and rows, for whoever works on a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chat_protocol::ids::{DeviceId, Head, HeadHash, SubmitId, Username};
use chat_protocol::message::client::UserHead;
use chat_protocol::time::Timestamp;
use chat_server::rules::Quota;
use chat_server::store::{Creation, LogWrite, NewAccount, NewLog, PasswordHash, Retention, Store, SubmitRow};

pub type Shared = Arc<dyn Store>;

pub const ROOMY: Quota = Quota { messages: 1_000, bytes: 1 << 20, from_one: 1_000, of_account: 1 << 30 };
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub const KEPT: Retention = Retention {
    mailbox: DAY.saturating_mul(30),
    room: DAY.saturating_mul(30),
    submits: DAY.saturating_mul(31),
    waiting: DAY,
};

pub fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + ms)
}

pub fn name(text: &str) -> Username {
    text.parse().unwrap()
}

/// A number nobody had before, so that tests can share a database.
pub fn fresh() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

pub fn bytes<const N: usize>(number: u64) -> [u8; N] {
    let mut bytes = [0xa5; N];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub fn hash(number: u64) -> HeadHash {
    HeadHash::new(bytes(number))
}

pub async fn account(store: &Shared, user: &str) -> Username {
    let user = name(&format!("{user}{}", fresh()));
    let new = NewAccount { user: user.clone(), hash: PasswordHash::new("$2b$04$x".into()), invite: None, at: at(0) };
    assert_eq!(store.create_account(new).await.unwrap(), Creation::Created);
    user
}

/// An enrolled account with one active device.
#[derive(Clone)]
pub struct Person {
    pub user: Username,
    pub device: DeviceId,
    pub head: Head,
    pub genesis: NewLog,
}

impl Person {
    pub fn claim(&self) -> UserHead {
        UserHead { user: self.user.clone(), head: self.head }
    }
}

pub fn genesis(user: &Username) -> NewLog {
    let number = fresh();
    NewLog {
        user: user.clone(),
        device: DeviceId::new(bytes(number)),
        cert: format!("certificate {number}").into_bytes(),
        genesis: format!("genesis {number}").into_bytes(),
        hash: hash(number),
        at: at(1),
    }
}

pub async fn person(store: &Shared, user: &str) -> Person {
    let user = account(store, user).await;
    let new = genesis(&user);
    assert_eq!(store.begin_log(new.clone()).await.unwrap(), LogWrite::Written);
    Person { user, device: new.device, head: Head { seq: 0, hash: new.hash }, genesis: new }
}

pub fn submit(from: &Person, counter: u64, to: &[&Person], text: &str) -> SubmitRow {
    SubmitRow {
        sender: from.device,
        submit_id: SubmitId::new(counter, [7; 8]),
        heads: to.iter().map(|person| person.claim()).collect(),
        group: None,
        to: to.iter().map(|person| (person.device, text.as_bytes().to_vec().into())).collect(),
        at: at(10 + counter),
    }
}
