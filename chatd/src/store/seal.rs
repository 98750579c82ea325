//! Turns places into numbers that say nothing, and values into bytes that open in their place only.
//!
//! Owns the two keys derived from the store key; knows nothing of SQL.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use chat_protocol::crypto::kdf::{hkdf, hmac};
use chat_protocol::crypto::labels::Label;
use chat_protocol::crypto::secret::SecretBytes;
use rand::Rng;

use chat_engine::store::{Place, RowsError, Table};

/// Bytes of an HMAC that are kept: enough that no two places of one store ever share them.
const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

/// What the database sees of a scope or a key.
pub(super) type Tag = [u8; TAG_BYTES];

/// Where a sealed row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) table: u8,
    pub(super) scope: Tag,
    pub(super) key: Tag,
}

/// The keys that hide and seal every row.
pub(super) struct Seals {
    index: SecretBytes<32>,
    cipher: XChaCha20Poly1305,
}

impl Seals {
    /// Derives both from the store key.
    pub(super) fn new(store_key: &SecretBytes<32>) -> Self {
        let index = SecretBytes::new(hkdf(b"", store_key.expose(), Label::StoreIndex));
        let seal = SecretBytes::new(hkdf::<32>(b"", store_key.expose(), Label::StoreSeal));
        Self { index, cipher: XChaCha20Poly1305::new(seal.expose().into()) }
    }

    /// What the database sees of a scope. The same scope of another table looks different.
    pub(super) fn scope(&self, table: Table, scope: &[u8]) -> Tag {
        self.tag(&[b"s", &[table.number()], scope])
    }

    /// What the database sees of a place.
    pub(super) fn address(&self, place: Place<'_>) -> Address {
        let scope = self.scope(place.table, place.scope);
        let key = self.tag(&[b"k", &[place.table.number()], &scope, place.key]);
        Address { table: place.table.number(), scope, key }
    }

    /// Seals a value for one address and order.
    pub(super) fn seal(&self, at: &Address, order: u64, value: &[u8]) -> Result<Vec<u8>, RowsError> {
        let mut nonce = [0; NONCE_BYTES];
        rand::rng().fill_bytes(&mut nonce);
        let payload = Payload { msg: value, aad: &associated(at, order) };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| RowsError::Unavailable("a value is too large to seal".into()))?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Opens what was sealed for this address and order.
    pub(super) fn open(&self, at: &Address, order: u64, sealed: &[u8]) -> Result<Vec<u8>, RowsError> {
        let damaged = || RowsError::Corrupt(format!("a row of table {} does not open", at.table));
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
        let payload = Payload { msg: sealed, aad: &associated(at, order) };
        self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| damaged())
    }

    /// Every part but the last has a fixed length, so no two lists of parts share bytes.
    fn tag(&self, parts: &[&[u8]]) -> Tag {
        let full = hmac(self.index.expose(), &parts.concat());
        let mut tag = [0; TAG_BYTES];
        tag.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        tag
    }
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seals(..)")
    }
}

fn associated(at: &Address, order: u64) -> Vec<u8> {
    [&[at.table][..], &at.scope, &at.key, &order.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seals() -> Seals {
        Seals::new(&SecretBytes::new([1; 32]))
    }

    #[test]
    fn atk_58_a_value_opens_in_its_own_place_and_order_only() {
        let seals = seals();
        let at = seals.address(Place::new(Table::Chats, b"scope", b"key"));
        let sealed = seals.seal(&at, 7, b"value").unwrap();
        assert_eq!(seals.open(&at, 7, &sealed).unwrap(), b"value");

        for other in [
            Place::new(Table::Peers, b"scope", b"key"),
            Place::new(Table::Chats, b"Scope", b"key"),
            Place::new(Table::Chats, b"scope", b"Key"),
            Place::new(Table::Chats, b"scopek", b"ey"),
        ] {
            assert!(seals.open(&seals.address(other), 7, &sealed).is_err(), "{other:?}");
        }
        assert!(seals.open(&at, 8, &sealed).is_err());
        assert!(seals.open(&at, 7, &sealed[..10]).is_err());
        assert!(Seals::new(&SecretBytes::new([2; 32])).open(&at, 7, &sealed).is_err());
    }

    #[test]
    fn the_same_text_looks_different_in_every_role() {
        let seals = seals();
        let (a, b) = (
            seals.address(Place::new(Table::Chats, b"bob", b"bob")),
            seals.address(Place::new(Table::Peers, b"bob", b"bob")),
        );
        assert!(a.scope != a.key && a.scope != b.scope && a.key != b.key);
    }

    #[test]
    fn atk_62_seals_do_not_print() {
        assert_eq!(format!("{:?}", seals()), "Seals(..)");
    }
}
