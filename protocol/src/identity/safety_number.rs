//! Digits two people compare: the safety number of two accounts, and the digits that approve a new device.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha512};
use thiserror::Error;

use super::account_log::AccountLog;
use crate::crypto::kdf::put_prefixed;
use crate::crypto::labels::Label;
use crate::ids::{DeviceId, Fingerprint, Head, Username};

/// Version of the calculation, hashed into it.
const VERSION: u16 = 1;
/// Hashes per half: makes a second identity with the same digits 5,200 times dearer to search.
const ROUNDS: usize = 5_200;

/// Digits of a safety number.
const DIGITS: usize = 60;
/// Digits people read in one breath.
const GROUP: usize = 5;

/// The 60 digits of two accounts, the same on both sides when nobody is in the middle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyNumber(String);

/// Text that is no safety number.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a safety number has 60 digits, in groups or not")]
pub struct NotASafetyNumber;

impl SafetyNumber {
    /// That of two accounts as their logs stand. Refresh both logs first.
    #[must_use]
    pub fn of(one: &AccountLog, other: &AccountLog) -> Self {
        let mut halves = [one, other].map(|log| half(log.user(), log.fingerprint(), log.head()));
        halves.sort_unstable();
        Self(halves.concat())
    }

    /// Its twelve groups of five digits.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        (0..DIGITS / GROUP).filter_map(|group| self.0.get(group * GROUP..(group + 1) * GROUP))
    }
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SafetyNumber {
    type Err = NotASafetyNumber;

    /// Accepts white space between the digits, as people write and paste them.
    fn from_str(text: &str) -> Result<Self, NotASafetyNumber> {
        let digits: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let possible = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        if possible { Ok(Self(digits)) } else { Err(NotASafetyNumber) }
    }
}

/// One account's 30 digits. For [`SafetyNumber`] over values that are not a log.
#[must_use]
pub fn half(user: &Username, fingerprint: Fingerprint, head: Head) -> String {
    let mut account = VERSION.to_be_bytes().to_vec();
    account.extend_from_slice(fingerprint.as_bytes());
    account.extend_from_slice(&head.seq.to_be_bytes());
    account.extend_from_slice(head.hash.as_bytes());
    put_prefixed(&mut account, user.as_str().as_bytes());
    let first = Sha512::digest(&account);
    let last = (1..ROUNDS).fold(first, |hash, _| Sha512::new_with_prefix(hash).chain_update(&account).finalize());
    digits(&last, 6)
}

/// The 60 digits both screens show while a device is approved: what its owner reads on the new one
/// must be what the old one shows.
#[must_use]
pub fn approval_digits(account: &Fingerprint, device: &DeviceId) -> String {
    let hash = Sha512::new_with_prefix(Label::Approve.as_bytes())
        .chain_update([0])
        .chain_update(account.as_bytes())
        .chain_update(device.as_bytes())
        .finalize();
    digits(&hash, 12)
}

/// The first `groups` big-endian 5-byte numbers, each mod 100000 as five digits.
fn digits(hash: &[u8], groups: usize) -> String {
    let number = |chunk: &[u8]| chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % 100_000;
    hash.chunks_exact(5).take(groups).map(|chunk| format!("{:05}", number(chunk))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::HeadHash;

    fn account(name: &str, byte: u8) -> String {
        half(&name.parse().unwrap(), Fingerprint::new([byte; 32]), Head { seq: 0, hash: HeadHash::new([byte; 32]) })
    }

    #[test]
    fn every_part_of_an_account_changes_its_digits() {
        let alice = account("alice", 1);
        assert_eq!(alice.len(), 30);
        assert_ne!(alice, account("bob", 1));
        assert_ne!(alice, account("alice", 2));
    }

    #[test]
    fn a_safety_number_is_read_as_people_write_it() {
        let digits = "0123456789".repeat(6);
        let number: SafetyNumber = digits.parse().unwrap();
        let groups: Vec<_> = number.groups().collect();
        assert_eq!((groups.len(), groups[0], groups[11]), (12, "01234", "56789"));
        assert_eq!(format!("  {}\n", groups.join(" ")).parse(), Ok(number));
        for wrong in ["", &digits[1..], &format!("{digits}0"), &digits.replace('0', "x"), &digits.replace('0', "٠")] {
            assert_eq!(wrong.parse::<SafetyNumber>(), Err(NotASafetyNumber), "{wrong}");
        }
    }

    #[test]
    fn atk_71_fabricated_account_or_device_changes_the_digits() {
        let shown = |account, device| approval_digits(&Fingerprint::new([account; 32]), &DeviceId::new([device; 16]));
        assert_eq!(shown(1, 1).len(), 60);
        assert_ne!(shown(1, 1), shown(2, 1));
        assert_ne!(shown(1, 1), shown(1, 2));
    }
}
