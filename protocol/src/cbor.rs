//! The one door for CBOR: everything read from a peer is scanned for the strict form first.
//!
//! Strict means definite lengths, shortest integers and lengths, map keys that are integers in
//! strictly ascending order, no integer beyond [`MAX_NUMBER`], no tags, floats or `undefined`, a bounded depth, and
//! nothing left over. The decoder library accepts more, so [`decode`] never runs it on unscanned bytes.

use minicbor::{Decode, Encode};
use thiserror::Error;

use crate::limits::{MAX_CBOR_DEPTH, MAX_NUMBER};

/// Bytes that are not one strict CBOR item of the wanted shape. Says no more, on purpose.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("malformed CBOR")]
pub struct Malformed;

/// Encodes a value. Cannot fail: the sink is memory and no type here refuses.
#[must_use]
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

/// Encodes a value behind what is there.
pub fn encode_into<T: Encode<()>>(value: &T, bytes: &mut Vec<u8>) {
    #[cfg(feature = "fixtures")]
    crate::fixtures::counts::written::<T>();
    let outcome = minicbor::encode(value, bytes);
    debug_assert!(outcome.is_ok(), "encoding into memory failed");
}

/// Decodes exactly one strict item that fills `bytes`.
///
/// # Errors
/// [`Malformed`] for anything else.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Malformed> {
    decode_up_to(bytes, MAX_NUMBER)
}

/// The same, for what is hashed into a state that all readers have to share: besides, the bytes are the only ones that
/// say so. A key that the reader does not know, which elsewhere is passed over, is refused, and so is what could be left out.
///
/// # Errors
/// [`Malformed`] for anything else.
pub fn decode_canonical<'b, T: Decode<'b, ()> + Encode<()>>(bytes: &'b [u8]) -> Result<T, Malformed> {
    decode(bytes).and_then(|value| if encode(&value) == bytes { Ok(value) } else { Err(Malformed) })
}

/// [`decode`] for what this side has written for itself alone, where numbers may be of any size.
///
/// # Errors
/// [`Malformed`].
pub fn decode_own<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, Malformed> {
    decode_up_to(bytes, u64::MAX)
}

fn decode_up_to<'b, T: Decode<'b, ()>>(bytes: &'b [u8], highest: u64) -> Result<T, Malformed> {
    #[cfg(feature = "fixtures")]
    crate::fixtures::counts::read::<T>();
    match (Scanner { rest: bytes, highest }.run()) {
        Ok([]) => minicbor::decode(bytes).map_err(|_| Malformed),
        _ => Err(Malformed),
    }
}

/// Splits the first strict item off `bytes`: (item, rest).
///
/// # Errors
/// [`Malformed`] if `bytes` does not begin with a whole strict item.
pub fn split_item(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let rest = scan_item(bytes)?;
    bytes.split_at_checked(bytes.len() - rest.len()).ok_or(Malformed)
}

/// Checks one item in strict form and returns what follows it.
fn scan_item(bytes: &[u8]) -> Result<&[u8], Malformed> {
    Scanner { rest: bytes, highest: MAX_NUMBER }.run()
}

struct Scanner<'b> {
    rest: &'b [u8],
    /// No integer, key or length is above it.
    highest: u64,
}

/// What the item just read leaves to be read.
enum Head {
    Leaf,
    Array(u64),
    Map(u64),
}

impl<'b> Scanner<'b> {
    fn run(mut self) -> Result<&'b [u8], Malformed> {
        self.item(0)?;
        Ok(self.rest)
    }

    /// Recurses at most `MAX_CBOR_DEPTH` deep.
    fn item(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_CBOR_DEPTH {
            return Err(Malformed);
        }
        match self.head()? {
            Head::Leaf => Ok(()),
            Head::Array(count) => (0..count).try_for_each(|_| self.item(depth + 1)),
            Head::Map(count) => self.map(count, depth + 1),
        }
    }

    fn map(&mut self, count: u64, depth: usize) -> Result<(), Malformed> {
        let mut last = None;
        for _ in 0..count {
            let key = self.map_key()?;
            if last.is_some_and(|last| key <= last) {
                return Err(Malformed);
            }
            last = Some(key);
            self.item(depth)?;
        }
        Ok(())
    }

    /// Every map of this protocol is keyed by small unsigned integers.
    fn map_key(&mut self) -> Result<u64, Malformed> {
        match self.byte()? {
            first if first >> 5 == 0 => self.argument(first & 0x1f),
            _ => Err(Malformed),
        }
    }

    fn head(&mut self) -> Result<Head, Malformed> {
        let first = self.byte()?;
        let (major, info) = (first >> 5, first & 0x1f);
        if major == 7 {
            // false, true and null are the only simple values anybody writes
            return if matches!(info, 20..=22) { Ok(Head::Leaf) } else { Err(Malformed) };
        }
        let argument = self.argument(info)?;
        match major {
            0 | 1 => Ok(Head::Leaf),
            2 => self.take(argument).map(|_| Head::Leaf),
            3 => {
                let text = self.take(argument)?;
                std::str::from_utf8(text).map(|_| Head::Leaf).map_err(|_| Malformed)
            }
            // each element takes a byte at least: a count beyond that is refused before looping
            4 if argument <= self.rest.len() as u64 => Ok(Head::Array(argument)),
            5 if argument <= self.rest.len() as u64 / 2 => Ok(Head::Map(argument)),
            _ => Err(Malformed),
        }
    }

    fn argument(&mut self, info: u8) -> Result<u64, Malformed> {
        let (value, smallest) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (self.uint(1)?, 24),
            25 => (self.uint(2)?, 1 << 8),
            26 => (self.uint(4)?, 1 << 16),
            27 => (self.uint(8)?, 1 << 32),
            _ => return Err(Malformed),
        };
        if (smallest..=self.highest).contains(&value) { Ok(value) } else { Err(Malformed) }
    }

    fn uint(&mut self, width: u64) -> Result<u64, Malformed> {
        Ok(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    fn take(&mut self, count: u64) -> Result<&'b [u8], Malformed> {
        let count = usize::try_from(count).map_err(|_| Malformed)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepts(hex_text: &str) -> bool {
        matches!(scan_item(&hex::decode(hex_text).unwrap()), Ok([]))
    }

    #[test]
    fn strict_items_are_accepted() {
        for item in ["00", "1818", "43010203", "6161", "820102", "a200010102", "f5", "f6", "20"] {
            assert!(accepts(item), "{item}");
        }
    }

    #[test]
    fn everything_but_the_strict_form_is_refused() {
        for (item, why) in [
            ("1801", "longer integer than needed"),
            ("1900ff", "longer integer than needed"),
            ("5f4101ff", "indefinite bytes"),
            ("9fff", "indefinite array"),
            ("bf0001ff", "indefinite map"),
            ("a201020001", "keys descending"),
            ("a200010002", "duplicate key"),
            ("a1616101", "text key"),
            ("0000", "trailing byte"),
            ("c000", "tag"),
            ("f93c00", "float"),
            ("f7", "undefined"),
            ("61ff", "text that is not UTF-8"),
            ("818181818181818181818100", "too deep"),
            ("4401", "truncated"),
            ("9b00000000ffffffff", "count beyond the input"),
        ] {
            assert!(!accepts(item), "{item}: {why}");
        }
    }

    #[test]
    fn atk_93_no_integer_is_beyond_2_to_the_53() {
        let own = |item: &[u8]| decode_own::<Vec<u64>>(item);
        for (number, fits) in [(MAX_NUMBER, true), (MAX_NUMBER + 1, false), (1 << 63, false), (u64::MAX, false)] {
            let item = encode(&vec![number]);
            assert_eq!(decode::<Vec<u64>>(&item).is_ok(), fits, "{number}");
            assert_eq!(split_item(&item).is_ok(), fits, "{number}");
            assert_eq!(own(&item), Ok(vec![number]), "rows of one's own");
        }
        assert!(accepts("3b001fffffffffffff") && !accepts("3b0020000000000000"), "below zero as above");
        assert!(!accepts("a11b002000000000000000"), "nor a key");
        assert!(!accepts("8181811bffffffffffffffff"), "nor within anything");
    }

    #[derive(Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
    #[cbor(map)]
    struct Sample {
        #[n(0)]
        first: u64,
        #[n(1)]
        second: Option<u64>,
    }

    #[test]
    fn the_canonical_form_has_no_key_that_is_not_known_and_no_null() {
        let read = |item: &str| decode_canonical::<Sample>(&hex::decode(item).unwrap());
        assert_eq!(read("a10007"), Ok(Sample { first: 7, second: None }));
        assert_eq!(read("a200070108"), Ok(Sample { first: 7, second: Some(8) }));
        for other in ["a2000701f6", "a200070208", "a101", "a0", "a20007"] {
            assert_eq!(read(other), Err(Malformed), "{other}");
        }
        let tolerant = decode::<Sample>(&hex::decode("a200070208").unwrap());
        assert!(tolerant.is_ok(), "elsewhere what a later version adds is passed over");
    }

    proptest! {
        #[test]
        fn any_bytes_are_scanned_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = scan_item(&bytes);
        }

        #[test]
        fn what_we_encode_is_strict(value in proptest::collection::vec(0..=MAX_NUMBER, 0..64)) {
            let bytes = encode(&value);
            prop_assert_eq!(decode::<Vec<u64>>(&bytes), Ok(value));
        }
    }
}
