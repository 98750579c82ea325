//! What happened since the server started, counted: a stranger learns nothing from a closed connection, the operator does.
//!
//! Numbers only: no name of a user, device or address is ever part of one. [`crate::metrics`] gives them
//! the names under which they are read.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chat_protocol::message::server::{Code, Refusal};

/// Something that happens in several known ways, each with a word for it.
pub trait Kind: Copy + 'static {
    /// All ways.
    const ALL: &'static [Self];
    /// Its place among them.
    fn index(self) -> usize;
    /// Its word: lower case, for machines.
    fn word(self) -> &'static str;
}

/// Declares an enum whose variants have words.
macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        words!($name { $($variant = $word,)* });
    };
}

/// Gives the variants of an enum their words.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)* }) => {
        impl Kind for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn index(self) -> usize {
                self as usize
            }

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

kinds! {
    /// Why a connection ended.
    Closed {
        /// The peer said goodbye.
        ByPeer = "by_peer",
        /// The stream ended without a goodbye: possibly truncated.
        Truncated = "truncated",
        /// The socket failed.
        Io = "io",
        /// More connections per minute than this address may open, or more at once than the server takes.
        Refused = "refused",
        /// No psk, garbage, or a first message seen before.
        Handshake = "handshake",
        /// The handshake took too long.
        HandshakeDeadline = "handshake_deadline",
        /// Nobody logged in in time.
        LoginDeadline = "login_deadline",
        /// A record that is out of sequence, sealed wrongly or too long.
        Record = "record",
        /// Frames that are not frames.
        Malformed = "malformed",
        /// Silence.
        Dead = "dead",
        /// Read slower than it was written to, up to its queue limit or its write deadline.
        SlowReader = "slow_reader",
        /// The same device logged in again.
        Replaced = "replaced",
        /// The device was revoked, or its account was reset.
        Revoked = "revoked",
        /// The server goes down.
        Shutdown = "shutdown",
    }
}

kinds! {
    /// Why a handshake failed.
    HandshakeFailure {
        /// The peer does not know the keys, or does not speak our language.
        Stranger = "stranger",
        /// Its first message was seen before.
        Replayed = "replayed",
        /// No version of the protocol is in common.
        Version = "version",
        /// It took too long.
        Deadline = "deadline",
        /// The stream ended in it.
        Io = "io",
    }
}

kinds! {
    /// How the database failed.
    DatabaseFailure {
        /// It could not be reached, or is overloaded.
        Unavailable = "unavailable",
        /// It holds what this program never wrote.
        Corrupt = "corrupt",
        /// It refused a statement.
        Internal = "internal",
    }
}

words!(Code {
    BadRequest = "bad_request",
    Unsupported = "unsupported",
    Denied = "denied",
    ApprovalRequired = "approval_required",
    Busy = "busy",
    RateLimited = "rate_limited",
    Stale = "stale",
    MailboxFull = "mailbox_full",
    TooLarge = "too_large",
    Exists = "exists",
    NotFound = "not_found",
    Internal = "internal",
    Revoked = "revoked",
});

/// One number that grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts one more.
    pub fn one(&self) {
        self.add(1);
    }

    /// Counts so many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number for each way in which something happens.
#[derive(Debug)]
pub struct Tally<K>(Box<[Count]>, PhantomData<K>);

impl<K: Kind> Default for Tally<K> {
    fn default() -> Self {
        Self(K::ALL.iter().map(|_| Count::default()).collect(), PhantomData)
    }
}

impl<K: Kind> Tally<K> {
    /// Counts one more of this kind.
    pub fn one(&self, kind: K) {
        if let Some(count) = self.0.get(kind.index()) {
            count.one();
        }
    }

    /// How many of this kind so far.
    #[must_use]
    pub fn get(&self, kind: K) -> u64 {
        self.0.get(kind.index()).map_or(0, Count::get)
    }

    /// Every kind with its number.
    pub fn all(&self) -> impl Iterator<Item = (K, u64)> + '_ {
        K::ALL.iter().map(|kind| (*kind, self.get(*kind)))
    }
}

/// Requests of one sort and what became of them.
#[derive(Debug, Default)]
pub struct Requests {
    /// Done now.
    pub done: Count,
    /// Repeated, and done by an earlier try.
    pub repeated: Count,
    /// Not done, for this reason.
    pub refused: Tally<Code>,
}

impl Requests {
    /// Counts a refusal and hands the outcome on.
    ///
    /// # Errors
    /// The refusal that came in.
    pub fn judged<T>(&self, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        outcome.inspect_err(|refusal| self.refused.one(refusal.code))
    }
}

/// Upper bounds of the classes durations are counted in, in microseconds: from a commit on a fast disk to one that hangs.
pub const DURATION_CLASSES: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// How long something took, each time.
#[derive(Debug, Default)]
pub struct Durations {
    classes: [Count; DURATION_CLASSES.len()],
    beyond: Count,
    micros: Count,
}

impl Durations {
    /// Counts one that took so long.
    pub fn took(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = DURATION_CLASSES.iter().zip(&self.classes).find(|(bound, _)| micros <= **bound);
        class.map_or(&self.beyond, |(_, count)| count).one();
        self.micros.add(micros);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.classes.iter().map(Count::get).sum::<u64>() + self.beyond.get()
    }

    /// How long they took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros.get())
    }

    /// Each class's upper bound, and how many took that long at most.
    pub fn classes(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        DURATION_CLASSES.iter().zip(&self.classes).scan(0, |sum, (bound, count)| {
            *sum += count.get();
            Some((Duration::from_micros(*bound), *sum))
        })
    }
}

/// Counts since the server started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections admitted.
    pub opened: Count,
    /// Connections that ended, or were not admitted.
    pub closed: Tally<Closed>,
    /// Handshakes that did not succeed.
    pub handshakes: Tally<HandshakeFailure>,
    /// Logins and enrolments that ended in a login.
    pub logins: Requests,
    /// Submits to mailboxes.
    pub submits: Requests,
    /// Posts in the room.
    pub posts: Requests,
    /// Group commits of submits.
    pub commits: Durations,
    /// Password hashes computed.
    pub hashes: Count,
    /// Messages pushed from mailboxes, repetitions included.
    pub pushed: Count,
    /// Messages acknowledged.
    pub acknowledged: Count,
    /// Failures of the database.
    pub database: Tally<DatabaseFailure>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn distinct<K: Kind>() -> bool {
        let words: BTreeSet<_> = K::ALL.iter().map(|kind| kind.word()).collect();
        words.len() == K::ALL.len() && K::ALL.iter().enumerate().all(|(place, kind)| kind.index() == place)
    }

    #[test]
    fn every_kind_has_its_own_count_and_word() {
        assert!(distinct::<Closed>() && distinct::<HandshakeFailure>() && distinct::<Code>());
        let closed = Tally::<Closed>::default();
        Closed::ALL.iter().for_each(|why| closed.one(*why));
        assert!(closed.all().all(|(_, count)| count == 1));
    }

    #[test]
    fn durations_are_counted_in_the_first_class_that_holds_them() {
        let durations = Durations::default();
        for micros in [1, 500, 501, 60_000_000] {
            durations.took(Duration::from_micros(micros));
        }
        let at_most: Vec<_> = durations.classes().map(|(_, count)| count).collect();
        assert_eq!((at_most[0], at_most[1], at_most[11]), (2, 3, 3));
        assert_eq!((durations.count(), durations.sum()), (4, Duration::from_micros(60_001_002)));
    }
}
