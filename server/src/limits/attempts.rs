//! Failures that are counted before it is known whether they are any.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_protocol::ids::Username;

use super::{NETWORK_SHARE, Network, Source, TooOften};

/// Failed attempts per key, for a while after the first of them.
///
/// A password counts as wrong when the attempt begins, so that a thousand at once are no way around the limit, and is
/// forgiven when it was right or was never looked at. The table cannot be flooded: what stays in it of passwords has
/// cost a password hash, and those stand in a short line; for signatures it has an end.
#[derive(Debug)]
pub struct Attempts<K> {
    table: Arc<Mutex<HashMap<K, Failures>>>,
    most: u32,
    within: Duration,
    keys: usize,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

impl<K: Clone + Hash + Eq> Attempts<K> {
    /// `most` failures of one key `within` a time, of at most so many `keys` at once.
    pub(super) fn new(most: u32, within: Duration, keys: usize) -> Self {
        Self { table: Arc::default(), most: most.max(1), within, keys }
    }

    /// With what the other one remembers.
    pub(super) fn remembering(self, other: &Self) -> Self {
        Self { table: Arc::clone(&other.table), ..self }
    }

    /// Counts an attempt as failed, until [`Attempts::forgive`].
    ///
    /// # Errors
    /// [`TooOften`]: there were as many as may be, and this one was not counted.
    pub fn fail(&self, key: &K, now: Instant) -> Result<(), TooOften> {
        let mut table = self.lock();
        if table.len() >= self.keys && !table.contains_key(key) {
            return Err(TooOften(self.within));
        }
        let failures = table.entry(key.clone()).or_insert(Failures { count: 0, since: now });
        let age = now.saturating_duration_since(failures.since);
        if age >= self.within {
            *failures = Failures { count: 0, since: now };
        } else if failures.count >= self.most {
            return Err(TooOften(self.within - age));
        }
        failures.count += 1;
        Ok(())
    }

    /// Takes an attempt back.
    pub fn forgive(&self, key: &K) {
        let mut table = self.lock();
        if let Some(failures) = table.get_mut(key) {
            failures.count = failures.count.saturating_sub(1);
            if failures.count == 0 {
                table.remove(key);
            }
        }
    }

    pub(super) fn forget_old(&self, now: Instant) {
        self.lock().retain(|_, failures| now.saturating_duration_since(failures.since) < self.within);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Failures>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wrong passwords per account, and source or network.
#[derive(Debug)]
pub struct Guesses {
    sources: Attempts<(Username, Source)>,
    networks: Attempts<(Username, Network)>,
}

impl Guesses {
    /// `most` of one source `within` a time. Each has cost a hash, which bounds how many keys there are.
    pub(super) fn new(most: u32, within: Duration) -> Self {
        let shared = most.max(1).saturating_mul(NETWORK_SHARE);
        let (sources, networks) = (Attempts::new(most, within, usize::MAX), Attempts::new(shared, within, usize::MAX));
        Self { sources, networks }
    }

    pub(super) fn remembering(self, other: &Self) -> Self {
        let Self { sources, networks } = self;
        Self { sources: sources.remembering(&other.sources), networks: networks.remembering(&other.networks) }
    }

    /// Counts a password as wrong, until [`Guesses::forgive`].
    ///
    /// # Errors
    /// [`TooOften`]: there were as many as may be, and this one was not counted.
    pub fn fail(&self, user: &Username, source: Source, now: Instant) -> Result<(), TooOften> {
        let key = (user.clone(), source);
        self.sources.fail(&key, now)?;
        self.networks.fail(&(key.0.clone(), source.network()), now).inspect_err(|_| self.sources.forgive(&key))
    }

    /// Takes it back.
    pub fn forgive(&self, user: &Username, source: Source) {
        self.sources.forgive(&(user.clone(), source));
        self.networks.forgive(&(user.clone(), source.network()));
    }

    pub(super) fn forget_old(&self, now: Instant) {
        self.sources.forget_old(now);
        self.networks.forget_old(now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn atk_89_guesses_from_all_over_a_network_are_few() {
        let (guesses, now) = (Guesses::new(2, MINUTE), Instant::now());
        let alice: Username = "alice".parse().unwrap();
        let from = |third: u16, n: u16| source(&format!("2001:db8:{third:x}:{n:x}::1"));
        let looked_at = (0..100).filter(|n| guesses.fail(&alice, from(0, *n), now).is_ok()).count();
        assert_eq!(looked_at, 2 * NETWORK_SHARE as usize);
        guesses.forgive(&alice, from(0, 0));
        assert_eq!(guesses.fail(&alice, from(0, 99), now), Ok(()), "one that was right gives its place back");
        assert_eq!(guesses.fail(&alice, from(1, 0), now), Ok(()), "another network is not concerned");
    }

    #[test]
    fn wrong_passwords_lock_account_and_address_for_a_while() {
        let (attempts, now) = (Attempts::new(2, MINUTE, 2), Instant::now());
        let alice: Username = "alice".parse().unwrap();
        let [home, away] = ["192.0.2.1", "192.0.2.2"].map(|address| (alice.clone(), source(address)));
        for _ in 0..2 {
            attempts.fail(&home, now).unwrap();
        }
        assert_eq!(attempts.fail(&home, now), Err(TooOften(MINUTE)));
        assert_eq!(attempts.fail(&away, now), Ok(()));
        assert_eq!(attempts.fail(&(alice, source("192.0.2.3")), now), Err(TooOften(MINUTE)), "no more keys than two");
        assert_eq!(attempts.fail(&home, now + MINUTE), Ok(()));
    }

    #[test]
    fn right_passwords_are_not_counted() {
        let (attempts, now) = (Attempts::new(1, MINUTE, 1), Instant::now());
        let alice_at_home = ("alice".parse::<Username>().unwrap(), source("192.0.2.1"));
        for _ in 0..9 {
            attempts.fail(&alice_at_home, now).unwrap();
            attempts.forgive(&alice_at_home);
        }
        assert!(attempts.lock().is_empty());
    }
}
