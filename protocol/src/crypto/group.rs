//! The two secrets of a group: what appends one op, and what a link carries.

use rand::CryptoRng;

use super::kdf;
use super::labels::Label;
use super::secret::SecretBytes;
use crate::ids::{LinkHash, TokenHash};

/// Defines random bytes that are known by their hash.
macro_rules! hashed_secret {
    ($(#[$doc:meta])* $name:ident, $len:literal, $label:ident, $hash:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode, minicbor::CborLen)]
        #[cbor(transparent)]
        pub struct $name(#[n(0)] SecretBytes<$len>);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Draws one.
            #[must_use]
            pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
                let mut bytes = zeroize::Zeroizing::new([0; $len]);
                rng.fill_bytes(&mut *bytes);
                Self::new(*bytes)
            }

            /// From its bytes.
            #[must_use]
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(SecretBytes::new(bytes))
            }

            /// Its bytes, to be sent to those who may know it.
            #[must_use]
            pub const fn expose(&self) -> &[u8; $len] {
                self.0.expose()
            }

            /// What everybody may know of it.
            #[must_use]
            pub fn hash(&self) -> $hash {
                $hash::new(kdf::hash(Label::$label, &[self.expose()]))
            }

            /// Whether this is what a hash is of, compared in constant time.
            #[must_use]
            pub fn is_of(&self, hash: &$hash) -> bool {
                SecretBytes::new(*self.hash().as_bytes()) == SecretBytes::new(*hash.as_bytes())
            }
        }
    };
}

hashed_secret!(
    /// Appends one op: who writes one draws the next, and sends it to those who are owners or admins afterwards.
    AppendToken, 32, GroupToken, TokenHash
);
hashed_secret!(
    /// Lets in whoever shows it to an admin: the part of a link that the log does not have.
    LinkSecret, 16, GroupLink, LinkHash
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atk_62_the_secrets_of_a_group_do_not_print() {
        let (token, link) = (AppendToken::new([7; 32]), LinkSecret::new([7; 16]));
        assert_eq!(format!("{token:?} {link:?}"), "AppendToken(SecretBytes<32>(..)) LinkSecret(SecretBytes<16>(..))");
    }

    #[test]
    fn secrets_are_drawn_apart_and_known_by_their_hashes() {
        let rng = &mut rand::rng();
        let (one, other) = (AppendToken::generate(rng), AppendToken::generate(rng));
        assert!(one != other && one.hash() != other.hash() && one.clone() == one);
        assert_ne!(LinkSecret::generate(rng).hash(), LinkSecret::generate(rng).hash());
        assert!(one.is_of(&one.hash()) && !one.is_of(&other.hash()) && !one.is_of(&TokenHash::new(*one.expose())));
    }
}
