//! What tells rows apart, each as the type that knows its bytes.

use chat_protocol::ids::{DeviceId, Fingerprint, KeyHash, MessageId, SessionId, SubmitId, Username};
use chat_protocol::limits::{MAX_USERNAME_BYTES, MIN_USERNAME_BYTES};
use chat_protocol::rpc::Name;

/// The key of a row within its family, or what a family has one scope for each of.
///
/// No two values may have the same bytes.
pub trait Key {
    /// Fewest and most bytes.
    const LEN: (usize, usize);
    /// What the bytes may begin with.
    const STARTS: &'static [&'static str] = &[""];

    /// Puts its bytes behind others.
    fn write(&self, bytes: &mut Vec<u8>);
}

/// A key that is kept as a value too.
pub trait ReadKey: Key + Sized {
    /// What has these bytes, if anything has.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// Keys whose bytes are an array.
macro_rules! array_keys {
    ($($key:ty),*) => { $(
        impl Key for $key {
            const LEN: (usize, usize) = (<$key>::LEN, <$key>::LEN);

            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.as_bytes());
            }
        }

        impl ReadKey for $key {
            fn read(bytes: &[u8]) -> Option<Self> {
                Self::try_from(bytes).ok()
            }
        }
    )* };
}

array_keys!(DeviceId, Fingerprint, KeyHash, MessageId, SessionId);

impl<const N: usize> Key for [u8; N] {
    const LEN: (usize, usize) = (N, N);

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

impl<const N: usize> ReadKey for [u8; N] {
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Key for SubmitId {
    const LEN: (usize, usize) = (16, 16);

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }
}

impl Key for u8 {
    const LEN: (usize, usize) = (1, 1);

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }
}

impl Key for u64 {
    const LEN: (usize, usize) = (8, 8);

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
}

impl Key for Username {
    const LEN: (usize, usize) = (MIN_USERNAME_BYTES, MAX_USERNAME_BYTES);

    fn write(&self, bytes: &mut Vec<u8>) {
        self.as_str().write(bytes);
    }
}

impl ReadKey for Username {
    fn read(bytes: &[u8]) -> Option<Self> {
        Self::existing(str::from_utf8(bytes).ok()?).ok()
    }
}

impl Key for Name {
    const LEN: (usize, usize) = (1, usize::MAX);

    fn write(&self, bytes: &mut Vec<u8>) {
        self.as_str().write(bytes);
    }
}

impl Key for [u8] {
    const LEN: (usize, usize) = (0, usize::MAX);

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
}

impl Key for str {
    const LEN: (usize, usize) = (0, usize::MAX);

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }
}

impl Key for String {
    const LEN: (usize, usize) = str::LEN;

    fn write(&self, bytes: &mut Vec<u8>) {
        self.as_str().write(bytes);
    }
}

/// One of a kind, or all of them together, which has no bytes.
impl<K: Key> Key for Option<K> {
    const LEN: (usize, usize) = {
        assert!(K::LEN.0 > 0, "nothing could be told from no bytes");
        (0, K::LEN.1)
    };

    fn write(&self, bytes: &mut Vec<u8>) {
        self.iter().for_each(|key| key.write(bytes));
    }
}

/// One behind the other. Only the last may be of any length, so that it is clear where each ends.
impl<A: Key, B: Key> Key for (A, B) {
    const LEN: (usize, usize) = behind(A::LEN, B::LEN);
    const STARTS: &'static [&'static str] = A::STARTS;

    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    const LEN: (usize, usize) = behind(behind(A::LEN, B::LEN), C::LEN);
    const STARTS: &'static [&'static str] = A::STARTS;

    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
        self.2.write(bytes);
    }
}

const fn behind(first: (usize, usize), last: (usize, usize)) -> (usize, usize) {
    assert!(first.0 == first.1, "two keys of this type could have the same bytes");
    (first.0 + last.0, first.0.saturating_add(last.1))
}
