//! What the server was asked on a connection and has not answered, and the fetches that stand in line to be asked.
//!
//! A fetch is a look-up, a log or a bundle: what is asked for each user something waits for, of whom there may be
//! thousands. Everything else is bounded where it is asked.

use std::collections::{BTreeMap, BTreeSet};

use chat_protocol::ids::Username;

use crate::txn::action::Action;
use crate::txn::live::Asked;

/// Most fetches that wait for an answer at once; the next is sent when one comes. They keep a connection busy, and leave
/// room in the link, which holds 256 requests and is given up when it is full, for a window of 64 submits, 64 questions of
/// callers and one of each other kind.
const MOST_FETCHES: usize = 112;

/// What has no answer yet, what stands in line included.
#[derive(Debug, Default)]
pub(crate) struct OpenRequests {
    /// What each request is for.
    asked: BTreeMap<u64, Asked>,
    /// How many of them are fetches.
    fetches: usize,
    /// The same, so that nothing is asked twice.
    known: BTreeSet<Asked>,
    /// Users whose name or log is asked for.
    users: BTreeSet<Username>,
    /// Fetches that were not sent yet, in the order they were asked for.
    line: BTreeMap<u64, Action>,
}

impl OpenRequests {
    pub(crate) fn is_asked(&self, asked: &Asked) -> bool {
        self.known.contains(asked)
    }

    /// Whether the name or the log of `user` is asked for.
    pub(crate) fn is_fetching(&self, user: &Username) -> bool {
        self.users.contains(user)
    }

    /// Notes a request; gives it back to be sent now, unless it has to stand in line.
    pub(crate) fn add(&mut self, id: u64, asked: Asked, request: Action) -> Option<Action> {
        let stands_in_line = asked.is_fetch() && !(self.line.is_empty() && self.has_room());
        self.fetches += usize::from(asked.is_fetch());
        self.users.extend(asked.users().cloned());
        self.known.insert(asked.clone());
        self.asked.insert(id, asked);
        if !stands_in_line {
            return Some(request);
        }
        self.line.insert(id, request);
        None
    }

    /// The next fetch in line, if there is room for one more.
    pub(crate) fn next_fetch(&mut self) -> Option<Action> {
        if self.has_room() { self.line.pop_first().map(|(_, request)| request) } else { None }
    }

    fn has_room(&self) -> bool {
        self.fetches - self.line.len() < MOST_FETCHES
    }

    /// What a request was for that is answered. Nobody has heard of one that stands in line.
    pub(crate) fn answered(&mut self, id: u64) -> Option<Asked> {
        if self.line.contains_key(&id) {
            return None;
        }
        let asked = self.asked.remove(&id)?;
        self.forget(&asked);
        Some(asked)
    }

    /// Takes back what was asked after `last_id`.
    pub(crate) fn take_back(&mut self, last_id: u64) {
        self.line.split_off(&(last_id + 1));
        self.asked.split_off(&(last_id + 1)).values().for_each(|asked| self.forget(asked));
    }

    fn forget(&mut self, asked: &Asked) {
        for user in asked.users() {
            self.users.remove(user);
        }
        self.known.remove(asked);
        self.fetches -= usize::from(asked.is_fetch());
    }
}

impl Asked {
    const fn is_fetch(&self) -> bool {
        matches!(self, Self::Lookup(_) | Self::Log(..) | Self::Bundle(..))
    }

    /// Whose name or log it asks for; none of them is asked for otherwise meanwhile.
    fn users(&self) -> impl Iterator<Item = &Username> {
        let (many, one) = match self {
            Self::Lookup(users) => (Some(users), None),
            Self::Log(user, _) => (None, Some(user)),
            _ => (None, None),
        };
        many.into_iter().flatten().chain(one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = MOST_FETCHES as u64;

    fn user(n: u64) -> Username {
        format!("user{n}").parse().unwrap()
    }

    fn log_of(n: u64) -> Asked {
        Asked::Log(user(n), 0)
    }

    /// Asks under an id; the ids of what is sent now.
    fn add(open: &mut OpenRequests, id: u64, asked: Asked) -> Vec<u64> {
        let request = Action::Request { id, number: 1, payload: Vec::new() };
        open.add(id, asked, request).iter().map(id_of).collect()
    }

    fn id_of(action: &Action) -> u64 {
        match action {
            Action::Request { id, .. } => *id,
            other => panic!("{other:?}"),
        }
    }

    /// As many fetches as may be open, and three that stand in line.
    fn full() -> OpenRequests {
        let mut open = OpenRequests::default();
        (1..=MOST).for_each(|id| assert_eq!(add(&mut open, id, log_of(id)), [id]));
        (MOST + 1..=MOST + 3).for_each(|id| assert_eq!(add(&mut open, id, log_of(id)), [0; 0]));
        assert!(open.next_fetch().is_none());
        open
    }

    #[test]
    fn what_stands_in_line_is_sent_in_order_as_answers_come_and_overtaken_by_no_fetch() {
        let mut open = full();
        assert!(open.is_asked(&log_of(MOST + 1)), "what stands in line is not asked again");
        assert_eq!(add(&mut open, 500, Asked::Ack), [500], "nothing else stands in line");
        assert_eq!(open.answered(500), Some(Asked::Ack));
        assert!(open.next_fetch().is_none(), "nor does it make room");
        assert_eq!(open.answered(7), Some(log_of(7)));
        assert_eq!(add(&mut open, 501, log_of(501)), [0; 0]);
        assert_eq!((open.next_fetch().as_ref().map(id_of), open.next_fetch()), (Some(MOST + 1), None));
    }

    #[test]
    fn an_answer_to_what_was_not_sent_yet_is_nobodys() {
        let mut open = full();
        assert_eq!(open.answered(MOST + 1), None);
        assert!(open.is_asked(&log_of(MOST + 1)) && open.next_fetch().is_none());
    }

    #[test]
    fn what_is_taken_back_leaves_its_room() {
        let mut open = full();
        open.take_back(MOST - 1);
        assert!((MOST..=MOST + 3).all(|n| !open.is_asked(&log_of(n)) && !open.is_fetching(&user(n))));
        assert!(open.is_fetching(&user(MOST - 1)) && open.next_fetch().is_none());
        assert_eq!(add(&mut open, MOST + 4, log_of(MOST)), [MOST + 4]);
        assert_eq!(add(&mut open, MOST + 5, log_of(MOST + 1)), [0; 0]);
    }
}
