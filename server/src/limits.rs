//! How often who may do what: counted before any work is done for them.
//!
//! Keys are addresses, devices and accounts; what has not been seen for a while is forgotten by
//! [`Limits::forget_old`], so that memory follows the traffic of the last minutes. An IPv6 client
//! commands a /64 of addresses: they count as one.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chat_protocol::ids::{DeviceId, Username};
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Config;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Devices and addresses whose wrong signatures are counted: 6 MiB at most. Whoever is beyond counts as too often, which
/// costs nobody anything whose signature is right.
const COUNTED_SIGNATURES: usize = 65_536;

/// Where a connection comes from, as limits count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            v4 => Self(v4),
        }
    }
}

/// Too often; trying again helps after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften(pub Duration);

/// One kind of event, counted per key.
#[derive(Debug)]
pub struct Rate<K: Clone + Hash + Eq>(DefaultKeyedRateLimiter<K>);

impl<K: Clone + Hash + Eq> Rate<K> {
    /// `count` events per `per`, `burst` at once after a silence. Zero counts as one.
    fn new(count: u32, per: Duration, burst: u32) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(per / count.max(1)).unwrap_or(Quota::per_second(NonZeroU32::MAX));
        Self(RateLimiter::keyed(quota.allow_burst(burst)))
    }

    /// Counts an event of `key`.
    ///
    /// # Errors
    /// [`TooOften`]: it is not to happen, and was not counted.
    pub fn check(&self, key: &K) -> Result<(), TooOften> {
        self.0.check_key(key).map_err(|until| TooOften(until.wait_time_from(self.0.clock().now())))
    }

    fn forget_old(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

/// All limits of a running server.
#[derive(Debug)]
pub struct Limits {
    /// New connections per address.
    pub connections: Rate<Source>,
    /// Registrations per address, successful or not: each tells whether a name is taken.
    pub registrations: Rate<Source>,
    /// Wrong passwords per account and address.
    pub passwords: Attempts<(Username, Source)>,
    /// Wrong signatures at logins, enrolments and resets, per device, as claimed, and address.
    pub signatures: Attempts<(DeviceId, Source)>,
    /// Bundle fetches per requesting device and target device.
    pub bundles: Rate<(DeviceId, DeviceId)>,
    /// Submits and posts per device.
    pub submits: Rate<DeviceId>,
    /// Lookups and log fetches per device.
    pub lookups: Rate<DeviceId>,
}

impl Limits {
    /// The limits an administrator set.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let (rates, per_minute) = (&config.rates, config.connections.per_address_per_minute);
        Self {
            connections: Rate::new(per_minute, MINUTE, per_minute),
            registrations: Rate::new(rates.registrations_per_hour, HOUR, rates.registrations_per_hour),
            passwords: Attempts::new(rates.failed_logins, rates.failed_logins_within, usize::MAX),
            signatures: Attempts::new(rates.failed_logins, rates.failed_logins_within, COUNTED_SIGNATURES),
            bundles: Rate::new(rates.bundle_fetches_per_hour, HOUR, rates.bundle_fetches_per_hour),
            submits: Rate::new(rates.submits_per_minute, MINUTE, rates.submits_burst),
            lookups: Rate::new(rates.lookups_per_minute, MINUTE, rates.lookups_per_minute),
        }
    }

    /// Whether a setting is one of these limits.
    #[must_use]
    pub fn depend_on(key: &str) -> bool {
        key.starts_with("rates.") || key == "connections.per_address_per_minute"
    }

    /// Other limits in place of these; what is remembered of failed logins stays.
    #[must_use]
    pub fn renewed(&self, config: &Config) -> Self {
        let fresh = Self::new(config);
        let passwords = fresh.passwords.remembering(&self.passwords);
        let signatures = fresh.signatures.remembering(&self.signatures);
        Self { passwords, signatures, ..fresh }
    }

    /// Forgets keys whose limits are whole again.
    pub fn forget_old(&self, now: Instant) {
        self.connections.forget_old();
        self.registrations.forget_old();
        self.bundles.forget_old();
        self.submits.forget_old();
        self.lookups.forget_old();
        self.passwords.forget_old(now);
        self.signatures.forget_old(now);
    }
}

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
    fn new(most: u32, within: Duration, keys: usize) -> Self {
        Self { table: Arc::default(), most: most.max(1), within, keys }
    }

    /// With what the other one remembers.
    fn remembering(self, other: &Self) -> Self {
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

    fn forget_old(&self, now: Instant) {
        self.lock().retain(|_, failures| now.saturating_duration_since(failures.since) < self.within);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Failures>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_mapped_addresses_are_their_ipv4() {
        assert_eq!(source("2001:db8:1:2:3::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[test]
    fn burst_passes_and_the_next_is_told_when_to_come_again() {
        let rate = Rate::new(1, HOUR, 3);
        for _ in 0..3 {
            assert_eq!(rate.check(&1), Ok(()));
        }
        assert!(matches!(rate.check(&1), Err(TooOften(wait)) if wait > HOUR / 2));
        assert_eq!(rate.check(&2), Ok(()), "another key is not concerned");
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
