//! Secrets in types that cannot be printed and are wiped when dropped.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// `N` secret bytes: no `Display`, a `Debug` that says nothing, comparison in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes<const N: usize>([u8; N]);

impl<const N: usize> SecretBytes<N> {
    /// Takes ownership of the bytes.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the primitive that needs them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes<{N}>(..)")
    }
}

impl<const N: usize> PartialEq for SecretBytes<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl<const N: usize> Eq for SecretBytes<N> {}

impl<C, const N: usize> minicbor::Encode<C> for SecretBytes<N> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<C, const N: usize> minicbor::CborLen<C> for SecretBytes<N> {
    fn cbor_len(&self, ctx: &mut C) -> usize {
        // the head of a byte string is as long as that of a number
        N.cbor_len(ctx) + N
    }
}

impl<'b, C, const N: usize> minicbor::Decode<'b, C> for SecretBytes<N> {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.bytes()?.try_into().map(Self).map_err(|_| minicbor::decode::Error::message("wrong length of a secret"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_62_secret_bytes_do_not_print() {
        assert_eq!(format!("{:?}", SecretBytes::new([7; 32])), "SecretBytes<32>(..)");
    }
}
