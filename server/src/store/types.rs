//! The values that go into the store and come out of it: here who people are, in [`delivery`] what they say, in
//! [`groups`] what the notary is asked.

mod delivery;
mod groups;

use std::fmt;

use chat_protocol::ids::{DeviceId, Fingerprint, Head, HeadHash, Username};
use chat_protocol::time::Timestamp;

pub use delivery::{
    Mail, MailboxState, NewBundle, NewPost, Posted, Publication, Retention, SubmitOutcome, SubmitRow, Swept,
    TakenBundle,
};
pub use groups::NewOp;

/// A stored password hash, as found: perhaps not a valid one. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps the text of the column.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the verifier.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// An account that can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Canonical name.
    pub user: Username,
    /// What the row holds in place of a password.
    pub hash: PasswordHash,
}

/// An account to be created.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Name.
    pub user: Username,
    /// bcrypt hash.
    pub hash: PasswordHash,
    /// SHA-256 of the invite token that is used up; `None` where registration is open.
    pub invite: Option<[u8; 32]>,
    /// Now.
    pub at: Timestamp,
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// The account stands.
    Created,
    /// The name is taken, in some spelling.
    Exists,
    /// The invite is unknown, used or too old.
    InviteRefused,
}

/// What became of a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// Done.
    Renamed,
    /// No row is spelled like that.
    NotFound,
    /// The new name is taken, in some spelling.
    Exists,
    /// The account has a log: its certificates carry the name.
    Enrolled,
}

/// One row of the account table, for the administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSummary {
    /// Row id.
    pub id: u64,
    /// As the row spells it.
    pub name: String,
    /// Active devices.
    pub devices: u32,
    /// Latest login of any of them.
    pub last_login: Option<Timestamp>,
}

/// A personal invite.
#[derive(Clone, Copy, Debug)]
pub struct Invite {
    /// SHA-256 of its token.
    pub hash: [u8; 32],
    /// When it was made.
    pub at: Timestamp,
    /// When it ends unused.
    pub expires: Timestamp,
}

/// An existing account and where its log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownHead {
    /// Account.
    pub user: Username,
    /// Head; absent while no device was ever enrolled.
    pub head: Option<Head>,
}

/// Some entries of an account log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// Hash of the genesis entry.
    pub fingerprint: Fingerprint,
    /// Where the log stands.
    pub head: Head,
    /// Signed entries, contiguous from the sequence asked for.
    pub entries: Vec<Vec<u8>>,
}

/// A genesis entry and the device it adds.
#[derive(Clone, Debug)]
pub struct NewLog {
    /// Account.
    pub user: Username,
    /// First device.
    pub device: DeviceId,
    /// Its certificate.
    pub cert: Vec<u8>,
    /// Signed genesis entry.
    pub genesis: Vec<u8>,
    /// Its hash: head of the new log, and the account's fingerprint.
    pub hash: HeadHash,
    /// Now, in time that was seen to pass.
    pub at: Timestamp,
}

/// An entry to append.
#[derive(Clone, Debug)]
pub struct AppendEntry {
    /// Account.
    pub user: Username,
    /// Where the log must stand.
    pub expected: Head,
    /// Signed entry.
    pub entry: Vec<u8>,
    /// Where the log stands afterwards.
    pub head: Head,
    /// Device the entry adds, with its certificate.
    pub activates: Option<(DeviceId, Vec<u8>)>,
    /// Devices the entry revokes.
    pub revokes: Vec<DeviceId>,
    /// Now, in time that was seen to pass.
    pub at: Timestamp,
}

/// What became of a write to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogWrite {
    /// The entry stands in the log (also when these very bytes were written before).
    Written,
    /// The log stands elsewhere.
    Stale(Head),
    /// There is no such account, no log to extend, or the device has ended before.
    Missing,
}

/// A reset that waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingReset {
    /// Hash of the genesis entry that will begin the new log.
    pub genesis: HeadHash,
    /// When it was asked for, in time that was seen to pass.
    pub at: Timestamp,
    /// When it may happen by the clock, as the account's devices were told.
    pub due: Timestamp,
}

/// What a device may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Waits for approval by an active device.
    Waiting,
    /// Active in the account log.
    Active,
    /// Revoked by the account log.
    Revoked,
    /// Of a log that a reset replaced.
    Replaced,
}

impl DeviceState {
    /// The number both databases store.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Active => 1,
            Self::Revoked => 2,
            Self::Replaced => 3,
        }
    }

    /// The state of a stored number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Waiting,
            1 => Self::Active,
            2 => Self::Revoked,
            3 => Self::Replaced,
            _ => return None,
        })
    }
}

/// A device as remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDevice {
    /// Id.
    pub device: DeviceId,
    /// Account.
    pub user: Username,
    /// Certificate, as received.
    pub cert: Vec<u8>,
    /// What it may do.
    pub state: DeviceState,
    /// Since when it is in that state, in time that was seen to pass.
    pub since: Timestamp,
    /// Last login noted.
    pub last_login: Option<Timestamp>,
}

/// A device that asks for approval.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Account.
    pub user: Username,
    /// Id.
    pub device: DeviceId,
    /// Certificate.
    pub cert: Vec<u8>,
    /// Now, in time that was seen to pass.
    pub at: Timestamp,
}

/// What became of the wish to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It waits (perhaps it did already).
    Waits,
    /// The device is known and not waiting.
    Known(DeviceState),
    /// Too many wait.
    TooMany,
    /// No such account.
    Missing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_62_password_hashes_do_not_print() {
        let account = Account { user: "alice".parse().unwrap(), hash: PasswordHash::new("$2b$12$secret".into()) };
        assert_eq!(format!("{account:?}"), "Account { user: alice, hash: PasswordHash(..) }");
    }
}
