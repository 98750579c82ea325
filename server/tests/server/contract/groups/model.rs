//! What a store answers of groups, from nothing but lists of ops.

use std::collections::BTreeMap;

use chat_protocol::ids::{GroupAt, GroupHead, GroupId, OpHash, TokenHash};
use chat_protocol::message::server::OpThere;
use chat_server::rules::notary::Appending;

use super::{MOST, token};

/// What a group is, told as shortly as can be.
#[derive(Default)]
pub(super) struct Model {
    pub(super) groups: BTreeMap<GroupId, (Vec<OpHash>, Option<u64>)>,
    made: BTreeMap<usize, u64>,
}

impl Model {
    pub(super) fn append(&mut self, by: usize, at: GroupAt, with: Option<u64>, next: u64) -> Appending {
        let GroupHead { seq, hash } = at.head;
        if seq == 0 && hash.as_bytes() != at.group.as_bytes() {
            return Appending::Malformed;
        }
        let known = self.groups.contains_key(&at.group);
        let (ops, wanted) = self.groups.entry(at.group).or_default();
        let made = self.made.entry(by).or_default();
        let judged = match ops.get(usize::try_from(seq).unwrap()) {
            Some(there) if *there == hash => Appending::Stands,
            Some(_) => Appending::Stale,
            None if seq > 0 && !known => Appending::NotFound,
            None if seq > ops.len() as u64 => Appending::Stale,
            None if with != *wanted => Appending::Denied,
            None if seq == 0 && *made == MOST => Appending::TooMany,
            None => Appending::Takes,
        };
        if judged == Appending::Takes {
            *made += u64::from(seq == 0);
            ops.push(hash);
            *wanted = Some(next);
        } else if !known {
            self.groups.remove(&at.group);
        }
        judged
    }

    pub(super) fn stands(&self, at: GroupAt) -> Option<(u64, OpThere, TokenHash)> {
        let (ops, wanted) = self.groups.get(&at.group)?;
        let there = match ops.get(usize::try_from(at.head.seq).unwrap()) {
            Some(there) if *there == at.head.hash => OpThere::Same,
            Some(_) => OpThere::Other,
            None => OpThere::NotYet,
        };
        Some((ops.len() as u64 - 1, there, token((*wanted)?).hash()))
    }

    pub(super) fn last(&self, group: GroupId) -> u64 {
        self.groups.get(&group).map_or(0, |(ops, _)| ops.len() as u64)
    }
}
