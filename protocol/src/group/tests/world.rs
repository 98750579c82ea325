//! People, their devices, and a group whose ops are all called by an honest notary.

use std::sync::LazyLock;

use crate::cbor;
use crate::crypto::group::LinkSecret;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::fixtures::{FirstDevice, device_keys, first_device};
use crate::group::effect::Circumstances;
use crate::group::{
    Action, Add, Author, Body, Change, ChangeRole, Create, GroupAbout, GroupName, Link, LinkUses, Member, NewMember,
    NotProposed, Op, Proposal, Refresh, Remove, Role, Settings, SignedOp, State, Verdict, Void, What, Writers,
};
use crate::identity::account_log::{self, AccountLog};
use crate::identity::device::{DeviceCert, DeviceKeys};
use crate::identity::party::Party;
use crate::ids::{DeviceId, Fingerprint, Head, HeadHash, TokenHash, Username};
use crate::time::Timestamp;

pub(super) const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Somebody with one device.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) keys: DeviceKeys,
    pub(super) cert: DeviceCert,
    pub(super) log: AccountLog,
}

pub(super) static ALICE: LazyLock<Person> = LazyLock::new(|| Person::new("alice", 0));
pub(super) static BOB: LazyLock<Person> = LazyLock::new(|| Person::new("bob", 1));
pub(super) static CAROL: LazyLock<Person> = LazyLock::new(|| Person::new("carol", 2));
pub(super) static DAVE: LazyLock<Person> = LazyLock::new(|| Person::new("dave", 3));
/// Bob's name after a reset.
pub(super) static OTHER_BOB: LazyLock<Person> = LazyLock::new(|| Person::new("bob", 4));

impl Person {
    pub(super) fn new(name: &str, n: usize) -> Self {
        let FirstDevice { keys, cert, log } = first_device(&name.parse().unwrap(), n, AT);
        Self { keys, cert, log }
    }

    /// The same person on a device that this one adds.
    pub(super) fn with_device(&self, n: usize) -> Self {
        let (mut log, keys) = (self.log.clone(), device_keys(n));
        let cert = keys.certify(log.user(), AT).unwrap();
        let acceptance = keys.accept(&log.fingerprint(), &cert, &mut rand::rng());
        let entry = log.add_device(self.log_author(), &cert, acceptance, &mut rand::rng()).unwrap();
        log.extend(&[entry]).unwrap();
        Self { keys, cert, log }
    }

    /// The log once this device revokes another one.
    pub(super) fn revoking(&self, device: DeviceId) -> AccountLog {
        let mut log = self.log.clone();
        let entry = log.revoke_devices(self.log_author(), vec![device], &mut rand::rng()).unwrap();
        log.extend(&[entry]).unwrap();
        log
    }

    pub(super) fn knowing(&self, log: &AccountLog) -> Self {
        Self { log: log.clone(), ..self.clone() }
    }

    fn log_author(&self) -> account_log::Author<'_> {
        account_log::Author { key: &self.keys.signing, cert: &self.cert, at: AT }
    }

    pub(super) fn author(&self) -> Author<'_> {
        Author { key: &self.keys.signing, device: self.cert.id(), log: &self.log, at: AT }
    }

    pub(super) fn user(&self) -> Username {
        self.log.user().clone()
    }

    pub(super) fn party(&self) -> Party {
        Party::new(&self.log, self.cert.id())
    }

    pub(super) fn new_member(&self, role: Role) -> NewMember {
        let Party { user, fingerprint, head, .. } = self.party();
        NewMember { user, fingerprint, head, role }
    }
}

pub(super) fn token(seq: u64) -> TokenHash {
    TokenHash::new([u8::try_from(seq % 251).unwrap(); 32])
}

pub(super) fn settings() -> Settings {
    Settings { writers: Writers::Members, ttl_s: None, history: false, wishes: false }
}

pub(super) fn create(members: &[(&Person, Role)]) -> Create {
    let members = members.iter().map(|(person, role)| person.new_member(*role));
    Create {
        name: GroupName::new("ops").unwrap(),
        about: GroupAbout::new("who is on call").unwrap(),
        settings: settings(),
        members: crate::group::Ascending::new(members).unwrap(),
    }
}

pub(super) fn add(person: &Person, role: Role) -> Add {
    let NewMember { user, fingerprint, head, role } = person.new_member(role);
    Add { user, fingerprint, head, role, history: None, link: None, wish: None }
}

pub(super) fn remove(person: &Person) -> Action {
    Action::Remove(Remove { user: person.user(), wish: None })
}

pub(super) fn change_role(person: &Person, role: Role) -> Action {
    Action::Role(ChangeRole { user: person.user(), role, head: person.log.head(), wish: None })
}

pub(super) fn rename(name: &str) -> Action {
    Action::Change(Change { name: Some(GroupName::new(name).unwrap()), about: None, settings: None })
}

pub(super) fn link(secret: u8, admin: &Person, uses: u16) -> Link {
    let uses = LinkUses::new(uses).unwrap();
    Link { hash: LinkSecret::new([secret; 16]).hash(), admin: admin.user(), approval: false, uses, until: AT }
}

pub(super) fn refresh() -> Action {
    Action::Refresh(Refresh {})
}

/// alice owns it, bob is an admin, carol a member.
pub(super) fn three() -> State {
    group(&[(&BOB, Role::Admin), (&CAROL, Role::Member)])
}

/// A group whose owner is alice.
pub(super) fn group(members: &[(&Person, Role)]) -> State {
    begun(members).state
}

pub(super) fn begun(members: &[(&Person, Role)]) -> Proposal {
    Proposal::create(ALICE.author(), create(members), None, token(0), &mut rand::rng()).unwrap()
}

/// Signs what no device here would write.
pub(super) fn sign(op: &Op, by: &Person) -> SignedOp {
    let signed = Signed::new(cbor::encode(op), &by.keys.signing, Context::Group, &mut rand::rng());
    SignedOp::read(&cbor::encode(&signed)).unwrap()
}

/// Where an op led that was called, whether it counts or not.
pub(super) fn settled(verdict: Verdict) -> State {
    match verdict {
        Verdict::Applied(state) | Verdict::Void(state, _) => state,
        Verdict::Held(lacking) => panic!("{lacking:?}"),
    }
}

impl State {
    /// The next op, which counts.
    pub(super) fn then(&self, by: &Person, action: impl Into<Action>) -> Self {
        self.propose(by, action).unwrap().state
    }

    pub(super) fn propose(&self, by: &Person, action: impl Into<Action>) -> Result<Proposal, Void> {
        let proposal = Proposal::next(self, by.author(), action.into(), token(self.head.seq + 1), &mut rand::rng());
        proposal.map_err(|why| match why {
            NotProposed::Void(why) => why,
            NotProposed::Malformed => panic!("malformed"),
        })
    }

    /// An op of whoever it is, that names the state which would follow if everybody were allowed everything.
    pub(super) fn forged(&self, by: &Person, action: impl Into<Action>) -> Op {
        let action = action.into();
        let after = self.forged_body(by, &action);
        self.op_to(by, action, &after)
    }

    /// That state: what an owner could do who is nobody, and not counted.
    pub(super) fn forged_body(&self, by: &Person, action: &Action) -> Body {
        let (user, nothing) = ("zz-ghost".parse::<Username>().unwrap(), Fingerprint::new([0; 32]));
        let head = Head { seq: 0, hash: HeadHash::new([0; 32]) };
        let ghost = Party { user: user.clone(), device: DeviceId::new([0; 16]), fingerprint: nothing, head };
        let mut lawless = self.body.clone();
        lawless
            .members
            .put(Member { user, fingerprint: nothing, role: Role::Owner, head, since: 0, given: 0 })
            .unwrap();
        let circumstances = Circumstances { by: &ghost, seq: self.head.seq + 1, time: AT };
        let mut after = lawless.after(action, circumstances).unwrap_or_else(|_| self.body.clone());
        after.members.remove(&ghost.user);
        if let Some(author) = after.members.get_mut(&by.user()) {
            author.head = by.log.head();
        }
        after
    }

    pub(super) fn op_to(&self, by: &Person, action: Action, after: &Body) -> Op {
        let (group, seq, prev) = (self.group, self.head.seq + 1, self.head.hash);
        Op {
            version: 1,
            what: What::Next { group, seq, prev, action },
            by: by.party(),
            time: AT,
            state: after.hash(),
            next_token: token(seq),
        }
    }

    /// Why what `by` signs is void, and that it is nothing but void.
    pub(super) fn void(&self, by: &Person, op: &Op) -> Void {
        let op = sign(op, by);
        match self.apply(&op, Some(&by.log)).unwrap() {
            Verdict::Void(after, why) => {
                assert_eq!(
                    (after.body(), after.head(), after.next_token()),
                    (self.body(), op.head(), op.op().next_token)
                );
                why
            }
            other => panic!("not void: {other:?}"),
        }
    }

    /// Why an action of `by` would be void, although the state it names is the one that would follow.
    pub(super) fn refuses(&self, by: &Person, action: impl Into<Action>) -> Void {
        let action = action.into();
        let why = self.propose(by, action.clone()).unwrap_err();
        assert_eq!(self.void(by, &self.forged(by, action)), why, "the writer and the readers agree");
        why
    }

    pub(super) fn role_of(&self, person: &Person) -> Option<Role> {
        self.body.role(&person.user())
    }
}

impl From<Add> for Action {
    fn from(add: Add) -> Self {
        Self::Add(add)
    }
}

impl From<Link> for Action {
    fn from(link: Link) -> Self {
        Self::Link(link)
    }
}
