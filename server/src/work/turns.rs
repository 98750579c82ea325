//! A queue in which those who wait take turns: however much one of them has in it, the next of another comes soon.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What waits, by who has to take turns; of one of them in the order it came.
#[derive(Debug)]
pub(crate) struct Turns<K, T> {
    len: usize,
    /// Those who have something waiting, the next one first.
    order: VecDeque<K>,
    queues: HashMap<K, VecDeque<T>>,
}

impl<K, T> Default for Turns<K, T> {
    fn default() -> Self {
        Self { len: 0, order: VecDeque::new(), queues: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash, T> Turns<K, T> {
    /// How much waits.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Puts something behind all else of `who`.
    pub(crate) fn push(&mut self, who: K, what: T) {
        let queue = self.queues.entry(who.clone()).or_default();
        if queue.is_empty() {
            self.order.push_back(who);
        }
        queue.push_back(what);
        self.len += 1;
    }

    /// Takes the first of whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let mut first = None;
        self.take_turn(|what| {
            first = Some(what);
            false
        });
        first
    }

    /// Gives what waits of whose turn it is, in order, until `goes_on` says no; the rest waits for the next turn.
    pub(crate) fn take_turn(&mut self, mut goes_on: impl FnMut(T) -> bool) {
        let Some(who) = self.order.pop_front() else { return };
        let Some(queue) = self.queues.get_mut(&who) else { return };
        while let Some(what) = queue.pop_front() {
            self.len = self.len.saturating_sub(1);
            if !goes_on(what) {
                break;
            }
        }
        if queue.is_empty() {
            self.queues.remove(&who);
        } else {
            self.order.push_back(who);
        }
    }

    /// Takes the first of `who` that is meant out of the queue, if it waits.
    pub(crate) fn remove(&mut self, who: &K, is_meant: impl FnMut(&T) -> bool) -> Option<T> {
        let queue = self.queues.get_mut(who)?;
        let at = queue.iter().position(is_meant)?;
        let what = queue.remove(at)?;
        self.len = self.len.saturating_sub(1);
        if queue.is_empty() {
            self.queues.remove(who);
            self.order.retain(|waiting| waiting != who);
        }
        Some(what)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_takes_a_turn_whoever_came_first() {
        let mut turns = Turns::default();
        for (who, what) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)] {
            turns.push(who, what);
        }
        assert_eq!(turns.remove(&"a", |what| *what == 2), Some(2));
        assert_eq!(turns.remove(&"a", |what| *what == 4), None);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!((order, turns.len()), (vec![1, 4, 5, 3, 6], 0));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_each_keeps_its_order(steps in prop::collection::vec((0..4u8, 0..4usize), 0..60)) {
            let (mut turns, mut waits, mut number) = (Turns::default(), vec![VecDeque::new(); 4], 0);
            for (what, who) in steps {
                match what {
                    0 | 1 => {
                        number += 1;
                        turns.push(who, (who, number));
                        waits[who].push_back(number);
                    }
                    2 => match turns.pop() {
                        Some((who, number)) => prop_assert_eq!(waits[who].pop_front(), Some(number)),
                        None => prop_assert!(waits.iter().all(VecDeque::is_empty)),
                    },
                    _ => {
                        let last = waits[who].pop_back();
                        prop_assert_eq!(turns.remove(&who, |(_, number)| Some(*number) == last).map(|(_, n)| n), last);
                    }
                }
                prop_assert_eq!(turns.len(), waits.iter().map(VecDeque::len).sum::<usize>());
            }
            while let Some((who, number)) = turns.pop() {
                prop_assert_eq!(waits[who].pop_front(), Some(number));
            }
            prop_assert!(waits.iter().all(VecDeque::is_empty));
        }
    }
}
