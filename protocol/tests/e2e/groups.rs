//! Groups against an independent implementation in Python: frozen, written now, and of random ops.

use std::collections::HashMap;
use std::sync::LazyLock;

use chat_protocol::cbor;
use chat_protocol::crypto::group::{AppendToken, LinkSecret};
use chat_protocol::crypto::rsa::Context;
use chat_protocol::crypto::signed::Signed;
use chat_protocol::fixtures::{FirstDevice, first_device};
use chat_protocol::group::{
    Action, Add, Ascending, Author, Body, Change, ChangeRole, Create, GroupAbout, GroupLink, GroupName, GroupTtl,
    HistoryCount, Known, Link, LinkUses, Member, NewMember, Proposal, Refresh, Remove, Role, Settings, Shown, SignedOp,
    SignedWish, Snapshot, State, Unlink, Verdict, What, Wishes, Writers,
};
use chat_protocol::identity::account_log::AccountLog;
use chat_protocol::identity::party::Party;
use chat_protocol::ids::{DeviceId, Fingerprint, GroupHead, TokenHash};
use chat_protocol::session::content::{Chain, Content, Conversation, Told};
use chat_protocol::time::Timestamp;
use rand::RngExt;
use serde_json::{Value, json};

use crate::checks::{bytes, list};
use crate::common::{AT, rng};
use crate::oracle::Oracle;

/// The logs of a vector, by name and by fingerprint.
struct Logs(HashMap<String, AccountLog>);

impl Logs {
    fn read(vector: &Value) -> Self {
        let read = |(name, log): (&String, &Value)| {
            (name.clone(), AccountLog::verify(&name.parse().unwrap(), &list(log)).unwrap())
        };
        Self(vector["logs"].as_object().unwrap().iter().map(read).collect())
    }

    fn of(&self, fingerprint: Fingerprint) -> &AccountLog {
        self.0.values().find(|log| log.fingerprint() == fingerprint).unwrap()
    }

    fn author(&self, op: &SignedOp) -> &AccountLog {
        self.of(op.op().by.fingerprint)
    }
}

/// The op as Python says it came out: its name for the verdict, the head and the state.
fn check_told(told: &Value, op: &SignedOp, verdict: Verdict) -> State {
    let (state, name) = match verdict {
        Verdict::Applied(state) => (state, "Applied".to_owned()),
        Verdict::Void(state, why) => (state, format!("{why:?}")),
        Verdict::Held(lacking) => panic!("{lacking:?}"),
    };
    assert_eq!(told["verdict"], name, "{:?}", op.op());
    assert_eq!(told["head"], op.head().hash.to_string());
    assert_eq!(told["state"], hex::encode(cbor::encode(state.body())), "after {:?}", op.op());
    state
}

/// A group's whole log, and each state on the way.
fn check_ops(vector: &Value, logs: &Logs) -> Vec<State> {
    let told = vector["ops"].as_array().unwrap();
    let mut states: Vec<State> = Vec::new();
    for (seq, told) in told.iter().enumerate() {
        let op = SignedOp::read(&bytes(&told["op"])).unwrap();
        let log = Some(logs.author(&op));
        let verdict = states.last().map_or_else(|| State::create(&op, log), |state| state.apply(&op, log));
        let state = check_told(told, &op, verdict.unwrap());
        let token = AppendToken::new([u8::try_from(seq).unwrap(); 32]);
        assert_eq!((state.head().seq, state.next_token()), (u64::try_from(seq).unwrap(), token.hash()));
        assert_eq!(state.group(), states.first().unwrap_or(&state).group());
        states.push(state);
    }
    states
}

fn check_group(vector: &Value) {
    let logs = Logs::read(vector);
    let states = check_ops(vector, &logs);
    let ops = vector["ops"].as_array().unwrap().iter().map(|told| SignedOp::read(&bytes(&told["op"])).unwrap());
    let ops: Vec<_> = ops.collect();
    let last = states.last().unwrap();

    let snapshot: Snapshot = cbor::decode(&bytes(&vector["snapshot"])).unwrap();
    let log = logs.author(&snapshot.op().unwrap());
    let shown = states.iter().find(|state| state.head() == snapshot.op().unwrap().head()).unwrap();
    assert_eq!(snapshot.verify(Some(log)), Ok(Shown::State(shown.clone())));

    let successor = SignedOp::read(&bytes(&vector["successor"])).unwrap();
    let Ok(Verdict::Applied(next)) = State::create(&successor, Some(logs.author(&successor))) else { panic!() };
    let succeeds = next.body().succeeds.unwrap();
    assert_eq!((succeeds.group, succeeds.head), (last.group(), last.head()));

    for told in vector["wishes"].as_array().unwrap() {
        let wish = SignedWish::read(&bytes(&told["wish"])).unwrap();
        assert_eq!(told["hash"], wish.hash().to_string());
        let at = usize::try_from(told["fulfilled"].as_u64().unwrap()).unwrap();
        let What::Next { action, .. } = &ops[at].op().what else { panic!() };
        assert!(wish.is_fulfilled_by(&states[at - 1], action));
        let log = &logs.0[told["by"].as_str().unwrap()];
        let known = Known { ops: &ops[..at], author: Some(log), added: None };
        assert_eq!(wish.check(&states[at - 1], known), Ok(Wishes::For(Box::new(action.clone()))));
    }

    check_contents(&vector["contents"], last);

    let token: [u8; 32] = bytes(&vector["token"]["token"]).try_into().unwrap();
    assert_eq!(vector["token"]["hash"], AppendToken::new(token).hash().to_string());
    let link: GroupLink = vector["link"].as_str().unwrap().parse().unwrap();
    let alice = logs.0["alice"].fingerprint();
    let secret = LinkSecret::new([7; 16]);
    assert_eq!(link, GroupLink { group: last.group(), admin: "alice".parse().unwrap(), fingerprint: alice, secret });
}

/// What one device says in a group, to a reader that was left out of the third message.
fn check_contents(told: &Value, state: &State) {
    let (mut theirs, mut ours) = (Chain::default(), Chain::default());
    for (n, told) in (1..).zip(told.as_array().unwrap()) {
        let frozen = bytes(&told["content"]);
        let (content, said) = Content::decode_said(&frozen).unwrap();
        let (said, seq) = (said.unwrap(), content.sender_seq.unwrap());
        assert_eq!((told["said"].as_str(), Some(said)), (Some(&*said.to_string()), content.said_when_written()));
        let Conversation::Group(group, place) = &content.conversation else { panic!() };
        assert!(state.is_confirmed_by(place.head, place.state));
        assert_eq!((*group, place.seen.len()), (state.group(), usize::from(n == 4)));
        let chained = place.chain.unwrap();
        assert_eq!(ours.before(&seq), Some(chained.before), "the author knows its own");
        assert_eq!(ours.take(&seq, &chained, &said), Told::Alike);
        assert_eq!(told["after"], chained.before.after(&said).to_string());
        assert_eq!(content.encode().unwrap(), frozen);
        if n != 3 {
            assert_eq!((chained.left_out(&seq), theirs.take(&seq, &chained, &said)), (u64::from(n == 4), Told::Alike));
        }
    }
    let device = DeviceId::new([4; 16]);
    assert_eq!(theirs.compare(&ours.seen(device).next().unwrap()), Told::Alike);
}

#[test]
fn frozen_groups_are_read() {
    check_group(&serde_json::from_str(include_str!("../vectors/group.json")).unwrap());
}

#[test]
fn groups_that_python_writes_now_are_read_like_what_is_frozen() {
    check_group(&Oracle::run("group.py").ask(&json!({"do": "vector"})));
}

/// Five people, one of whom has another's name.
static PEOPLE: LazyLock<[FirstDevice; 5]> = LazyLock::new(|| {
    [("alice", 0), ("bob", 1), ("carol", 2), ("dave", 3), ("bob", 4)]
        .map(|(name, n)| first_device(&name.parse().unwrap(), n, AT))
});

fn author(n: usize) -> Author<'static> {
    let FirstDevice { keys, cert, log } = &PEOPLE[n];
    Author { key: &keys.signing, device: cert.id(), log, at: AT }
}

fn settings(history: bool) -> Settings {
    Settings { writers: Writers::Admins, ttl_s: GroupTtl::new(60).ok(), history, wishes: true }
}

fn begin() -> Proposal {
    let log = &PEOPLE[1].log;
    let bob =
        NewMember { user: log.user().clone(), fingerprint: log.fingerprint(), head: log.head(), role: Role::Admin };
    let create = Create {
        name: GroupName::new("ops").unwrap(),
        about: GroupAbout::new("").unwrap(),
        settings: settings(false),
        members: Ascending::new([bob]).unwrap(),
    };
    Proposal::create(author(0), create, None, token(0), &mut rand::rng()).unwrap()
}

fn token(seq: u64) -> TokenHash {
    AppendToken::new([u8::try_from(seq).unwrap(); 32]).hash()
}

fn action(dice: &mut impl RngExt) -> Action {
    let whom = &PEOPLE[dice.random_range(0..5)].log;
    let role = [Role::Member, Role::Admin, Role::Owner][dice.random_range(0..3)];
    let (user, hash) = (whom.user().clone(), LinkSecret::new([dice.random_range(0..2); 16]).hash());
    match dice.random_range(0..9) {
        0..=2 => Action::Add(Add {
            user,
            fingerprint: whom.fingerprint(),
            head: whom.head(),
            role,
            history: HistoryCount::new(7).ok().filter(|_| dice.random_bool(0.3)),
            link: Some(hash).filter(|_| dice.random_bool(0.3)),
            wish: None,
        }),
        3 => Action::Remove(Remove { user, wish: None }),
        4 => Action::Role(ChangeRole { user, role, head: whom.head(), wish: None }),
        5 => {
            let (about, settings) = (GroupAbout::new("all").ok(), settings(dice.random_bool(0.5)));
            Action::Change(Change { name: None, about, settings: Some(settings) })
        }
        6 => {
            let late = Timestamp::from_millis(AT.as_millis() - u64::from(dice.random_bool(0.2)));
            let (uses, approval) = (LinkUses::new(2).unwrap(), dice.random_bool(0.5));
            Action::Link(Link { hash, admin: user, approval, uses, until: late })
        }
        7 => Action::Unlink(Unlink { hash }),
        _ => Action::Refresh(Refresh {}),
    }
}

/// What nobody here would write: signed by whoever, over the state as it is.
fn forged(state: &State, who: usize, action: Action) -> SignedOp {
    let owner = |body: &Body, n: usize| {
        let log = &PEOPLE[n].log;
        let is = |member: &Member| member.fingerprint == log.fingerprint() && member.role == Role::Owner;
        body.members.get(log.user()).is_some_and(is)
    };
    let owner = (0..5).find(|n| owner(state.body(), *n)).unwrap();
    let refresh = Action::Refresh(Refresh {});
    let next = token(state.head().seq + 1);
    let mut op = Proposal::next(state, author(owner), refresh, next, &mut rand::rng()).unwrap().op.op().clone();
    op.by = Party::new(&PEOPLE[who].log, PEOPLE[who].cert.id());
    if let What::Next { action: does, .. } = &mut op.what {
        *does = action;
    }
    let signed = Signed::new(cbor::encode(&op), &PEOPLE[who].keys.signing, Context::Group, &mut rand::rng());
    SignedOp::read(&cbor::encode(&signed)).unwrap()
}

#[test]
fn python_and_we_agree_on_every_op_of_random_groups() {
    let mut python = Oracle::run("group.py");
    let logs: Vec<Vec<String>> =
        PEOPLE.iter().map(|person| person.log.entries_from(0).map(hex::encode).collect()).collect();
    let mut verdicts: HashMap<String, usize> = HashMap::new();
    for seed in 0..12 {
        let mut dice = rng(seed);
        let Proposal { op, mut state } = begin();
        let first = GroupHead { seq: 0, hash: op.head().hash };
        assert_eq!(state.head(), first);
        let (start, mut ops) = (state.clone(), vec![op]);
        for _ in 0..20 {
            // alice, who may do anything, as often as all others
            let who = if dice.random_bool(0.5) { 0 } else { dice.random_range(0..5) };
            let (wanted, next) = (action(&mut dice), token(state.head().seq + 1));
            let written = Proposal::next(&state, author(who), wanted.clone(), next, &mut rand::rng());
            let op = written.map_or_else(|_| forged(&state, who, wanted), |proposal| proposal.op);
            match state.apply(&op, Some(&PEOPLE[who].log)).unwrap() {
                Verdict::Applied(after) | Verdict::Void(after, _) => state = after,
                Verdict::Held(lacking) => panic!("{lacking:?}"),
            }
            ops.push(op);
        }
        let bytes: Vec<String> = ops.iter().map(|op| hex::encode(op.bytes())).collect();
        let answer = python.ask(&json!({"do": "apply", "logs": logs, "ops": bytes}));
        let mut state = start;
        for (op, told) in ops.iter().skip(1).zip(answer["told"].as_array().unwrap()) {
            let by = PEOPLE.iter().find(|person| person.log.fingerprint() == op.op().by.fingerprint).unwrap();
            state = check_told(told, op, state.apply(op, Some(&by.log)).unwrap());
            *verdicts.entry(told["verdict"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    println!("{verdicts:?}");
    assert!(verdicts.len() > 10 && verdicts["Applied"] > 50, "{verdicts:?}");
}
