//! Which keys of the server count, while it changes them.
//!
//! ```text
//! no offline key:   pinned ──announced──▶ pinned and next ──next proven──▶ the next is pinned
//!                     ▲                         │
//!                     └── the pinned one proven, and nothing announced: the change was taken back
//! an offline key:   pinned ──announced, and vouched for──▶ the next is pinned
//! ```
//! A server that changes its key answers under both. Whoever has nothing but the present one may have stolen it, which is
//! why it changes: so what the offline key vouches for is believed at once, and the key before is good for nothing. Where
//! nobody vouches, the next key is asked for first, and an attacker who keeps it from being proven is answered to.

use chat_protocol::handshake::ServerPublicKey;
use chat_protocol::message::server::NextKeyProof;
use chat_protocol::offline_key::OfflineKey;

/// The keys a link believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PinnedKeys {
    pub(super) key: ServerPublicKey,
    /// Announced, and not proven.
    pub(super) next: Option<ServerPublicKey>,
    /// Without whose signature no other key is believed, if the invite named one.
    offline: Option<OfflineKey>,
}

/// What a server says of its next key.
#[derive(Clone, Copy)]
pub(super) struct Announced<'a> {
    pub(super) key: ServerPublicKey,
    pub(super) proof: Option<&'a NextKeyProof>,
}

impl PinnedKeys {
    /// As kept. A next key of one with an offline key was vouched for when it was kept.
    pub(super) fn new(key: ServerPublicKey, next: Option<ServerPublicKey>, offline: Option<OfflineKey>) -> Self {
        match (next, offline) {
            (Some(vouched), Some(_)) => Self { key: vouched, next: None, offline },
            _ => Self { key, next, offline },
        }
    }

    /// The key to be asked for before the pinned one.
    pub(super) const fn asked_first(&self) -> Option<ServerPublicKey> {
        self.next
    }

    /// A server that has proven one of the keys, and was logged in to, announces a next one, or none.
    pub(super) fn proven(self, key: ServerPublicKey, announced: Option<Announced<'_>>) -> Self {
        // while it answers under both it goes on announcing the one that was just proven
        let announced = announced.filter(|announced| announced.key != key);
        let Some(offline) = self.offline else {
            return Self { key, next: announced.map(|announced| announced.key), offline: None };
        };
        let vouched = |announced: &Announced<'_>| {
            announced.proof.is_some_and(|proof| offline.vouches(proof, &key, &announced.key))
        };
        match announced {
            Some(next) if vouched(&next) => Self { key: next.key, ..self },
            Some(_) => {
                tracing::warn!("the server announced another key that its offline key does not vouch for");
                Self { key, ..self }
            }
            None => Self { key, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use chat_protocol::crypto::rsa::SigningKey;
    use chat_protocol::fixtures::device_keys;
    use chat_protocol::offline_key::vouch;

    use super::*;

    const OLD: ServerPublicKey = ServerPublicKey::new([1; 32]);
    const NEW: ServerPublicKey = ServerPublicKey::new([2; 32]);
    const THIRD: ServerPublicKey = ServerPublicKey::new([3; 32]);

    type Kept = (ServerPublicKey, Option<ServerPublicKey>);

    fn after(
        (key, next): Kept,
        offline: Option<OfflineKey>,
        proven: ServerPublicKey,
        announced: Option<(ServerPublicKey, Option<&NextKeyProof>)>,
    ) -> Kept {
        let announced = announced.map(|(key, proof)| Announced { key, proof });
        let PinnedKeys { key, next, .. } = PinnedKeys::new(key, next, offline).proven(proven, announced);
        (key, next)
    }

    #[test]
    fn without_an_offline_key_the_key_that_was_proven_is_pinned_and_what_it_announces_is_next() {
        let table = [
            ((OLD, None), OLD, None, (OLD, None)),
            ((OLD, None), OLD, Some(OLD), (OLD, None)),
            ((OLD, None), OLD, Some(NEW), (OLD, Some(NEW))),
            ((OLD, Some(NEW)), OLD, Some(NEW), (OLD, Some(NEW))),
            ((OLD, Some(NEW)), OLD, Some(THIRD), (OLD, Some(THIRD))),
            // taken back, perhaps because it was stolen
            ((OLD, Some(NEW)), OLD, None, (OLD, None)),
            ((OLD, Some(NEW)), NEW, None, (NEW, None)),
            ((OLD, Some(NEW)), NEW, Some(NEW), (NEW, None)),
            ((OLD, Some(NEW)), NEW, Some(THIRD), (NEW, Some(THIRD))),
        ];
        for (row, (kept, proven, announced, then)) in table.into_iter().enumerate() {
            assert_eq!(after(kept, None, proven, announced.map(|key| (key, None))), then, "row {row}");
        }
    }

    #[test]
    fn atk_102_with_an_offline_key_nothing_but_its_word_moves_the_pin_and_that_does_at_once() {
        let (named, other): (&SigningKey, &SigningKey) = (&device_keys(2).signing, &device_keys(3).signing);
        let offline = Some(OfflineKey::of(&named.verifying_key()));
        let word = |key: &SigningKey, present, next| vouch(key, &present, &next, &mut rand::rng());
        let (good, strangers) = (word(named, OLD, NEW), word(other, OLD, NEW));
        let further = word(named, NEW, THIRD);
        let table = [
            ((OLD, None), OLD, None, OLD),
            ((OLD, None), OLD, Some((NEW, None)), OLD),
            ((OLD, None), OLD, Some((NEW, Some(&strangers))), OLD),
            ((OLD, None), OLD, Some((THIRD, Some(&good))), OLD),
            ((OLD, None), OLD, Some((NEW, Some(&good))), NEW),
            // of a change that is not this one
            ((NEW, None), NEW, Some((THIRD, Some(&good))), NEW),
            ((NEW, None), NEW, Some((OLD, Some(&good))), NEW),
            ((NEW, None), NEW, Some((NEW, Some(&good))), NEW),
            ((NEW, None), NEW, None, NEW),
            ((NEW, None), NEW, Some((THIRD, Some(&further))), THIRD),
            // as older programs kept it: vouched for, and not proven
            ((OLD, Some(NEW)), NEW, None, NEW),
            ((OLD, Some(NEW)), NEW, Some((THIRD, None)), NEW),
        ];
        for (row, (kept, proven, announced, then)) in table.into_iter().enumerate() {
            assert_eq!(after(kept, offline, proven, announced), (then, None), "row {row}");
        }
        assert_eq!(
            PinnedKeys::new(OLD, Some(NEW), offline),
            PinnedKeys::new(NEW, None, offline),
            "the old one is not asked"
        );
    }
}
