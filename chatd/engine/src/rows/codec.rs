//! How values become bytes.

use std::marker::PhantomData;

use chat_protocol::cbor;
use chat_protocol::crypto::secret::SecretBytes;
use minicbor::{Decode, Encode};

use crate::rows::key::ReadKey;

/// A way of writing values of one type.
pub trait Codec {
    /// What is kept.
    type Value;

    /// As it is stored.
    fn write(value: &Self::Value) -> Vec<u8>;

    /// As it was stored; `None` if these are not its bytes.
    fn read(bytes: &[u8]) -> Option<Self::Value>;
}

/// One CBOR item.
pub struct Cbor<T>(PhantomData<T>);

impl<T: Encode<()> + for<'b> Decode<'b, ()>> Codec for Cbor<T> {
    type Value = T;

    fn write(value: &T) -> Vec<u8> {
        cbor::encode(value)
    }

    fn read(bytes: &[u8]) -> Option<T> {
        cbor::decode_own(bytes).ok()
    }
}

/// The bytes that it has as a key.
pub struct Raw<T>(PhantomData<T>);

impl<T: ReadKey> Codec for Raw<T> {
    type Value = T;

    fn write(value: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<T> {
        T::read(bytes)
    }
}

/// A secret as it is.
pub struct Secret;

impl Codec for Secret {
    type Value = SecretBytes<32>;

    fn write(value: &SecretBytes<32>) -> Vec<u8> {
        value.expose().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<SecretBytes<32>> {
        Some(SecretBytes::new(bytes.try_into().ok()?))
    }
}

/// Nothing: it counts that the row is there.
pub struct Mark;

impl Codec for Mark {
    type Value = ();

    fn write((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn read(bytes: &[u8]) -> Option<()> {
        bytes.is_empty().then_some(())
    }
}

/// A text as it is.
pub struct Text;

impl Codec for Text {
    type Value = String;

    fn write(value: &String) -> Vec<u8> {
        value.as_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<String> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}
