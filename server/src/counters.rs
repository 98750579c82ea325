//! Why connections ended, counted: a stranger learns nothing from a closed connection, the operator does.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closed {
    /// The peer said goodbye.
    ByPeer,
    /// The stream ended without a goodbye: possibly truncated.
    Truncated,
    /// The socket failed.
    Io,
    /// More connections per minute than this address may open, or more at once than the server takes.
    Refused,
    /// No psk, garbage, or a first message seen before.
    Handshake,
    /// The handshake took too long.
    HandshakeDeadline,
    /// Nobody logged in in time.
    LoginDeadline,
    /// A record that is out of sequence, sealed wrongly or too long.
    Record,
    /// Frames that are not frames.
    Malformed,
    /// Silence.
    Dead,
    /// Read slower than it was written to, up to its queue limit or its write deadline.
    SlowReader,
    /// The same device logged in again.
    Replaced,
    /// The device was revoked, or its account was reset.
    Revoked,
    /// The server goes down.
    Shutdown,
}

impl Closed {
    const ALL: [Self; 14] = [
        Self::ByPeer,
        Self::Truncated,
        Self::Io,
        Self::Refused,
        Self::Handshake,
        Self::HandshakeDeadline,
        Self::LoginDeadline,
        Self::Record,
        Self::Malformed,
        Self::Dead,
        Self::SlowReader,
        Self::Replaced,
        Self::Revoked,
        Self::Shutdown,
    ];
}

/// Counts since the server started.
#[derive(Debug, Default)]
pub struct Counters {
    closed: [AtomicU64; Closed::ALL.len()],
    commits: AtomicU64,
    hashes: AtomicU64,
}

impl Counters {
    /// Counts one connection that ended.
    pub fn connection_closed(&self, why: Closed) {
        if let Some(count) = self.closed.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many connections ended for this reason.
    #[must_use]
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed.get(why as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Every reason with its count.
    pub fn closed_all(&self) -> impl Iterator<Item = (Closed, u64)> + '_ {
        Closed::ALL.into_iter().map(|why| (why, self.closed(why)))
    }

    /// Counts one group commit.
    pub fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Group commits so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Counts one password hash computed.
    pub fn hashed(&self) {
        self.hashes.fetch_add(1, Ordering::Relaxed);
    }

    /// Password hashes computed so far.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        let counters = Counters::default();
        for why in Closed::ALL {
            counters.connection_closed(why);
        }
        assert!(counters.closed_all().all(|(_, count)| count == 1));
    }
}
