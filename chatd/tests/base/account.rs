//! Entering an account survives a crash at every step: what was offered once is offered again, and settled.

use std::sync::Arc;

use crate::toy::{Peer, Toy, logged_in};
use chat_protocol::frame::Frame;
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::device::DeviceCert;
use chat_protocol::identity::login::Binding;
use chat_protocol::identity::safety_number::approval_digits;
use chat_protocol::ids::{Fingerprint, Head, HeadHash};
use chat_protocol::message::Blob;
use chat_protocol::message::Done;
use chat_protocol::message::client::{Enrol, Password, Request, UserHead};
use chat_protocol::message::server::{Code, Enrolled, Refusal, ResetState};
use chat_protocol::rpc::errors::Kind;
use chat_protocol::time::Timestamp;
use chatd::account::{self, Access, AccountContext, AccountError, Entered, ResetOutcome, Standing};
use chatd::dirs::DataDir;
use chatd::link::Timing;
use chatd::store::{Store, Unlock};

struct Home {
    _outer: tempfile::TempDir,
    context: AccountContext,
    toy: Toy,
}

impl Home {
    async fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        let dir = DataDir::open(&outer.path().join("data")).unwrap();
        let store = Arc::new(Store::open(&dir, &Unlock::KeyFile(dir.file("key"))).unwrap());
        let context = AccountContext { store, dir, import_key: None, timing: Timing::default() };
        Self { _outer: outer, context, toy: Toy::new().await }
    }

    fn access(&self) -> Access {
        Access { server: self.toy.server(), token: Some([4; 16]) }
    }

    /// Registers while the server plays its part.
    async fn register(&self, server: impl AsyncFnOnce(&Toy)) -> Result<Entered, AccountError> {
        let entering = account::register(&self.context, self.access(), alice(), password());
        tokio::join!(entering, server(&self.toy)).0
    }

    async fn login(&self, server: impl AsyncFnOnce(&Toy)) -> Result<Entered, AccountError> {
        let entering = account::login(&self.context, Some(self.access()), alice(), password());
        tokio::join!(entering, server(&self.toy)).0
    }

    async fn reset(&self, server: impl AsyncFnOnce(&Toy)) -> Result<ResetOutcome, AccountError> {
        let entering = account::reset(&self.context, Some(self.access()), alice(), password());
        tokio::join!(entering, server(&self.toy)).0
    }
}

fn alice() -> chat_protocol::ids::Username {
    "alice".parse().unwrap()
}

fn password() -> Password {
    Password::new("correct horse".into()).unwrap()
}

async fn next(peer: &mut Peer) -> (Frame, Request) {
    let frame = peer.frames().await.remove(0);
    let request = Request::decode(frame.number, &frame.payload).unwrap();
    (frame, request)
}

async fn refuse(peer: &mut Peer, frame: &Frame, code: Code) {
    peer.send(&[Frame::error(frame.id, frame.number, &Refusal::new(code))]).await;
}

async fn take_registration(peer: &mut Peer) {
    let (frame, request) = next(peer).await;
    let Request::Register(register) = request else { panic!("{request:?}") };
    assert_eq!((register.user, register.invite.unwrap().0), (alice(), vec![4; 16]));
    peer.send(&[Frame::ok(frame.id, frame.number, &Done {})]).await;
}

/// Reads an enrolment and checks it as the server would.
async fn next_enrolment(peer: &mut Peer) -> (Frame, Enrol) {
    let (frame, request) = next(peer).await;
    let Request::Enrol(enrol) = request else { panic!("{request:?}") };
    let cert = DeviceCert::decode(&enrol.cert).unwrap();
    let binding = Binding { channel: peer.secured.channel_binding, server_key: *peer.secured.server_key.as_bytes() };
    binding.verify_enrol(&cert, &enrol.signature).unwrap();
    if let Some(genesis) = &enrol.genesis {
        AccountLog::verify(&alice(), &[&genesis.0]).unwrap();
    }
    (frame, enrol)
}

async fn take_enrolment(peer: &mut Peer) -> Enrol {
    let (frame, enrol) = next_enrolment(peer).await;
    peer.send(&[Frame::ok(frame.id, frame.number, &Enrolled::Ready(logged_in()))]).await;
    enrol
}

#[tokio::test]
async fn registration_keeps_the_account_it_was_given() {
    let home = Home::new().await;
    let entered = home
        .register(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            take_registration(&mut peer).await;
            take_enrolment(&mut peer).await;
        })
        .await
        .unwrap();

    let kept = home.context.account().unwrap().unwrap();
    let fingerprint = kept.log.as_ref().unwrap().fingerprint();
    assert_eq!(entered, Entered::Ready { device: kept.device(), fingerprint });
    assert_eq!((kept.user.as_str(), kept.standing), ("alice", Standing::Active));
    assert_eq!(kept.server.key, home.toy.server().key);

    // a second registration finds it, whoever it is for
    let again = account::register(&home.context, home.access(), "bob".parse().unwrap(), password()).await;
    assert!(matches!(again, Err(AccountError::Another { user }) if user == alice()));

    account::leave(&home.context, false).unwrap();
    assert_eq!(home.context.account().unwrap().unwrap().standing, Standing::LoggedOut);
    back_in_with_the_password(&home).await;
    // what the server said of it is no reason to give the keys up: it may say something else
    account::note_revoked(&home.context.store).unwrap();
    back_in_with_the_password(&home).await;
    account::leave(&home.context, true).unwrap();
    assert!(home.context.account().unwrap().is_none());
}

/// Keys are slow to make, so this goes on with the account above.
async fn back_in_with_the_password(home: &Home) {
    let before = home.context.account().unwrap().unwrap();
    let refused = home
        .login(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, _) = next_enrolment(&mut peer).await;
            refuse(&mut peer, &frame, Code::Denied).await;
        })
        .await;
    assert!(matches!(refused, Err(AccountError::BadCredentials)), "the keys alone are not enough: {refused:?}");
    assert_eq!(home.context.account().unwrap().unwrap().standing, before.standing);
    let entered = home
        .login(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let enrol = take_enrolment(&mut peer).await;
            assert_eq!((&*enrol.cert, enrol.genesis), (before.cert.bytes(), None), "it is the device it was");
        })
        .await;
    assert!(matches!(entered, Ok(Entered::Ready { device, .. }) if device == before.device()));
    assert_eq!(home.context.account().unwrap().unwrap().standing, Standing::Active);
}

#[tokio::test]
async fn a_crash_at_any_step_is_finished_by_registering_again() {
    let home = Home::new().await;
    // the connection dies before the registration is answered …
    let lost = home
        .register(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (_, request) = next(&mut peer).await;
            assert!(matches!(request, Request::Register(_)));
        })
        .await;
    assert!(matches!(lost, Err(AccountError::Lost(_))), "{lost:?}");
    assert!(home.context.account().unwrap().is_none());

    // … and again before the enrolment is: the server has the account by now
    let mut offered = None;
    let lost = home
        .register(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, request) = next(&mut peer).await;
            assert!(matches!(request, Request::Login(_)), "whoever offered before asks first whether it is known");
            refuse(&mut peer, &frame, Code::Denied).await;
            let (frame, _) = next(&mut peer).await;
            refuse(&mut peer, &frame, Code::Exists).await;
            offered = Some(next_enrolment(&mut peer).await.1);
        })
        .await;
    assert!(matches!(lost, Err(AccountError::Lost(_))), "{lost:?}");

    let mut again = None;
    let entered = home
        .register(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, _) = next(&mut peer).await;
            refuse(&mut peer, &frame, Code::Denied).await;
            let (frame, _) = next(&mut peer).await;
            refuse(&mut peer, &frame, Code::Exists).await;
            again = Some(take_enrolment(&mut peer).await);
        })
        .await;
    assert!(matches!(entered, Ok(Entered::Ready { .. })), "{entered:?}");
    let (offered, again) = (offered.unwrap(), again.unwrap());
    assert_eq!((offered.cert, offered.genesis), (again.cert, again.genesis), "not the same bytes were offered");
}

#[tokio::test]
async fn a_crash_after_the_enrolment_is_settled_by_the_login() {
    let home = Home::new().await;
    let lost = home
        .register(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            take_registration(&mut peer).await;
            next_enrolment(&mut peer).await;
        })
        .await;
    assert!(lost.is_err());
    let entered = home.register(async |toy| drop(toy.accept_login().await)).await;
    assert!(matches!(entered, Ok(Entered::Ready { .. })), "{entered:?}");
}

#[tokio::test]
async fn refusals_are_told_apart_and_leave_nothing_behind() {
    let home = Home::new().await;
    for (code, kind) in [
        (Code::Exists, Kind::AlreadyExists),
        (Code::Denied, Kind::ServerRejected),
        (Code::RateLimited, Kind::RateLimited),
    ] {
        let refused = home
            .register(async |toy| {
                let mut peer = toy.accept().await.unwrap();
                let (mut frame, mut request) = next(&mut peer).await;
                if matches!(request, Request::Login(_)) {
                    refuse(&mut peer, &frame, Code::Denied).await;
                    (frame, request) = next(&mut peer).await;
                }
                assert!(matches!(request, Request::Register(_)));
                refuse(&mut peer, &frame, code).await;
            })
            .await;
        assert_eq!(refused.unwrap_err().kind(), kind);
        assert!(home.context.account().unwrap().is_none());
    }
    let denied = home
        .login(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, _) = next_enrolment(&mut peer).await;
            refuse(&mut peer, &frame, Code::Denied).await;
        })
        .await;
    assert!(matches!(denied, Err(AccountError::BadCredentials)), "{denied:?}");
}

#[tokio::test]
async fn a_further_device_waits_for_its_approval() {
    let home = Home::new().await;
    let (head, named) = (Head { seq: 3, hash: HeadHash::new([3; 32]) }, Fingerprint::new([4; 32]));
    let entered = home
        .login(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, enrol) = next_enrolment(&mut peer).await;
            assert!(enrol.genesis.is_some());
            refuse(&mut peer, &frame, Code::Exists).await;
            let (frame, enrol) = next_enrolment(&mut peer).await;
            assert!(enrol.genesis.is_none());
            peer.send(&[Frame::ok(frame.id, frame.number, &Enrolled::ApprovalRequired(head, named))]).await;
        })
        .await
        .unwrap();
    let kept = home.context.account().unwrap().unwrap();
    assert_eq!(entered, Entered::ApprovalRequired { device: kept.device() });
    assert_eq!(kept.digits(), Some(approval_digits(&named, &kept.device())));
    assert_eq!((kept.standing, kept.log), (Standing::Waiting, None));
}

#[tokio::test]
async fn a_reset_waits_its_time_and_is_asked_for_with_the_same_bytes() {
    let home = Home::new().await;
    let old = Head { seq: 7, hash: HeadHash::new([7; 32]) };
    let later = Timestamp::from_millis(1_900_000_000_000);
    let mut first = None;
    let outcome = home
        .reset(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, request) = next(&mut peer).await;
            assert!(matches!(request, Request::Reset(reset) if reset.genesis.is_none()));
            let heads = Some(vec![UserHead { user: alice(), head: old }]);
            let refusal = Refusal { heads, ..Refusal::new(Code::Stale) };
            peer.send(&[Frame::error(frame.id, frame.number, &refusal)]).await;
            let (frame, request) = next(&mut peer).await;
            first = Some(request);
            peer.send(&[Frame::ok(frame.id, frame.number, &ResetState::Waiting(later))]).await;
        })
        .await;
    assert_eq!(outcome.unwrap(), ResetOutcome::Waiting(later));
    assert!(home.context.account().unwrap().is_none(), "nothing is replaced before it is done");

    let mut second = None;
    let outcome = home
        .reset(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, request) = next(&mut peer).await;
            second = Some(request);
            peer.send(&[Frame::ok(frame.id, frame.number, &ResetState::Done(logged_in()))]).await;
        })
        .await;
    let (Some(Request::Reset(first)), Some(Request::Reset(second))) = (first, second) else { panic!("no resets") };
    assert_eq!((&first.cert, &first.genesis), (&second.cert, &second.genesis));
    let log = AccountLog::verify(&alice(), &[first.genesis.unwrap().0]).unwrap();
    assert_eq!(log.replaces(), Some(old.hash));
    let kept = home.context.account().unwrap().unwrap();
    assert_eq!(outcome.unwrap(), ResetOutcome::Done { device: kept.device(), fingerprint: log.fingerprint() });
}

#[tokio::test]
async fn a_reset_that_waits_is_kept_whatever_entrance_is_tried_meanwhile() {
    let home = Home::new().await;
    let later = Timestamp::from_millis(1_900_000_000_000);
    let ask = async |genesis: &mut Vec<Option<Blob>>| {
        home.reset(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, request) = loop {
                match next(&mut peer).await {
                    (frame, Request::Reset(reset)) if reset.genesis.is_none() => {
                        let heads =
                            vec![UserHead { user: alice(), head: Head { seq: 7, hash: HeadHash::new([7; 32]) } }];
                        let refusal = Refusal { heads: Some(heads), ..Refusal::new(Code::Stale) };
                        peer.send(&[Frame::error(frame.id, frame.number, &refusal)]).await;
                    }
                    (frame, Request::Reset(reset)) => break (frame, reset),
                    _ => panic!("no reset"),
                }
            };
            genesis.push(request.genesis);
            peer.send(&[Frame::ok(frame.id, frame.number, &ResetState::Waiting(later))]).await;
        })
        .await
    };
    let mut offered = Vec::new();
    assert_eq!(ask(&mut offered).await.unwrap(), ResetOutcome::Waiting(later));
    let waits =
        || home.context.store.transaction(|rows| account::Reset::load(rows)).unwrap().and_then(|reset| reset.due_ms());
    assert_eq!(waits(), Some(later.as_millis()));
    let refused = home
        .login(async |toy| {
            let mut peer = toy.accept().await.unwrap();
            let (frame, _) = next_enrolment(&mut peer).await;
            refuse(&mut peer, &frame, Code::Denied).await;
        })
        .await;
    assert!(matches!(refused, Err(AccountError::BadCredentials)));
    assert_eq!(waits(), Some(later.as_millis()), "status goes on telling until when");
    assert_eq!(ask(&mut offered).await.unwrap(), ResetOutcome::Waiting(later));
    assert_eq!(offered[0], offered[1], "another genesis would begin the waiting anew");
}

#[tokio::test]
async fn without_an_account_there_is_nothing_to_change() {
    let home = Home::new().await;
    let changed = account::change_password(&home.context, password(), password()).await;
    assert!(matches!(changed, Err(AccountError::NoAccount)));
    assert!(matches!(account::leave(&home.context, true), Err(AccountError::NoAccount)));
    let login = account::login(&home.context, None, alice(), password()).await;
    assert_eq!(login.unwrap_err().kind(), Kind::Unauthenticated);
}

#[tokio::test]
async fn atk_57_the_password_is_in_no_file() {
    let home = Home::new().await;
    let _ = home.register(async |toy| drop(toy.accept().await.unwrap())).await;
    for entry in std::fs::read_dir(home.context.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!found(b"correct horse") && !found(&[2; 32]) && !found(b"alice"), "{}", path.display());
    }
}

#[tokio::test]
async fn atk_62_an_account_prints_no_secret() {
    let home = Home::new().await;
    assert!(format!("{:?}", home.access()).starts_with("Access(127.0.0.1:"));
    assert!(format!("{:?}", home.access().server).contains("FernetKey(..)"));
}
