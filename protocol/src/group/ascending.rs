//! Lists in the one order that all readers share, so that what is hashed has one form.

use minicbor::{Decode, Encode};

/// Something that is found by a part of it.
pub trait Keyed {
    /// What it is ordered by.
    type Key: Ord;

    /// Its key.
    fn key(&self) -> &Self::Key;
}

/// At most `MAX` items in strictly ascending order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
#[cbor(transparent)]
pub struct Ascending<T, const MAX: usize>(#[n(0)] Vec<T>);

/// There is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl<T: Keyed, const MAX: usize> Ascending<T, MAX> {
    /// The items, whose order does not matter here; of several with one key the last counts.
    ///
    /// # Errors
    /// [`Full`] if there are too many.
    pub fn new(items: impl IntoIterator<Item = T>) -> Result<Self, Full> {
        let mut list = Self::default();
        items.into_iter().try_for_each(|item| list.put(item))?;
        Ok(list)
    }

    /// The item with this key.
    #[must_use]
    pub fn get(&self, key: &T::Key) -> Option<&T> {
        self.find(key).ok().and_then(|at| self.0.get(at))
    }

    /// The item with this key, to be changed in what it is not ordered by.
    pub(super) fn get_mut(&mut self, key: &T::Key) -> Option<&mut T> {
        self.find(key).ok().and_then(|at| self.0.get_mut(at))
    }

    /// Takes an item in, in the place of the one that has its key.
    pub(super) fn put(&mut self, item: T) -> Result<(), Full> {
        match self.find(item.key()) {
            Ok(at) => drop(self.0.splice(at..=at, [item])),
            Err(_) if self.0.len() >= MAX => return Err(Full),
            Err(at) => self.0.insert(at, item),
        }
        Ok(())
    }

    /// Takes out the item with this key.
    pub(super) fn remove(&mut self, key: &T::Key) -> Option<T> {
        self.find(key).ok().map(|at| self.0.remove(at))
    }

    /// Takes out what does not pass.
    pub(super) fn retain(&mut self, pass: impl FnMut(&T) -> bool) {
        self.0.retain(pass);
    }

    /// The items, in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, key: &T::Key) -> Result<usize, usize> {
        self.0.binary_search_by(|item| item.key().cmp(key))
    }
}

impl<T, const MAX: usize> Default for Ascending<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T: Keyed, const MAX: usize> IntoIterator for &'a Ascending<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'b, C, T: Keyed + Decode<'b, C>, const MAX: usize> Decode<'b, C> for Ascending<T, MAX> {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        let items: Vec<T> = Decode::decode(d, ctx)?;
        let ascending = items.is_sorted_by(|one, next| one.key() < next.key());
        if ascending && items.len() <= MAX {
            Ok(Self(items))
        } else {
            Err(minicbor::decode::Error::message("not in ascending order, or too many"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;

    impl Keyed for u64 {
        type Key = Self;

        fn key(&self) -> &Self {
            self
        }
    }

    #[test]
    fn items_are_found_replaced_and_taken_out_in_their_order() {
        let mut list = Ascending::<u64, 3>::new([5, 1, 5]).unwrap();
        assert_eq!((list.put(3), list.put(4), list.put(3)), (Ok(()), Err(Full), Ok(())));
        assert_eq!(list.iter().copied().collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!((list.remove(&3), list.remove(&3), list.get(&5), list.len()), (Some(3), None, Some(&5), 2));
    }

    #[test]
    fn only_ascending_lists_of_their_length_are_read() {
        let read = |items: Vec<u64>| cbor::decode::<Ascending<u64, 3>>(&cbor::encode(&items)).is_ok();
        assert!(read(vec![]) && read(vec![1, 2, 9]));
        assert!(!read(vec![2, 1]) && !read(vec![1, 1]) && !read(vec![1, 2, 3, 4]));
    }
}
