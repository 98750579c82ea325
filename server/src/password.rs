//! Passwords and their bcrypt hashes, in the format of the first Python application.
//!
//! Pure CPU work of a third of a second: callers run it behind a permit, off the runtime. Nothing is ever truncated:
//! what bcrypt could not take whole was refused as [`Password`] before. A user who does not exist, and one whose row
//! holds no hash at all, cost the same work as a wrong password.

use bcrypt::{HashParts, non_truncating_hash, non_truncating_verify};
use chat_protocol::message::client::Password;
use thiserror::Error;

use crate::store::PasswordHash;

/// Highest cost that is computed, ten times the default's neighbour: a row that asks for hours is taken for corrupt.
const MAX_COST: u32 = 16;

/// A hash could not be computed.
#[derive(Debug, Error)]
#[error("bcrypt refused the password or the cost")]
pub struct HashError(#[source] bcrypt::BcryptError);

/// What verifying found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is the account's.
    Right {
        /// Its hash costs less than new ones do: it should be replaced.
        cheap: bool,
    },
    /// It is not, or there is no such account, or no usable hash.
    Wrong,
}

impl Verdict {
    /// Whether the password is the account's.
    #[must_use]
    pub const fn is_right(self) -> bool {
        matches!(self, Self::Right { .. })
    }

    /// Whether a new hash should take the old one's place.
    #[must_use]
    pub const fn wants_rehash(self) -> bool {
        matches!(self, Self::Right { cheap: true })
    }
}

/// Hashes a password: `$2b$`, 60 characters.
///
/// # Errors
/// [`HashError`] for a cost outside 4 to 31, or a password that was not checked.
pub fn hash(password: &Password, cost: u32) -> Result<PasswordHash, HashError> {
    non_truncating_hash(password.expose(), cost).map(PasswordHash::new).map_err(HashError)
}

/// Compares a password with a stored hash; without one, does the work of a hash at `cost` for nothing.
#[must_use]
pub fn verify(password: &Password, stored: Option<&PasswordHash>, cost: u32) -> Verdict {
    verify_or(password, stored, cost, |password, cost| drop(hash(password, cost)))
}

/// The same, with what is done where there is no hash.
fn verify_or(
    password: &Password,
    stored: Option<&PasswordHash>,
    cost: u32,
    same_work: impl FnOnce(&Password, u32),
) -> Verdict {
    let usable = stored.and_then(|stored| Some((stored.expose(), usable_cost(stored)?)));
    let Some((stored, stored_cost)) = usable else {
        same_work(password, cost);
        return Verdict::Wrong;
    };
    match non_truncating_verify(password.expose(), stored) {
        Ok(true) => Verdict::Right { cheap: stored_cost < cost },
        _ => Verdict::Wrong,
    }
}

fn usable_cost(stored: &PasswordHash) -> Option<u32> {
    let parts: HashParts = stored.expose().parse().ok()?;
    (parts.get_cost() <= MAX_COST).then(|| parts.get_cost())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: u32 = 4;

    fn password(text: &str) -> Password {
        Password::new(text.into()).unwrap()
    }

    #[test]
    fn own_password_is_right_and_another_is_wrong() {
        let stored = hash(&password("correct horse"), COST).unwrap();
        assert!(stored.expose().starts_with("$2b$04$"));
        assert_eq!(verify(&password("correct horse"), Some(&stored), COST), Verdict::Right { cheap: false });
        assert_eq!(verify(&password("correct horse"), Some(&stored), COST + 1), Verdict::Right { cheap: true });
        assert_eq!(verify(&password("Correct horse"), Some(&stored), COST), Verdict::Wrong);
        assert_eq!(verify(&password("correct horse"), None, COST), Verdict::Wrong);
    }

    #[test]
    fn atk_18_the_longest_password_counts_to_its_last_byte() {
        let stored = hash(&password(&"a".repeat(71)), COST).unwrap();
        assert!(verify(&password(&"a".repeat(71)), Some(&stored), COST).is_right());
        assert!(!verify(&password(&"a".repeat(70)), Some(&stored), COST).is_right());
    }

    #[test]
    fn atk_19_what_is_computed_for_nothing_has_the_cost_of_new_hashes() {
        let stored = hash(&password("correct horse"), COST).unwrap();
        for (stored, wanted) in [
            (Some(&stored), None),
            (None, Some(COST + 1)),
            (Some(&PasswordHash::new("no hash".into())), Some(COST + 1)),
        ] {
            let mut computed = None;
            let verdict = verify_or(&password("wrong horse"), stored, COST + 1, |_, cost| computed = Some(cost));
            assert_eq!((verdict, computed), (Verdict::Wrong, wanted));
        }
    }

    #[test]
    fn atk_22_rows_that_hold_no_hash_are_a_wrong_password() {
        let good = hash(&password("secret"), COST).unwrap();
        let (cut, _) = good.expose().split_at(40);
        for row in
            ["", "plain", "$2b$", "$2b$99$", "$2b$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", cut, "ü"]
        {
            let stored = PasswordHash::new(row.into());
            assert_eq!(verify(&password("secret"), Some(&stored), COST), Verdict::Wrong, "{row:?}");
        }
    }
}
