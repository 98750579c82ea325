//! What is said inside the records: requests and their answers, errors and pushes.
//!
//! Every payload is one CBOR map. [`client`] has what a client may ask, [`server`] what a server
//! may answer or push. Type numbers are assigned once and never reused.

mod answer;
pub mod client;
mod envelope;
mod password;
pub mod push;
pub mod server;

use minicbor::{CborLen, Decode, Encode};

pub use self::answer::{Answer, Answered};
pub use self::envelope::{EncodedEnvelope, Envelope, EnvelopeSizes, Verbatim};

/// A request type and the answer it gets.
pub trait Call: Encode<()> + for<'b> Decode<'b, ()> {
    /// Number of the request on the wire.
    const TYPE: u16;
    /// What a success carries.
    type Answer: Encode<()> + for<'b> Decode<'b, ()>;
}

/// A success that carries nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(map)]
pub struct Done {}

/// Bytes that are already CBOR, a signature or a key: a CBOR byte string.
#[derive(Clone, PartialEq, Eq, Hash, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct Blob(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
