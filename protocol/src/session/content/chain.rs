//! What is known of the messages of one device in one group, so that it is noticed if it says other things to others.

use std::cmp::Ordering;

use minicbor::{Decode, Encode};

use super::SenderSeq;
use super::in_group::{Chained, Seen};
use crate::ids::{ChainHash, DeviceId, SaidHash};
use crate::limits::CHAIN_MEMORY;

/// How what somebody says stands to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// As it was told here, as far as it can be compared.
    Alike,
    /// Otherwise than here: the device says different things, or whoever names it lies.
    Differently,
    /// Nothing is known here of that place.
    Unknown,
}

/// The last places of a chain, of its highest epoch. What is learnt first stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Chain {
    #[n(0)]
    epoch: u64,
    /// Ascending, at most 64.
    #[n(1)]
    known: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Place {
    #[n(0)]
    n: u64,
    #[n(1)]
    after: ChainHash,
}

impl Chain {
    /// Takes in a message: what its author says of the one before it, and itself. In whatever order messages come, each pair
    /// that follow each other is compared; what was not sent here is taken over from the message behind it.
    ///
    /// [`Told::Unknown`] for one of an earlier epoch, of which nothing is kept.
    pub fn take(&mut self, seq: &SenderSeq, chained: &Chained, said: &SaidHash) -> Told {
        match seq.epoch.cmp(&self.epoch) {
            Ordering::Less => return Told::Unknown,
            Ordering::Equal => {}
            Ordering::Greater => *self = Self { epoch: seq.epoch, known: Vec::new() },
        }
        let before = self.learn(seq.n.saturating_sub(1), chained.before);
        let after = self.learn(seq.n, chained.before.after(said));
        if before && after { Told::Alike } else { Told::Differently }
    }

    /// Compares what another member was told.
    #[must_use]
    pub fn compare(&self, seen: &Seen) -> Told {
        let known = self.known.iter().find(|place| seen.epoch == self.epoch && place.n == seen.n);
        match known.map(|place| place.after.mark() == seen.mark) {
            Some(true) => Told::Alike,
            Some(false) => Told::Differently,
            None => Told::Unknown,
        }
    }

    /// The last place that is known, as others are told of it; the chain is that of `device`.
    #[must_use]
    pub fn seen(&self, device: DeviceId) -> Option<Seen> {
        let Place { n, after } = self.known.last()?;
        Some(Seen { device, epoch: self.epoch, n: *n, mark: after.mark() })
    }

    /// What a message with this number has to name as `before`, if that is known: of the own chain it is.
    #[must_use]
    pub fn before(&self, seq: &SenderSeq) -> Option<ChainHash> {
        if seq.n == 1 {
            return Some(ChainHash::START);
        }
        let before = |place: &&Place| seq.epoch == self.epoch && Some(place.n) == seq.n.checked_sub(1);
        self.known.iter().find(before).map(|place| place.after)
    }

    /// Whether the chain up to `n` may be this; it is noted if nothing is known of that place.
    fn learn(&mut self, n: u64, after: ChainHash) -> bool {
        if n == 0 {
            return after == ChainHash::START;
        }
        match self.known.binary_search_by_key(&n, |place| place.n) {
            Ok(at) => self.known.get(at).is_some_and(|place| place.after == after),
            Err(at) => {
                self.known.insert(at, Place { n, after });
                let surplus = self.known.len().saturating_sub(CHAIN_MEMORY);
                self.known.drain(..surplus);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEVICE: DeviceId = DeviceId::new([4; 16]);

    /// A message of a device that says `words[n - 1]` under the number n.
    fn message(words: &[u8], n: u64) -> (SenderSeq, Chained, SaidHash) {
        let said = |word: &u8| SaidHash::new([*word; 32]);
        let count = usize::try_from(n).unwrap();
        let before = words[..count - 1].iter().fold(ChainHash::START, |chain, word| chain.after(&said(word)));
        let last = Some(n - 1).filter(|last| *last > 0);
        (SenderSeq { epoch: 7, n, first: None }, Chained { last, before }, said(&words[count - 1]))
    }

    fn take(chain: &mut Chain, words: &[u8], n: u64) -> Told {
        let (seq, chained, said) = message(words, n);
        chain.take(&seq, &chained, &said)
    }

    fn told(words: &[u8], numbers: &[u64]) -> Chain {
        let mut chain = Chain::default();
        assert!(numbers.iter().all(|n| take(&mut chain, words, *n) == Told::Alike));
        chain
    }

    #[test]
    fn honest_messages_are_alike_in_whatever_order_and_with_whatever_gaps_they_come() {
        let words = [1, 2, 3, 4, 5];
        let chains = [told(&words, &[1, 2, 3, 4, 5]), told(&words, &[5, 3, 1, 4, 2]), told(&words, &[2, 5])];
        let seen = chains.each_ref().map(|chain| chain.seen(DEVICE).unwrap());
        assert_eq!((seen[0], seen[1]), (seen[2], seen[2]));
        for chain in &chains {
            assert_eq!(chain.compare(&seen[0]), Told::Alike);
        }
        assert_eq!(chains[0].before(&SenderSeq { epoch: 7, n: 6, first: None }).unwrap().mark(), seen[0].mark);
    }

    #[test]
    fn other_words_under_one_number_are_noticed_with_the_next_message_or_by_what_another_saw() {
        let (mine, theirs) = ([1, 2, 3], [1, 9, 3]);
        let (mut alice, bob) = (told(&mine, &[1, 2]), told(&theirs, &[1, 2]));
        let mine_at_2 = alice.seen(DEVICE).unwrap();
        assert_eq!(alice.compare(&bob.seen(DEVICE).unwrap()), Told::Differently);
        assert_eq!(take(&mut alice, &theirs, 3), Told::Differently, "it goes on with bob's words");
        assert_eq!(alice.compare(&mine_at_2), Told::Alike, "what was learnt first stays");
        let mut late = told(&mine, &[3]);
        assert_eq!(take(&mut late, &theirs, 2), Told::Differently, "what comes late is compared too");
    }

    #[test]
    fn who_says_the_same_number_twice_is_found_out() {
        let mut chain = told(&[1, 2], &[1, 2]);
        assert_eq!(take(&mut chain, &[1, 2], 2), Told::Alike);
        assert_eq!(take(&mut chain, &[1, 3], 2), Told::Differently);
        assert_eq!(take(&mut chain, &[8], 1), Told::Differently);
    }

    #[test]
    fn a_later_epoch_begins_anew_and_an_earlier_one_says_nothing() {
        let mut chain = told(&[1, 2], &[1, 2]);
        let (seq, chained, said) = message(&[9], 1);
        assert_eq!(chain.take(&SenderSeq { epoch: 8, ..seq }, &chained, &said), Told::Alike);
        let seen = chain.seen(DEVICE).unwrap();
        assert_eq!((seen.epoch, seen.n), (8, 1));
        assert_eq!(chain.compare(&Seen { epoch: 7, ..seen }), Told::Unknown);
        assert_eq!(take(&mut chain, &[1, 2], 2), Told::Unknown);
    }

    #[test]
    fn the_last_64_places_are_kept() {
        let words = [5; 100];
        let chain = told(&words, &(1..=100).collect::<Vec<_>>());
        let at = |n| {
            let (seq, chained, said) = message(&words, n);
            Seen { device: DEVICE, epoch: seq.epoch, n, mark: chained.before.after(&said).mark() }
        };
        assert_eq!((chain.compare(&at(37)), chain.compare(&at(36))), (Told::Alike, Told::Unknown));
        assert_eq!(crate::cbor::decode::<Chain>(&crate::cbor::encode(&chain)), Ok(chain));
    }

    proptest! {
        #[test]
        fn an_honest_device_is_never_accused(
            words in proptest::collection::vec(any::<u8>(), 1..100),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 1..150),
        ) {
            let (mut one, mut other) = (Chain::default(), Chain::default());
            for at in &order {
                let n = u64::try_from(at.index(words.len())).unwrap() + 1;
                prop_assert_eq!(take(&mut one, &words, n), Told::Alike);
                if n % 3 != 0 {
                    prop_assert_eq!(take(&mut other, &words, n), Told::Alike);
                    prop_assert_ne!(one.compare(&other.seen(DEVICE).unwrap()), Told::Differently);
                }
            }
        }

        #[test]
        fn who_was_told_one_word_otherwise_knows_it_from_what_any_other_saw_since(
            words in proptest::collection::vec(any::<u8>(), 2..60),
            at: prop::sample::Index,
            since: prop::sample::Index,
        ) {
            let (mut otherwise, at) = (words.clone(), at.index(words.len()));
            otherwise[at] ^= 1;
            let from = u64::try_from(at).unwrap() + 1;
            let until = from + u64::try_from(since.index(words.len() - at)).unwrap();
            let numbers: Vec<u64> = (from..=until).collect();
            let (mine, theirs) = (told(&words, &numbers), told(&otherwise, &numbers));
            prop_assert_eq!(mine.compare(&theirs.seen(DEVICE).unwrap()), Told::Differently);
        }
    }

    #[test]
    fn numbers_that_went_to_others_are_counted() {
        let chained = |last| Chained { last, before: ChainHash::new([1; 32]) };
        let seq = |n, first| SenderSeq { epoch: 0, n, first };
        assert_eq!(chained(Some(6)).left_out(&seq(7, None)), 0);
        assert_eq!(chained(Some(3)).left_out(&seq(7, None)), 3);
        assert_eq!(chained(None).left_out(&seq(7, None)), 6);
        assert_eq!(chained(None).left_out(&seq(7, Some(7))), 0, "the first that was for it");
        assert_eq!(chained(None).left_out(&seq(7, Some(5))), 2);
    }
}
