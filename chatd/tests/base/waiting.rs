//! A new device is let in by its user and its account's log, and by nobody else: least of all by the server.

use std::sync::Arc;

use crate::toy::{Peer, Toy, logged_in};
use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::frame::Frame;
use chat_protocol::identity::account_log::{AccountLog, Author};
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::identity::safety_number::approval_digits;
use chat_protocol::ids::{Fingerprint, Username};
use chat_protocol::message::Blob;
use chat_protocol::message::client::{Login, Password, Request};
use chat_protocol::message::server::{Code, Enrolled, LogPage, Refusal};
use chat_protocol::time::Timestamp;
use chatd::account::waiting::{self, Looked};
use chatd::account::{self, Access, AccountContext, AccountError, Entered, Standing};
use chatd::dirs::DataDir;
use chatd::link::Timing;
use chatd::store::{Store, Unlock};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A device that waits, and the account it wants into.
struct Newcomer {
    _outer: tempfile::TempDir,
    context: AccountContext,
    toy: Toy,
    old: FirstDevice,
    cert: DeviceCert,
}

fn alice() -> Username {
    "alice".parse().unwrap()
}

async fn next(peer: &mut Peer) -> (Frame, Request) {
    let frame = peer.frames().await.remove(0);
    let request = Request::decode(frame.number, &frame.payload).unwrap();
    (frame, request)
}

async fn next_login(peer: &mut Peer) -> (Frame, Login) {
    match next(peer).await {
        (frame, Request::Login(login)) => (frame, login),
        (_, other) => panic!("{other:?}"),
    }
}

async fn refuse(peer: &mut Peer, frame: &Frame, code: Code) {
    peer.send(&[Frame::error(frame.id, frame.number, &Refusal::new(code))]).await;
}

impl Newcomer {
    /// Has enrolled at a server that names this fingerprint.
    async fn at(named: impl FnOnce(&FirstDevice) -> Fingerprint) -> Self {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("data")).unwrap();
        let store = Arc::new(Store::open(&dir, &Unlock::KeyFile(dir.file("key"))).unwrap());
        let context = AccountContext { store, dir, import_key: None, timing: Timing::default() };
        let (toy, old) = (Toy::new().await, first_device(&alice(), 0, AT));
        let access = Access { server: toy.server(), token: None };
        let named = named(&old);
        let entering = account::login(&context, Some(access), alice(), Password::new("correct horse".into()).unwrap());
        let serving = async {
            let mut peer = toy.accept().await.unwrap();
            let (frame, request) = next(&mut peer).await;
            let Request::Enrol(enrol) = request else { panic!("{request:?}") };
            let waits = Enrolled::ApprovalRequired(old.log.head(), named);
            peer.send(&[Frame::ok(frame.id, frame.number, &waits)]).await;
            DeviceCert::decode(&enrol.cert).unwrap()
        };
        let (entered, cert) = tokio::join!(entering, serving);
        assert_eq!(entered.unwrap(), Entered::ApprovalRequired { device: cert.id() });
        Self { _outer: outer, context, toy, old, cert }
    }

    async fn look(&self, server: impl AsyncFnOnce(&mut Peer)) -> Result<Looked, AccountError> {
        let serving = async { server(&mut self.toy.accept().await.unwrap()).await };
        tokio::join!(waiting::look(&self.context), serving).0
    }

    /// The digits as a device of the account shows them.
    fn digits(&self) -> String {
        approval_digits(&self.old.log.fingerprint(), &self.cert.id())
    }

    /// The account's log after `acceptance` was used to add the device.
    fn grown(&self, acceptance: Vec<u8>) -> Option<AccountLog> {
        let author = Author { key: &self.old.keys.signing, cert: &self.old.cert, at: AT };
        let entry = self.old.log.add_device(author, &self.cert, acceptance, &mut rand::rng()).ok()?;
        let mut log = self.old.log.clone();
        log.extend(&[entry]).ok()?;
        Some(log)
    }

    fn standing(&self) -> Standing {
        self.context.account().unwrap().unwrap().standing
    }
}

/// Lets a login in, and shows this log.
async fn show(peer: &mut Peer, log: &AccountLog) {
    let (frame, _) = next_login(peer).await;
    peer.send(&[Frame::ok(frame.id, frame.number, &logged_in())]).await;
    let (frame, request) = next(peer).await;
    assert!(matches!(request, Request::LogFetch(_)), "{request:?}");
    let entries = log.entries_from(0).map(|entry| Blob(entry.to_vec())).collect();
    peer.send(&[Frame::ok(frame.id, frame.number, &LogPage { entries, head: log.head() })]).await;
}

#[tokio::test]
async fn a_device_is_in_once_its_user_and_the_log_say_so() {
    let new = Newcomer::at(|old| old.log.fingerprint()).await;
    let before = new
        .look(async |peer| {
            let (frame, login) = next_login(peer).await;
            assert_eq!(login.acceptance, None, "nothing is signed before the user compared");
            refuse(peer, &frame, Code::ApprovalRequired).await;
        })
        .await;
    assert_eq!(before.unwrap(), Looked::Waits);

    let spaced: Vec<String> =
        new.digits().as_bytes().chunks(5).map(|five| str::from_utf8(five).unwrap().into()).collect();
    waiting::confirm(&new.context, &spaced.join(" ")).await.unwrap();
    let mut acceptance = Vec::new();
    for _ in 0..2 {
        let after = new
            .look(async |peer| {
                let (frame, login) = next_login(peer).await;
                let signed = login.acceptance.unwrap().0;
                assert!(acceptance.is_empty() || acceptance == signed, "the same every time");
                acceptance = signed;
                refuse(peer, &frame, Code::ApprovalRequired).await;
            })
            .await;
        assert_eq!(after.unwrap(), Looked::Waits);
    }

    let grown = new.grown(acceptance).expect("good for the account's own log");
    assert_eq!(new.look(async |peer| show(peer, &grown).await).await.unwrap(), Looked::In);
    let kept = new.context.account().unwrap().unwrap();
    assert_eq!((kept.standing, kept.wait), (Standing::Active, None));
    assert_eq!(kept.log.unwrap().head(), grown.head());
}

#[tokio::test]
async fn atk_71_the_new_device_is_shown_a_fabricated_account() {
    let mallory = first_device(&alice(), 3, AT);
    let new = Newcomer::at(|_| mallory.log.fingerprint()).await;
    let shown = new.context.account().unwrap().unwrap().digits().unwrap();
    assert_ne!(shown, new.digits(), "the screens differ");

    let refused = waiting::confirm(&new.context, &new.digits()).await;
    assert!(matches!(refused, Err(AccountError::Digits)), "{refused:?}");
    let looked = new
        .look(async |peer| {
            let (frame, login) = next_login(peer).await;
            assert_eq!(login.acceptance, None, "nothing was signed");
            // and calling it active does not make it so
            peer.send(&[Frame::ok(frame.id, frame.number, &logged_in())]).await;
        })
        .await;
    assert_eq!((looked.unwrap(), new.standing()), (Looked::Waits, Standing::Waiting));
}

#[tokio::test]
async fn atk_71_after_comparing_another_account_is_shown_instead() {
    let new = Newcomer::at(|old| old.log.fingerprint()).await;
    waiting::confirm(&new.context, &new.digits()).await.unwrap();
    let mallory = first_device(&alice(), 3, AT);
    for log in [&mallory.log, &new.old.log] {
        let looked = new.look(async |peer| show(peer, log).await).await;
        assert!(matches!(looked, Err(AccountError::AnotherLog)), "{looked:?}");
        assert_eq!(new.standing(), Standing::Waiting);
    }
}

#[tokio::test]
async fn a_wait_that_nobody_ended_is_over() {
    for (code, standing) in [(Code::Denied, Standing::Lapsed), (Code::Revoked, Standing::Revoked)] {
        let new = Newcomer::at(|old| old.log.fingerprint()).await;
        let looked = new
            .look(async |peer| {
                let (frame, _) = next_login(peer).await;
                refuse(peer, &frame, code).await;
            })
            .await;
        assert_eq!((looked.unwrap(), new.standing()), (Looked::Over, standing));
    }
}
