//! The mailbox's decisions, apart from doing them: what a submit deserves, which sequence a row
//! gets, how far a device may run ahead of its acknowledgements.
//!
//! Pure: no clock, no store, no socket. The stores call [`judge`] inside their transaction, the
//! live server keeps a [`window::Window`] per connection, and a simulated world can use both as they are.
//! Nothing here stores anything: a verdict other than [`Verdict::Store`] means that nothing may be.

pub mod notary;
pub mod window;

use chat_protocol::ids::{DeviceId, GroupAt, Head, Username};
use chat_protocol::message::client::UserHead;

/// How much one mailbox may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Most messages waiting in one mailbox.
    pub messages: u64,
    /// Most bytes waiting in one mailbox.
    pub bytes: u64,
    /// Most messages waiting in one mailbox from one sending account.
    pub from_one: u64,
    /// Most bytes waiting from one sending account in all mailboxes together, what each of them admits in any case apart.
    pub of_account: u64,
}

/// How much one mailbox holds, before the submit being judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Messages waiting.
    pub messages: u64,
    /// Bytes waiting.
    pub bytes: u64,
    /// Messages waiting from the account that submits.
    pub from_sender: u64,
    /// Bytes waiting from the account that submits.
    pub bytes_from_sender: u64,
    /// Bytes waiting from the account that submits, in all mailboxes together.
    pub bytes_everywhere: u64,
}

/// One sender may take this part of the bytes that all others leave free: however many take theirs, something is left for
/// the next.
const SHARE: u64 = 4;
/// What one sender may always have waiting in a mailbox, as far as there is room: one message of the largest size with its
/// INIT. What waits elsewhere does not count against it, or whoever never fetches their mail could silence those who write to
/// them everywhere. So at most [`Quota::of_account`] and so much for each mailbox wait from one account.
const LEAST_SHARE: u64 = 72 * 1024;

impl Quota {
    /// Whether a mailbox with this `usage` takes `bytes` more from the sender.
    #[must_use]
    pub const fn admits(&self, usage: &Usage, bytes: u64) -> bool {
        usage.messages < self.messages
            && usage.bytes.saturating_add(bytes) <= self.bytes
            && usage.from_sender < self.from_one
            && usage.bytes_from_sender.saturating_add(bytes) <= self.share(usage)
            && (usage.bytes_from_sender.saturating_add(bytes) <= LEAST_SHARE
                || usage.bytes_everywhere.saturating_add(bytes) <= self.of_account)
    }

    /// Bytes that may wait from the sender.
    const fn share(&self, usage: &Usage) -> u64 {
        let from_others = usage.bytes.saturating_sub(usage.bytes_from_sender);
        let share = self.bytes.saturating_sub(from_others) / SHARE;
        if share < LEAST_SHARE { LEAST_SHARE } else { share }
    }
}

/// The owner of a device a submit names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Account.
    pub user: Username,
    /// Whether its log counts the device as active.
    pub active: bool,
    /// What already waits for the device.
    pub usage: Usage,
}

/// A device a submit names, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Device.
    pub device: DeviceId,
    /// Whose it is; absent when nobody's.
    pub owner: Option<Owner>,
    /// Size of what is to be stored for it.
    pub bytes: u64,
}

/// What a submit is built on: as its sender knows it, or as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standpoint<'a> {
    /// Heads of account logs.
    pub heads: &'a [UserHead],
    /// The group it is said in, by the last op that was called. In truth absent where there is none of that name.
    pub group: Option<GroupAt>,
}

/// What a submit deserves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Names an outdated log head: nothing is stored; the true heads of the accounts concerned. None of them where it is the
    /// group that stands elsewhere.
    Stale(Vec<UserHead>),
    /// Names a device that is nobody's, or no longer (or not yet) active: nothing is stored.
    NotFound,
    /// Every mailbox named is full: nothing is stored.
    Full,
    /// Stored for the devices of `to`; those of `full` are left out.
    Store {
        /// Devices that get their envelope, in the order named.
        to: Vec<DeviceId>,
        /// Devices whose mailbox is full.
        full: Vec<DeviceId>,
    },
}

/// Judges a submit that was not seen before (a repeated one gets its first answer again).
///
/// `claimed` is what the sender named. `truth` holds the head of every account that is
/// claimed or owns a target, where the account has a log. Heads come first, because a sender who
/// learns of a newer log picks its devices anew; then the group, because its members are whom it picks them for.
#[must_use]
pub fn judge(quota: &Quota, claimed: Standpoint<'_>, truth: Standpoint<'_>, targets: &[Target]) -> Verdict {
    let stale = outdated(claimed.heads, truth.heads, targets);
    if !stale.is_empty() || claimed.group.is_some() && claimed.group != truth.group {
        return Verdict::Stale(stale);
    }
    if !targets.iter().all(|target| target.owner.as_ref().is_some_and(|owner| owner.active)) {
        return Verdict::NotFound;
    }
    let mut placed = 0;
    let (to, full): (Vec<_>, Vec<_>) = targets.iter().partition(|target| {
        let admitted = target.owner.as_ref().is_some_and(|owner| {
            let bytes_everywhere = owner.usage.bytes_everywhere.saturating_add(placed);
            quota.admits(&Usage { bytes_everywhere, ..owner.usage }, target.bytes)
        });
        placed += if admitted { target.bytes } else { 0 };
        admitted
    });
    if to.is_empty() {
        return Verdict::Full;
    }
    Verdict::Store { to: devices(&to), full: devices(&full) }
}

fn devices(targets: &[&Target]) -> Vec<DeviceId> {
    targets.iter().map(|target| target.device).collect()
}

/// The true heads of accounts that were claimed wrongly, or own a target and were not claimed.
fn outdated(claimed: &[UserHead], truth: &[UserHead], targets: &[Target]) -> Vec<UserHead> {
    let owns_target =
        |user: &Username| targets.iter().any(|target| target.owner.as_ref().is_some_and(|o| &o.user == user));
    let agrees = |known: &UserHead| match head_of(claimed, &known.user) {
        Some(head) => head == known.head,
        None => !owns_target(&known.user),
    };
    truth.iter().filter(|known| !agrees(known)).cloned().collect()
}

fn head_of(heads: &[UserHead], user: &Username) -> Option<Head> {
    heads.iter().find(|head| &head.user == user).map(|head| head.head)
}

/// The sequence after `last`: contiguous, beginning at 1.
#[must_use]
pub const fn next_seq(last: u64) -> u64 {
    last.saturating_add(1)
}

/// What an acknowledgement up to `seq` does to a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Rows up to and including `seq` go.
    Forget,
    /// Known already: nothing changes.
    Known,
    /// Names a message that was never stored: refused.
    Unknown,
}

/// Judges a cumulative acknowledgement.
#[must_use]
pub const fn judge_ack(acked: u64, last: u64, seq: u64) -> Ack {
    if seq > last {
        Ack::Unknown
    } else if seq <= acked {
        Ack::Known
    } else {
        Ack::Forget
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_protocol::ids::{GroupHead, GroupId, HeadHash, OpHash};

    const QUOTA: Quota = Quota { messages: 2, bytes: 100, from_one: 2, of_account: 1_000 };
    const ROOMY: Quota = Quota { messages: 1 << 40, bytes: 256 << 20, from_one: 1 << 40, of_account: 1 << 30 };

    fn head(seq: u64) -> Head {
        Head { seq, hash: HeadHash::new([u8::try_from(seq).unwrap(); 32]) }
    }

    fn claim(user: &str, seq: u64) -> UserHead {
        UserHead { user: user.parse().unwrap(), head: head(seq) }
    }

    const fn on(heads: &[UserHead]) -> Standpoint<'_> {
        Standpoint { heads, group: None }
    }

    fn target(id: u8, user: &str, usage: Usage) -> Target {
        let owner = Owner { user: user.parse().unwrap(), active: true, usage };
        Target { device: DeviceId::new([id; 16]), owner: Some(owner), bytes: 10 }
    }

    fn full() -> Usage {
        Usage { messages: 2, bytes: 20, ..Usage::default() }
    }

    #[test]
    fn submit_under_true_heads_is_stored() {
        let verdict =
            judge(&QUOTA, on(&[claim("bob", 1)]), on(&[claim("bob", 1)]), &[target(1, "bob", Usage::default())]);
        assert_eq!(verdict, Verdict::Store { to: vec![DeviceId::new([1; 16])], full: vec![] });
    }

    #[test]
    fn submit_under_an_outdated_or_missing_head_learns_the_true_one() {
        let targets = [target(1, "bob", Usage::default())];
        let truth = [claim("bob", 2)];
        assert_eq!(judge(&QUOTA, on(&[claim("bob", 1)]), on(&truth), &targets), Verdict::Stale(vec![claim("bob", 2)]));
        assert_eq!(judge(&QUOTA, on(&[]), on(&truth), &targets), Verdict::Stale(vec![claim("bob", 2)]));
    }

    #[test]
    fn a_named_account_without_devices_in_the_submit_must_be_right_too() {
        let targets = [target(1, "bob", Usage::default())];
        let truth = [claim("bob", 1), claim("alice", 3)];
        let verdict = judge(&QUOTA, on(&[claim("bob", 1), claim("alice", 2)]), on(&truth), &targets);
        assert_eq!(verdict, Verdict::Stale(vec![claim("alice", 3)]));
        assert!(matches!(judge(&QUOTA, on(&[claim("bob", 1)]), on(&truth), &targets), Verdict::Store { .. }));
    }

    #[test]
    fn submit_in_a_group_that_stands_elsewhere_is_stale_and_heads_come_first() {
        let (heads, targets) = ([claim("bob", 1)], [target(1, "bob", Usage::default())]);
        let at = |seq, hash| {
            let head = GroupHead { seq, hash: OpHash::new([hash; 32]) };
            Some(GroupAt { group: GroupId::new([7; 32]), head })
        };
        let judged = |heads, claimed, truth| {
            let (claimed, truth) =
                (Standpoint { heads, group: claimed }, Standpoint { heads: &[claim("bob", 1)], group: truth });
            judge(&QUOTA, claimed, truth, &targets)
        };
        assert!(matches!(judged(&heads, at(2, 2), at(2, 2)), Verdict::Store { .. }));
        for truth in [at(3, 3), at(2, 3), at(1, 2), None] {
            assert_eq!(judged(&heads, at(2, 2), truth), Verdict::Stale(vec![]), "{truth:?}");
        }
        assert_eq!(judged(&[], at(2, 2), at(3, 3)), Verdict::Stale(heads.to_vec()));
        let nobodys = [Target { device: DeviceId::new([9; 16]), owner: None, bytes: 1 }];
        let claimed = Standpoint { heads: &heads, group: at(2, 2) };
        assert_eq!(judge(&QUOTA, claimed, on(&heads), &nobodys), Verdict::Stale(vec![]), "before its devices");
    }

    #[test]
    fn device_of_nobody_or_no_longer_active_is_not_found() {
        let mut revoked = target(1, "bob", Usage::default());
        if let Some(owner) = &mut revoked.owner {
            owner.active = false;
        }
        let heads = [claim("bob", 1)];
        assert_eq!(judge(&QUOTA, on(&heads), on(&heads), &[revoked]), Verdict::NotFound);
        let nobodys = Target { device: DeviceId::new([9; 16]), owner: None, bytes: 1 };
        let verdict = judge(&QUOTA, on(&heads), on(&heads), &[target(1, "bob", Usage::default()), nobodys]);
        assert_eq!(verdict, Verdict::NotFound);
    }

    #[test]
    fn full_mailboxes_are_left_out_unless_all_are_full() {
        let heads = [claim("bob", 1)];
        let (open, closed) = (target(1, "bob", Usage::default()), target(2, "bob", full()));
        let verdict = judge(&QUOTA, on(&heads), on(&heads), &[closed.clone(), open]);
        assert_eq!(verdict, Verdict::Store { to: vec![DeviceId::new([1; 16])], full: vec![DeviceId::new([2; 16])] });
        assert_eq!(judge(&QUOTA, on(&heads), on(&heads), &[closed]), Verdict::Full);
    }

    #[test]
    fn every_quota_counts() {
        let usage = Usage { messages: 1, bytes: 90, from_sender: 1, bytes_from_sender: 40, bytes_everywhere: 990 };
        assert!(QUOTA.admits(&usage, 10));
        let beyond = |bytes_everywhere| Usage { bytes_from_sender: LEAST_SHARE, bytes_everywhere, ..Usage::default() };
        assert!(ROOMY.admits(&beyond((1 << 30) - 10), 10) && !ROOMY.admits(&beyond((1 << 30) - 9), 10));
        assert!(!QUOTA.admits(&Usage { messages: 2, ..Usage::default() }, 1));
        assert!(!QUOTA.admits(&Usage { bytes: 91, ..Usage::default() }, 10));
        assert!(!QUOTA.admits(&Usage { bytes: u64::MAX, ..Usage::default() }, 10));
        assert!(!QUOTA.admits(&Usage { from_sender: 2, ..Usage::default() }, 1));
    }

    #[test]
    fn atk_84_what_a_submit_places_counts_for_its_next_devices() {
        let heads = [claim("bob", 1)];
        let near = Usage { bytes_from_sender: LEAST_SHARE, bytes_everywhere: (1 << 30) - 15, ..Usage::default() };
        let verdict = judge(&ROOMY, on(&heads), on(&heads), &[target(1, "bob", near), target(2, "bob", near)]);
        assert_eq!(verdict, Verdict::Store { to: vec![DeviceId::new([1; 16])], full: vec![DeviceId::new([2; 16])] });
    }

    #[test]
    fn atk_84_who_never_fetches_silences_nobody_in_other_mailboxes() {
        // 16 devices, a quarter of each mailbox: the account's sum is used up
        let mut everywhere = 0;
        for _ in 0..16 {
            let mut mine = 0;
            while ROOMY.admits(
                &Usage { bytes: mine, bytes_from_sender: mine, bytes_everywhere: everywhere, ..Usage::default() },
                4096,
            ) {
                (mine, everywhere) = (mine + 4096, everywhere + 4096);
            }
        }
        assert_eq!(everywhere, ROOMY.of_account);
        let elsewhere =
            |mine| Usage { bytes: mine, bytes_from_sender: mine, bytes_everywhere: everywhere, ..Usage::default() };
        assert!(ROOMY.admits(&elsewhere(0), LEAST_SHARE) && ROOMY.admits(&elsewhere(LEAST_SHARE - 1), 1));
        assert!(!ROOMY.admits(&elsewhere(LEAST_SHARE), 1), "and no more than that in each");
        assert!(!ROOMY.admits(&Usage { bytes: ROOMY.bytes, ..elsewhere(0) }, 1), "a full mailbox is full");
    }

    #[test]
    fn atk_84_however_many_fill_their_share_of_a_mailbox_the_next_gets_in() {
        const MIB: u64 = 1024 * 1024;
        let quota = Quota { of_account: 1 << 40, ..ROOMY };
        let (mut held, mut takes) = (0, Vec::new());
        for _ in 0..20 {
            let mut mine = 0;
            while quota.admits(&Usage { bytes: held + mine, bytes_from_sender: mine, ..Usage::default() }, 4096) {
                mine += 4096;
            }
            held += mine;
            takes.push(mine);
        }
        assert_eq!(takes.first(), Some(&(64 * MIB)), "a quarter of an empty one");
        assert!(takes.iter().is_sorted_by(|more, less| more >= less) && takes.iter().all(|mine| *mine >= LEAST_SHARE));
        assert!(held < 256 * MIB);
    }

    #[test]
    fn acknowledgements_are_cumulative_and_never_ahead() {
        assert_eq!(judge_ack(3, 9, 3), Ack::Known);
        assert_eq!(judge_ack(3, 9, 9), Ack::Forget);
        assert_eq!(judge_ack(3, 9, 10), Ack::Unknown);
    }
}
