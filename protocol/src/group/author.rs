//! Whether a device wrote something, by its account's log up to the head it named.

use std::cmp::Ordering;

use super::void::Void;
use crate::crypto::rsa::Context;
use crate::crypto::signed::Signed;
use crate::identity::account_log::AccountLog;
use crate::identity::device::DeviceCert;
use crate::identity::party::Party;
use crate::ids::{Fingerprint, Head, Username};
use crate::limits::MAX_GROUP_ACCOUNT_SEQ;

/// What a reader lacks before it can decide: the log of this account up to that head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// Whose.
    pub user: Username,
    /// Of which identity.
    pub fingerprint: Fingerprint,
    /// Up to where.
    pub head: Head,
}

/// Why something is not its author's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// The log at hand does not say.
    Lacking(Lacking),
    /// It is not, for any reader.
    Void(Void),
    /// The signature is not the device's: whoever passed it on says nothing.
    Signature,
}

impl From<Void> for Unproven {
    fn from(why: Void) -> Self {
        Self::Void(why)
    }
}

/// The log that has the head which `by` names: of any other one nothing is known. Any valid log of that identity counts, also
/// one beside what the reader takes for the account's: else an account whose log was forked could split a group into those who
/// have one and those who have the other.
pub(super) fn log_of<'a>(by: &Party, log: Option<&'a AccountLog>) -> Result<&'a AccountLog, Unproven> {
    let fits =
        |log: &&AccountLog| *log.user() == by.user && log.fingerprint() == by.fingerprint && log.contains(by.head);
    log.filter(fits)
        .ok_or_else(|| Unproven::Lacking(Lacking { user: by.user.clone(), fingerprint: by.fingerprint, head: by.head }))
}

/// Whether an account log may have this head.
pub(super) const fn is_possible(head: Head) -> bool {
    head.seq <= MAX_GROUP_ACCOUNT_SEQ
}

/// Checks that a head of an account's log is not before `known`, the highest that the group knows, nor another in its place.
pub(super) fn not_before(head: Head, known: Head) -> Result<(), Void> {
    match head.seq.cmp(&known.seq) {
        Ordering::Less => Err(Void::OldHead),
        Ordering::Equal if head.hash != known.hash => Err(Void::OtherHistory),
        Ordering::Equal | Ordering::Greater => Ok(()),
    }
}

/// Checks that a log, on which the head lies that its author names, goes on from `known`.
pub(super) fn follows(log: &AccountLog, known: Head) -> Result<(), Void> {
    if log.contains(known) { Ok(()) } else { Err(Void::OtherHistory) }
}

/// Checks a signature by a device that is in the log at the head named, and that it is active there.
///
/// The signature counts before the revocation: all who have the log have the device's key, and those who have more of the
/// log see nothing else.
pub(super) fn signed<'a>(
    by: &Party,
    log: &'a AccountLog,
    signed: &Signed,
    context: Context,
) -> Result<&'a DeviceCert, Unproven> {
    let (cert, active) = log.device_at(&by.device, by.head.seq).ok_or(Void::UnknownDevice)?;
    signed.verify(cert.signing(), context).map_err(|_| Unproven::Signature)?;
    if active { Ok(cert) } else { Err(Void::Revoked.into()) }
}
