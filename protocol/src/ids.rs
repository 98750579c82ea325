//! Values that were checked once and are trusted afterwards: names, ids and hashes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use minicbor::{CborLen, Decode, Encode};
use thiserror::Error;

use crate::limits::{MAX_NUMBER, MAX_USERNAME_BYTES, MIN_USERNAME_BYTES};

/// Text that is not a value of the wanted kind.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("not a valid {what}: {why}")]
pub struct ParseIdError {
    what: &'static str,
    why: Cow<'static, str>,
}

/// Defines a fixed-size byte-string value: CBOR byte string, lower-case hexadecimal text.
macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, CborLen)]
        #[cbor(transparent)]
        pub struct $name(#[cbor(n(0), with = "minicbor::bytes")] [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps raw bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self).map_err(|why| ParseIdError { what: $what, why: why.into() })
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = ParseIdError;

            fn try_from(bytes: &[u8]) -> Result<Self, ParseIdError> {
                let why = "wrong length";
                bytes.try_into().map(Self).map_err(|_| ParseIdError { what: $what, why: why.into() })
            }
        }
    };
}

mod group;

pub use self::group::{
    ChainHash, ChainMark, GroupAt, GroupHead, GroupId, LinkHash, OpHash, SaidHash, StateHash, TokenHash, WishHash,
};

byte_id!(
    /// `H("chat/v1/device" ‖ 0 ‖ cert)[0..16]`: names one device certificate.
    DeviceId, 16, "device id"
);
byte_id!(
    /// Names one end-to-end session; derived from its transcript.
    SessionId, 16, "session id"
);
byte_id!(
    /// Head hash of an account's genesis entry: who the account is, for as long as it lives.
    Fingerprint, 32, "fingerprint"
);
byte_id!(
    /// SHA-256 of an account-log entry without its signature, under its label.
    HeadHash, 32, "head hash"
);
byte_id!(
    /// SHA-256 of a one-time X25519 public key, or of a bundle.
    KeyHash, 32, "key hash"
);
byte_id!(
    /// A message's UUIDv7, chosen by its author.
    MessageId, 16, "message id"
);

impl MessageId {
    /// Builds a UUIDv7 from the author's time and ten random bytes.
    #[must_use]
    pub fn from_parts(at: crate::time::Timestamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(at.as_millis(), &random).into_uuid().into_bytes())
    }

    /// The hyphenated form used by the local socket.
    #[must_use]
    pub fn to_uuid(self) -> String {
        uuid::Uuid::from_bytes(self.0).to_string()
    }

    /// Reads the hyphenated form.
    ///
    /// # Errors
    /// Anything that is not a UUID.
    pub fn from_uuid(text: &str) -> Result<Self, ParseIdError> {
        uuid::Uuid::try_parse(text)
            .map(|id| Self(id.into_bytes()))
            .map_err(|_| ParseIdError { what: "message id", why: "not a UUID".into() })
    }
}

/// Where an account log stands: the sequence and hash of its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Head {
    /// Sequence of the last entry; the genesis entry is 0.
    #[n(0)]
    pub seq: u64,
    /// Its hash.
    #[n(1)]
    pub hash: HeadHash,
}

/// Names a submit for deduplication: a counter of the sending device, then random bytes.
///
/// On the wire: 16 bytes, the counter big-endian first. The server says how far it has come, so it is a number like all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, CborLen)]
#[cbor(transparent)]
pub struct SubmitId(#[cbor(n(0), with = "minicbor::bytes")] [u8; 16]);

impl SubmitId {
    /// Joins the device's counter and eight random bytes.
    #[must_use]
    pub fn new(counter: u64, random: [u8; 8]) -> Self {
        let [c0, c1, c2, c3, c4, c5, c6, c7] = counter.to_be_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7] = random;
        Self([c0, c1, c2, c3, c4, c5, c6, c7, r0, r1, r2, r3, r4, r5, r6, r7])
    }

    /// From the 16 bytes of the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the wire.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The counter in front.
    #[must_use]
    pub fn counter(&self) -> u64 {
        let [c0, c1, c2, c3, c4, c5, c6, c7, ..] = self.0;
        u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7])
    }
}

impl<'b, C> Decode<'b, C> for SubmitId {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let id = Self(minicbor::bytes::decode(d, ctx)?);
        let within = id.counter() <= MAX_NUMBER;
        if within { Ok(id) } else { Err(minicbor::decode::Error::message("a counter beyond all numbers")) }
    }
}

impl fmt::Debug for SubmitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

/// An account name in its canonical, lower-case form.
///
/// `\A[a-z0-9_.@-]{3,150}\z`, not beginning with `-` or `.`: safe as a file name and as an argument. No new one begins with
/// `@` either, so that it is not confused with a target, which is a name behind `@`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, CborLen)]
#[cbor(transparent)]
pub struct Username(#[n(0)] String);

impl Username {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A name that exists: unlike a new one it may begin with `@`, as names of older rows and accounts do.
    ///
    /// # Errors
    /// [`ParseIdError`] for what never was a name.
    pub fn existing(text: &str) -> Result<Self, ParseIdError> {
        let refuse = |why: Cow<'static, str>| Err(ParseIdError { what: "user name", why });
        if !(MIN_USERNAME_BYTES..=MAX_USERNAME_BYTES).contains(&text.len()) {
            return refuse(format!("must have {MIN_USERNAME_BYTES} to {MAX_USERNAME_BYTES} characters").into());
        }
        if text.starts_with(['-', '.']) {
            return refuse("must not begin with `-` or `.`".into());
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.@-".contains(&b)) {
            return refuse("only letters, digits and `_ . @ -` are allowed".into());
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// A name that exists, if it is written in its canonical form.
    #[must_use]
    pub fn canonical(text: &str) -> Option<Self> {
        Self::existing(text).ok().filter(|name| name.as_str() == text)
    }

    /// Whether an account may be made under this name.
    #[must_use]
    pub fn may_be_new(&self) -> bool {
        !self.0.starts_with('@')
    }
}

impl FromStr for Username {
    type Err = ParseIdError;

    /// Accepts either case and lowers it.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.starts_with('@') {
            let why = "a name is written without the `@` in front".into();
            return Err(ParseIdError { what: "user name", why });
        }
        Self::existing(text)
    }
}

impl<'b, C> Decode<'b, C> for Username {
    /// Only the canonical form is read from the wire.
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::canonical(d.str()?).ok_or(minicbor::decode::Error::message("not a canonical user name"))
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&hex::encode(bytes))
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], &'static str> {
    if text.len() != 2 * N {
        return Err("wrong length");
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| "not hexadecimal")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_21_names_are_one_account_or_refused() {
        assert_eq!("Alice".parse::<Username>(), "alice".parse());
        for hostile in [
            "alice\n",
            "al",
            &"a".repeat(151),
            "a'; DROP TABLE chat_app; --",
            "-rf",
            "..",
            ".hidden",
            "@alice",
            "\u{202e}alice",
            "ali\u{200b}ce",
            "a/b/c",
            "",
            "alice ",
            "älice",
        ] {
            assert!(hostile.parse::<Username>().is_err(), "{hostile:?} was accepted");
        }
        assert!("alice@example.org".parse::<Username>().is_ok(), "adopted names are addresses of mail now and then");
    }

    #[test]
    fn a_name_that_was_allowed_once_is_read_and_no_new_one() {
        let older: Username = crate::cbor::decode(&minicbor::to_vec("@alice").unwrap()).unwrap();
        assert_eq!((older.as_str(), older.may_be_new()), ("@alice", false));
        assert!("@alice".parse::<Username>().is_err());
        assert!(crate::cbor::decode::<Username>(&minicbor::to_vec(".alice").unwrap()).is_err());
    }

    #[test]
    fn only_the_canonical_name_is_read_from_the_wire() {
        let name: Username = "alice".parse().unwrap();
        assert_eq!(minicbor::decode::<Username>(&minicbor::to_vec(&name).unwrap()).unwrap(), name);
        assert!(minicbor::decode::<Username>(&minicbor::to_vec("Alice").unwrap()).is_err());
    }

    #[test]
    fn hexadecimal_text_round_trips() {
        let id = DeviceId::new([0xab; 16]);
        assert_eq!(id.to_string().parse::<DeviceId>(), Ok(id));
        for wrong in ["zz", "+a"] {
            assert!(wrong.repeat(16).parse::<DeviceId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn submit_id_carries_its_counter_in_front() {
        let id = SubmitId::new(7, [9; 8]);
        assert_eq!(id.counter(), 7);
        assert_eq!(id.as_bytes()[8..], [9; 8]);
    }

    #[test]
    fn atk_93_the_counter_of_a_submit_id_is_a_number_like_all() {
        for (counter, fits) in [(MAX_NUMBER, true), (1 << 53, false), (u64::MAX, false)] {
            let id = SubmitId::new(counter, [1; 8]);
            assert_eq!(crate::cbor::decode::<SubmitId>(&crate::cbor::encode(&id)).is_ok(), fits, "{counter}");
        }
    }
}
