//! What the notary keeps: the hashes of the ops that were called, and of the token that appends the next one.

use std::collections::BTreeSet;

use chat_protocol::ids::{DeviceId, GroupAt, GroupHead, GroupId};
use chat_protocol::message::server::GroupStands;
use mysql_async::prelude::Queryable;

use super::super::types::NewOp;
use super::devices;
use super::row::{Sql, id, int, many, marks, one, padded, run, signed, some_id, uint, value};
use crate::rules::notary::{Appending, Known, Standing, judge_append};

/// Where a group stands, and what does at one place; `lock` says whether its row is locked until the transaction ends.
async fn standing<C: Queryable>(db: &mut C, at: GroupAt, lock: &str) -> Sql<Option<Standing>> {
    let sql = format!(
        "SELECT l.seq, l.next_token, o.hash FROM group_log l \
         LEFT JOIN group_op o ON o.group_id = l.group_id AND o.seq = ? WHERE l.group_id = ?{lock}"
    );
    one(db, &sql, (int(at.head.seq), &at.group.as_bytes()[..]), |row| {
        Ok(Standing { last: uint(row, 0)?, next_token: id(row, 1)?, there: some_id(row, 2)? })
    })
    .await
}

pub(super) async fn stands<C: Queryable>(db: &mut C, at: GroupAt) -> Sql<Option<GroupStands>> {
    Ok(standing(db, at, "").await?.map(|standing| standing.told(at.head)))
}

/// The last ops that were called of these groups. Nothing is appended to them before the transaction ends: who was told
/// that an op stands knows that nothing follows which was said before it.
pub(super) async fn last<C: Queryable>(db: &mut C, groups: BTreeSet<GroupId>) -> Sql<Vec<(GroupId, GroupHead)>> {
    let groups: Vec<_> = padded(groups.into_iter().collect()).iter().map(|group| value(group.as_bytes())).collect();
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT l.group_id, l.seq, o.hash FROM group_log l \
         STRAIGHT_JOIN group_op o ON o.group_id = l.group_id AND o.seq = l.seq \
         WHERE l.group_id IN ({}) ORDER BY l.group_id LOCK IN SHARE MODE",
        marks("?", groups.len())
    );
    many(db, sql, groups, |row| Ok((id(row, 0)?, GroupHead { seq: uint(row, 1)?, hash: id(row, 2)? }))).await
}

pub(super) async fn append<C: Queryable>(db: &mut C, new: &NewOp, most: u64) -> Sql<Option<Appending>> {
    if new.at.head.seq == 0 {
        lock_account(db, new.by).await?;
    }
    let Some(account) = devices::lock_active(db, new.by).await? else { return Ok(None) };
    let known = match standing(db, new.at, " FOR UPDATE").await? {
        Some(standing) => Known::Group(standing),
        None => Known::Nothing { made: made(db, account).await?, most },
    };
    let judged = judge_append(new.at, new.token.as_ref(), known);
    if judged == Appending::Takes {
        take(db, account, new).await?;
    }
    Ok(Some(judged))
}

/// Locks the account of a device: without it two could count its groups before either makes one.
async fn lock_account<C: Queryable>(db: &mut C, device: DeviceId) -> Sql<()> {
    let account = "SELECT account FROM device WHERE device = ?";
    if let Some(account) = one(db, account, (&device.as_bytes()[..],), |row| signed(row, 0)).await? {
        one(db, "SELECT id FROM chat_app WHERE id = ? FOR UPDATE", (account,), |_| Ok(())).await?;
    }
    Ok(())
}

/// Groups that an account made.
async fn made<C: Queryable>(db: &mut C, account: i64) -> Sql<u64> {
    let sql = "SELECT COUNT(*) FROM group_log WHERE account = ?";
    Ok(one(db, sql, (account,), |row| uint(row, 0)).await?.unwrap_or(0))
}

async fn take<C: Queryable>(db: &mut C, account: i64, new: &NewOp) -> Sql<()> {
    let (group, head, next) = (&new.at.group.as_bytes()[..], new.at.head, &new.next_token.as_bytes()[..]);
    if head.seq == 0 {
        let sql = "INSERT INTO group_log (group_id, account, seq, next_token) VALUES (?, ?, 0, ?)";
        run(db, sql, (group, account, next)).await?;
    } else {
        run(db, "UPDATE group_log SET seq = ?, next_token = ? WHERE group_id = ?", (int(head.seq), next, group))
            .await?;
    }
    let sql = "INSERT INTO group_op (group_id, seq, hash) VALUES (?, ?, ?)";
    run(db, sql, (group, int(head.seq), &head.hash.as_bytes()[..])).await.map(drop)
}
