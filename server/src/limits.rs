//! How often who may do what: counted before any work is done for them.
//!
//! Keys are addresses, devices and accounts; what has not been seen for a while is forgotten by
//! [`Limits::forget_old`], so that memory follows the traffic of the last minutes. An IPv6 client
//! commands a /64 of addresses: they count as one. Whoever commands a /48 commands 65,536 of those: it counts too,
//! with [`NETWORK_SHARE`] times as much.

mod attempts;
mod refusals;

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use chat_protocol::ids::{DeviceId, Username};
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Config;

pub use attempts::{Attempts, Guesses};
pub use refusals::{InOrder, Refused};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// An IPv6 /48 may do so many times what one of its /64 may: a house with some networks, not a provider.
pub const NETWORK_SHARE: u32 = 4;
/// All sources together may register so many times what one may.
const EVERYBODY: u32 = 50;
/// Minutes whose posts and bytes may come at once after a silence.
const MINUTES_AT_ONCE: u32 = 10;
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

impl Source {
    /// The network it is in.
    #[must_use]
    pub const fn network(self) -> Network {
        match self.0 {
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                Network(IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)))
            }
            v4 => Network(v4),
        }
    }
}

/// The IPv6 /48 of a source; of IPv4 the address itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// Too often; trying again helps after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooOften(pub Duration);

/// One kind of event, counted per key.
#[derive(Debug)]
pub struct Rate<K: Clone + Hash + Eq>(DefaultKeyedRateLimiter<K>, NonZeroU32);

impl<K: Clone + Hash + Eq> Rate<K> {
    /// `count` events per `per`, `burst` at once after a silence. Zero counts as one.
    fn new(count: u32, per: Duration, burst: u32) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(per / count.max(1)).unwrap_or(Quota::per_second(NonZeroU32::MAX));
        Self(RateLimiter::keyed(quota.allow_burst(burst)), burst)
    }

    /// Counts an event of `key`.
    ///
    /// # Errors
    /// [`TooOften`]: it is not to happen, and was not counted.
    pub fn check(&self, key: &K) -> Result<(), TooOften> {
        self.0.check_key(key).map_err(|until| TooOften(until.wait_time_from(self.0.clock().now())))
    }

    /// Counts so many events of `key` at once: all of them or none. More than there can ever be at once take all of those.
    ///
    /// # Errors
    /// [`TooOften`]: they are not to happen, and were not counted.
    pub fn check_many(&self, key: &K, events: u32) -> Result<(), TooOften> {
        let events = NonZeroU32::new(events.min(self.1.get())).unwrap_or(NonZeroU32::MIN);
        match self.0.check_key_n(key, events) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(TooOften(until.wait_time_from(self.0.clock().now()))),
            // not reached: never more than the burst is asked for
            Err(_) => Err(TooOften(MINUTE)),
        }
    }

    fn forget_old(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

/// One kind of event, counted per source and per network.
#[derive(Debug)]
pub struct SourceRate {
    source: Rate<Source>,
    network: Rate<Network>,
}

impl SourceRate {
    /// `count` events of a source per `per`, all of them at once after a silence.
    fn new(count: u32, per: Duration) -> Self {
        let shared = count.max(1).saturating_mul(NETWORK_SHARE);
        Self { source: Rate::new(count, per, count), network: Rate::new(shared, per, shared) }
    }

    /// Counts an event.
    ///
    /// # Errors
    /// [`TooOften`]: it is not to happen.
    pub fn check(&self, source: &Source) -> Result<(), TooOften> {
        self.source.check(source)?;
        self.network.check(&source.network())
    }

    fn forget_old(&self) {
        self.source.forget_old();
        self.network.forget_old();
    }
}

/// All limits of a running server.
#[derive(Debug)]
pub struct Limits {
    /// New connections.
    pub connections: SourceRate,
    /// Registrations, successful or not: each tells whether a name is taken.
    pub registrations: SourceRate,
    /// Registrations of all sources together.
    pub all_registrations: Rate<()>,
    /// Passwords that guests want checked, over all names, right or wrong: each costs a hash.
    pub checks: SourceRate,
    /// Passwords that an account's own devices want changed, right or wrong, wherever they are.
    pub password_changes: Rate<Username>,
    /// Wrong passwords.
    pub guesses: Guesses,
    /// Wrong signatures at logins, enrolments and resets, per device, as claimed, and address.
    pub signatures: Attempts<(DeviceId, Source)>,
    /// Entries of account logs that are verified, per device that sends them.
    pub log_entries: Rate<DeviceId>,
    /// Ops that accounts want appended to groups, right or wrong.
    pub group_appends: Rate<Username>,
    /// One-time keys per requesting device and target device …
    keys_for_one: Rate<(DeviceId, DeviceId)>,
    /// … and per target device.
    keys_of_one: Rate<DeviceId>,
    /// Submits and posts per device …
    submits: Rate<DeviceId>,
    /// … envelopes per account …
    envelopes: Rate<Username>,
    /// … and their bytes.
    submit_bytes: Rate<Username>,
    /// Posts per account …
    posts: Rate<Username>,
    /// … and their bytes.
    post_bytes: Rate<Username>,
    /// Requests per device, other than submits, posts and acknowledgements of something.
    pub requests: Rate<DeviceId>,
}

impl Limits {
    /// The limits an administrator set.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let (rates, per_minute) = (&config.rates, config.connections.per_address_per_minute);
        let of_all = rates.registrations_per_hour.max(1).saturating_mul(EVERYBODY);
        Self {
            connections: SourceRate::new(per_minute, MINUTE),
            registrations: SourceRate::new(rates.registrations_per_hour, HOUR),
            all_registrations: Rate::new(of_all, HOUR, of_all),
            checks: SourceRate::new(rates.password_checks_per_hour, HOUR),
            password_changes: Rate::new(rates.password_changes_per_hour, HOUR, rates.password_changes_per_hour),
            guesses: Guesses::new(rates.failed_logins, rates.failed_logins_within),
            signatures: Attempts::new(rates.failed_logins, rates.failed_logins_within, COUNTED_SIGNATURES),
            log_entries: Rate::new(rates.log_entries_per_hour, HOUR, rates.log_entries_per_hour),
            group_appends: Rate::new(rates.group_appends_per_hour, HOUR, rates.group_appends_per_hour),
            keys_for_one: Rate::new(rates.bundle_fetches_per_hour, HOUR, rates.bundle_fetches_per_hour),
            keys_of_one: Rate::new(rates.one_time_keys_per_hour, HOUR, rates.one_time_keys_per_hour),
            submits: Rate::new(rates.submits_per_minute, MINUTE, rates.submits_burst),
            envelopes: Rate::new(rates.envelopes_per_minute, MINUTE, at_once(rates.envelopes_per_minute)),
            submit_bytes: Rate::new(rates.submit_bytes_per_minute, MINUTE, at_once(rates.submit_bytes_per_minute)),
            posts: Rate::new(rates.room_posts_per_minute, MINUTE, at_once(rates.room_posts_per_minute)),
            post_bytes: Rate::new(rates.room_bytes_per_minute, MINUTE, at_once(rates.room_bytes_per_minute)),
            requests: Rate::new(rates.lookups_per_minute, MINUTE, rates.lookups_per_minute),
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
        let guesses = fresh.guesses.remembering(&self.guesses);
        let signatures = fresh.signatures.remembering(&self.signatures);
        Self { guesses, signatures, ..fresh }
    }

    /// Whether a bundle of `target` comes with a one-time key, which is counted then.
    pub fn may_take_key(&self, requester: DeviceId, target: DeviceId) -> bool {
        self.keys_for_one.check(&(requester, target)).is_ok() && self.keys_of_one.check(&target).is_ok()
    }

    /// Counts a submit by a device of an account, of so many envelopes and bytes.
    ///
    /// # Errors
    /// [`TooOften`]: it is not to happen.
    pub fn submit(&self, device: DeviceId, user: &Username, envelopes: usize, bytes: usize) -> Result<(), TooOften> {
        self.submits.check(&device)?;
        self.envelopes.check_many(user, saturated(envelopes))?;
        self.submit_bytes.check_many(user, saturated(bytes))
    }

    /// Counts a post of so many bytes: paid for by its device as whatever it submits, and by its account, since everybody
    /// gets it.
    ///
    /// # Errors
    /// [`TooOften`]: it is not to happen.
    pub fn post(&self, device: DeviceId, user: &Username, bytes: usize) -> Result<(), TooOften> {
        self.submits.check(&device)?;
        self.posts.check(user)?;
        self.post_bytes.check_many(user, saturated(bytes))
    }

    /// Forgets keys whose limits are whole again.
    pub fn forget_old(&self, now: Instant) {
        self.connections.forget_old();
        self.registrations.forget_old();
        self.checks.forget_old();
        self.password_changes.forget_old();
        self.log_entries.forget_old();
        self.group_appends.forget_old();
        self.keys_for_one.forget_old();
        self.keys_of_one.forget_old();
        self.submits.forget_old();
        self.envelopes.forget_old();
        self.submit_bytes.forget_old();
        self.posts.forget_old();
        self.post_bytes.forget_old();
        self.requests.forget_old();
        self.guesses.forget_old(now);
        self.signatures.forget_old(now);
    }
}

/// More than there can ever be at once is as much as the most.
fn saturated(events: usize) -> u32 {
    u32::try_from(events).unwrap_or(u32::MAX)
}

/// So many per minute come at once after a silence.
const fn at_once(per_minute: u32) -> u32 {
    per_minute.saturating_mul(MINUTES_AT_ONCE)
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
    fn atk_89_a_network_of_many_sources_has_a_bound_of_its_own() {
        let rate = SourceRate::new(2, HOUR);
        let passed = |addresses: &[String]| addresses.iter().filter(|text| rate.check(&source(text)).is_ok()).count();
        let one = |third: u16| vec![format!("2001:db8:{third:x}:1::1"); 9];
        assert_eq!(passed(&one(0)), 2);
        let others: Vec<_> = (2..100u16).map(|n| format!("2001:db8:0:{n:x}::1")).collect();
        assert_eq!(passed(&others), 2 * NETWORK_SHARE as usize - 2);
        assert_eq!(passed(&one(1)), 2, "another network is not concerned");
        assert_eq!(passed(&vec!["192.0.2.1".to_owned(); 99]), 2);
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
}
