//! The notary's decisions: which op a place in a group goes to. It knows ops by their hashes alone, and who may append the
//! next one by the hash of a token.
//!
//! What stands at a place stays there: an op that asks for it again hears so, with or without its token, however far the
//! group went since.

use chat_protocol::crypto::group::AppendToken;
use chat_protocol::ids::{GroupAt, GroupHead, GroupId, OpHash, TokenHash};
use chat_protocol::message::server::{GroupStands, OpThere};

use super::next_seq;

/// What is known of a group, and of the one place in it that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Sequence of the last op that was called.
    pub last: u64,
    /// Of the token that appends the next op.
    pub next_token: TokenHash,
    /// The op at the place asked for; absent while none was called there.
    pub there: Option<OpHash>,
}

impl Standing {
    /// What whoever has `head` at that place is told.
    #[must_use]
    pub fn told(&self, head: GroupHead) -> GroupStands {
        let there = match self.there {
            Some(hash) if hash == head.hash => OpThere::Same,
            Some(_) => OpThere::Other,
            None => OpThere::NotYet,
        };
        GroupStands { last: self.last, there, next_token: self.next_token }
    }
}

/// A group as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Its first op was never called; the account that asks made so many groups, and may make so many.
    Nothing {
        /// Groups it made.
        made: u64,
        /// Groups it may make.
        most: u64,
    },
    /// It stands there.
    Group(Standing),
}

/// What becomes of an op that asks for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appending {
    /// It takes the place: to be stored.
    Takes,
    /// It stands there already.
    Stands,
    /// Another one stands there, or none at the place before it.
    Stale,
    /// Its token is not the one that appends, or there is one where none belongs, or none.
    Denied,
    /// There is no such group, and it is not the first op of one.
    NotFound,
    /// The account made as many groups as it may.
    TooMany,
    /// A first op that is not the one the group is named after.
    Malformed,
}

/// Judges an op that asks for the place `at`.
#[must_use]
pub fn judge_append(at: GroupAt, token: Option<&AppendToken>, known: Known) -> Appending {
    if at.head.seq == 0 && at.group != GroupId::of(at.head.hash) {
        return Appending::Malformed;
    }
    match known {
        Known::Nothing { made, most } => judge_first(at.head.seq, token, made < most),
        Known::Group(standing) => judge_next(at.head, token, &standing),
    }
}

const fn judge_first(seq: u64, token: Option<&AppendToken>, may_make: bool) -> Appending {
    match (seq, token) {
        (1.., _) => Appending::NotFound,
        (0, Some(_)) => Appending::Denied,
        (0, None) if may_make => Appending::Takes,
        (0, None) => Appending::TooMany,
    }
}

fn judge_next(head: GroupHead, token: Option<&AppendToken>, standing: &Standing) -> Appending {
    match standing.there {
        Some(hash) if hash == head.hash => Appending::Stands,
        Some(_) => Appending::Stale,
        None if head.seq != next_seq(standing.last) => Appending::Stale,
        None if token.is_some_and(|token| token.is_of(&standing.next_token)) => Appending::Takes,
        None => Appending::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId::new([1; 32]);
    const NEW: Known = Known::Nothing { made: 2, most: 3 };

    fn at(seq: u64, hash: u8) -> GroupAt {
        GroupAt { group: GROUP, head: GroupHead { seq, hash: OpHash::new([hash; 32]) } }
    }

    fn token(number: u8) -> AppendToken {
        AppendToken::new([number; 32])
    }

    /// A group with ops up to 4, asked about a place where `there` stands.
    fn known(there: Option<u8>) -> Known {
        let there = there.map(|hash| OpHash::new([hash; 32]));
        Known::Group(Standing { last: 4, next_token: token(9).hash(), there })
    }

    #[test]
    fn first_op_makes_the_group_that_is_named_after_it() {
        assert_eq!(judge_append(at(0, 1), None, NEW), Appending::Takes);
        assert_eq!(judge_append(at(0, 2), None, NEW), Appending::Malformed);
        assert_eq!(judge_append(at(0, 1), Some(&token(9)), NEW), Appending::Denied);
        assert_eq!(judge_append(at(0, 1), None, Known::Nothing { made: 3, most: 3 }), Appending::TooMany);
        assert_eq!(judge_append(at(1, 1), Some(&token(9)), NEW), Appending::NotFound);
    }

    #[test]
    fn next_op_takes_its_place_by_the_token() {
        assert_eq!(judge_append(at(5, 5), Some(&token(9)), known(None)), Appending::Takes);
        assert_eq!(judge_append(at(5, 5), Some(&token(8)), known(None)), Appending::Denied);
        assert_eq!(judge_append(at(5, 5), None, known(None)), Appending::Denied);
        assert_eq!(judge_append(at(6, 6), Some(&token(9)), known(None)), Appending::Stale, "nothing before it");
    }

    #[test]
    fn what_stands_stays_and_may_ask_again_without_the_token() {
        for token in [None, Some(&token(8))] {
            assert_eq!(judge_append(at(3, 3), token, known(Some(3))), Appending::Stands);
            assert_eq!(judge_append(at(3, 7), token, known(Some(3))), Appending::Stale);
        }
        assert_eq!(
            judge_append(at(3, 7), Some(&token(9)), known(Some(3))),
            Appending::Stale,
            "the token gives no place"
        );
        assert_eq!(judge_append(at(0, 1), None, known(Some(1))), Appending::Stands);
    }

    #[test]
    fn who_asks_is_told_what_stands_at_his_place() {
        let Known::Group(standing) = known(Some(3)) else { unreachable!() };
        let there = |standing: Standing, hash| standing.told(at(3, hash).head).there;
        assert_eq!((there(standing, 3), there(standing, 4)), (OpThere::Same, OpThere::Other));
        assert_eq!(there(Standing { there: None, ..standing }, 3), OpThere::NotYet);
        let told = standing.told(at(3, 3).head);
        assert_eq!((told.last, told.next_token), (4, token(9).hash()));
    }
}
