//! What the notary keeps: the hashes of the ops that were called, and of the token that appends the next one.

use chat_protocol::ids::{GroupAt, GroupHead, GroupId};
use chat_protocol::message::server::GroupStands;
use rusqlite::Connection;

use super::super::types::NewOp;
use super::devices;
use super::row::{Sql, id, int, one, run, some_id, uint};
use crate::rules::notary::{Appending, Known, Standing, judge_append};

/// Where a group stands, and what does at one place.
fn standing(db: &Connection, at: GroupAt) -> Sql<Option<Standing>> {
    let sql = "SELECT l.seq, l.next_token, o.hash FROM group_log l \
               LEFT JOIN group_op o ON o.group_id = l.group_id AND o.seq = ?2 WHERE l.group_id = ?1";
    one(db, sql, (at.group.as_bytes(), int(at.head.seq)), |row| {
        Ok(Standing { last: uint(row, 0)?, next_token: id(row, 1)?, there: some_id(row, 2)? })
    })
}

pub(super) fn stands(db: &Connection, at: GroupAt) -> Sql<Option<GroupStands>> {
    Ok(standing(db, at)?.map(|standing| standing.told(at.head)))
}

/// The last op that was called.
pub(super) fn last(db: &Connection, group: GroupId) -> Sql<Option<GroupHead>> {
    let sql = "SELECT l.seq, o.hash FROM group_log l \
               JOIN group_op o ON o.group_id = l.group_id AND o.seq = l.seq WHERE l.group_id = ?1";
    one(db, sql, [group.as_bytes()], |row| Ok(GroupHead { seq: uint(row, 0)?, hash: id(row, 1)? }))
}

pub(super) fn append(db: &Connection, new: &NewOp, most: u64) -> Sql<Option<Appending>> {
    let Some((account, _)) = devices::active(db, new.by)? else { return Ok(None) };
    let known = match standing(db, new.at)? {
        Some(standing) => Known::Group(standing),
        None => Known::Nothing { made: made(db, account)?, most },
    };
    let judged = judge_append(new.at, new.token.as_ref(), known);
    if judged == Appending::Takes {
        take(db, account, new)?;
    }
    Ok(Some(judged))
}

/// Groups that an account made.
fn made(db: &Connection, account: i64) -> Sql<u64> {
    let sql = "SELECT COUNT(*) FROM group_log WHERE account = ?1";
    Ok(one(db, sql, [account], |row| uint(row, 0))?.unwrap_or(0))
}

fn take(db: &Connection, account: i64, new: &NewOp) -> Sql<()> {
    let (group, head) = (new.at.group.as_bytes(), new.at.head);
    let sql = "INSERT INTO group_log (group_id, account, seq, next_token) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (group_id) DO UPDATE SET seq = ?3, next_token = ?4";
    run(db, sql, (group, account, int(head.seq), new.next_token.as_bytes()))?;
    let sql = "INSERT INTO group_op (group_id, seq, hash) VALUES (?1, ?2, ?3)";
    run(db, sql, (group, int(head.seq), head.hash.as_bytes())).map(drop)
}
