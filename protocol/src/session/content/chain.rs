//! What is known of the messages of one device in one group, so that it is noticed if it says other things to others.

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

/// The last places of a device's chains, one chain an epoch. What is learnt first stays, also of epochs that were left: a device
/// that steps its epoch has not unsaid what it said before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Chain(
    /// Ascending, at most 64.
    #[n(0)]
    Vec<Place>,
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Place {
    #[n(0)]
    epoch: u64,
    #[n(1)]
    n: u64,
    #[n(2)]
    after: ChainHash,
}

impl Place {
    const fn key(&self) -> (u64, u64) {
        (self.epoch, self.n)
    }
}

impl Chain {
    /// Takes in a message: what its author says of the one before it, and itself. In whatever order messages come, each pair
    /// that follow each other is compared; what was not sent here is taken over from the message behind it.
    pub fn take(&mut self, seq: &SenderSeq, chained: &Chained, said: &SaidHash) -> Told {
        let before = self.learn(seq.epoch, seq.n.saturating_sub(1), chained.before);
        let after = self.learn(seq.epoch, seq.n, chained.before.after(said));
        match (before, after) {
            (Told::Differently, _) | (_, Told::Differently) => Told::Differently,
            (_, after) => after,
        }
    }

    /// Compares what another member was told.
    #[must_use]
    pub fn compare(&self, seen: &Seen) -> Told {
        match self.at(seen.epoch, seen.n).map(|after| after.mark() == seen.mark) {
            Some(true) => Told::Alike,
            Some(false) => Told::Differently,
            None => Told::Unknown,
        }
    }

    /// The last places that are known of each epoch, as others are told of them, those of the last epoch first; the chain is
    /// that of `device`. Of an epoch that was left nobody says anything later, so that place has to be told too, once.
    pub fn seen(&self, device: DeviceId) -> impl Iterator<Item = Seen> {
        let mut later = None;
        self.0.iter().rev().filter_map(move |Place { epoch, n, after }| {
            let last = later.replace(*epoch) != Some(*epoch);
            last.then(|| Seen { device, epoch: *epoch, n: *n, mark: after.mark() })
        })
    }

    /// What a message with this number has to name as `before`, if that is known: of the own chain it is.
    #[must_use]
    pub fn before(&self, seq: &SenderSeq) -> Option<ChainHash> {
        if seq.n == 1 {
            return Some(ChainHash::START);
        }
        seq.n.checked_sub(1).and_then(|n| self.at(seq.epoch, n))
    }

    fn at(&self, epoch: u64, n: u64) -> Option<ChainHash> {
        let found = self.0.binary_search_by_key(&(epoch, n), Place::key).ok();
        found.and_then(|at| self.0.get(at)).map(|place| place.after)
    }

    /// Whether the chain up to `n` may be this; it is noted if nothing is known of that place, and it is not before all that
    /// there is room for.
    fn learn(&mut self, epoch: u64, n: u64, after: ChainHash) -> Told {
        let known = if n == 0 { Some(ChainHash::START) } else { self.at(epoch, n) };
        if let Some(known) = known {
            return if known == after { Told::Alike } else { Told::Differently };
        }
        let place = Place { epoch, n, after };
        let at = self.0.partition_point(|other| other.key() < place.key());
        let full = self.0.len() >= CHAIN_MEMORY;
        if full && at == 0 {
            return Told::Unknown;
        }
        self.0.insert(at, place);
        self.0.drain(..usize::from(full));
        Told::Alike
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

    fn last(chain: &Chain) -> Seen {
        chain.seen(DEVICE).next().unwrap()
    }

    #[test]
    fn honest_messages_are_alike_in_whatever_order_and_with_whatever_gaps_they_come() {
        let words = [1, 2, 3, 4, 5];
        let chains = [told(&words, &[1, 2, 3, 4, 5]), told(&words, &[5, 3, 1, 4, 2]), told(&words, &[2, 5])];
        let seen = chains.each_ref().map(last);
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
        let mine_at_2 = last(&alice);
        assert_eq!(alice.compare(&last(&bob)), Told::Differently);
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

    /// The same in another epoch.
    fn take_in(epoch: u64, chain: &mut Chain, words: &[u8], n: u64) -> Told {
        let (seq, chained, said) = message(words, n);
        chain.take(&SenderSeq { epoch, ..seq }, &chained, &said)
    }

    #[test]
    fn what_was_said_in_an_epoch_that_was_left_is_still_compared() {
        let mut chain = told(&[1, 2], &[1, 2]);
        assert_eq!(take_in(8, &mut chain, &[9], 1), Told::Alike, "another chain begins");
        assert_eq!(take(&mut chain, &[1, 3], 2), Told::Differently);
        assert_eq!(take(&mut chain, &[1, 2], 2), Told::Alike);
        let otherwise = told(&[1, 3], &[1, 2]);
        assert_eq!(chain.compare(&last(&otherwise)), Told::Differently);
        assert_eq!(take_in(8, &mut chain, &[7], 1), Told::Differently);
    }

    #[test]
    fn atk_80_other_words_to_others_are_found_behind_any_number_of_epochs() {
        let (mut alice, mut bob) = (told(&[1, 2], &[1, 2]), told(&[1, 9], &[1, 2]));
        for epoch in 8..20 {
            assert_eq!(take_in(epoch, &mut alice, &[5], 1), Told::Alike);
            assert_eq!(take_in(epoch, &mut bob, &[5], 1), Told::Alike);
        }
        let epochs: Vec<_> = bob.seen(DEVICE).map(|seen| (seen.epoch, seen.n)).collect();
        assert_eq!((epochs.len(), epochs[0], epochs[12]), (13, (19, 1), (7, 2)));
        assert!(bob.seen(DEVICE).any(|seen| alice.compare(&seen) == Told::Differently));
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
        let mut full = chain.clone();
        assert_eq!((take(&mut full, &words, 36), &full), (Told::Unknown, &chain), "nothing later goes for it");
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
                prop_assert_ne!(take(&mut one, &words, n), Told::Differently);
                if n % 3 != 0 {
                    prop_assert_ne!(take(&mut other, &words, n), Told::Differently);
                    prop_assert_ne!(one.compare(&last(&other)), Told::Differently);
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
            prop_assert_eq!(mine.compare(&last(&theirs)), Told::Differently);
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
