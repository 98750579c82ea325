//! The public room.

use chat_protocol::ids::{DeviceId, SubmitId};
use chat_protocol::message::server::{Post, RoomPage};
use chat_protocol::time::Timestamp;
use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::super::types::{NewPost, Posted};
use super::devices;
use super::row::{Sql, id, int, many, millis, one, run, text, time, uint, uint_or_zero, user};
use crate::rules::next_seq;

pub(super) async fn post<C: Queryable>(db: &mut C, new: &NewPost) -> Sql<Posted> {
    let active = devices::lock_active(db, new.device).await?;
    if let Some(room_seq) = recall(db, new.device, new.submit_id).await? {
        let at = said_at(db, room_seq).await?.unwrap_or(new.at);
        return Ok(Posted::Repeated { room_seq, at });
    }
    let Some(account) = active else { return Ok(Posted::Missing) };
    let author = one(db, "SELECT username FROM chat_app WHERE id = ?", (account,), |row| user(row, 0)).await?;
    let Some(user) = author else { return Ok(Posted::Missing) };
    let last = "SELECT last_seq FROM room_state WHERE room = 1 FOR UPDATE";
    let room_seq = next_seq(one(db, last, (), |row| uint(row, 0)).await?.unwrap_or(0));
    run(db, "UPDATE room_state SET last_seq = ? WHERE room = 1", (int(room_seq),)).await?;
    let sql = "INSERT INTO room_post (seq, author, device, submit_id, at_ms, said) VALUES (?, ?, ?, ?, ?, ?)";
    let (device, submit_id) = (&new.device.as_bytes()[..], &new.submit_id.as_bytes()[..]);
    run(db, sql, (int(room_seq), user.as_str(), device, submit_id, millis(new.at), &new.text)).await?;
    let age = "INSERT INTO room_post_age (seq, kept_ms) VALUES (?, ?)";
    run(db, age, (int(room_seq), millis(new.kept))).await?;
    remember(db, new, room_seq).await?;
    let (text, at) = (new.text.clone(), new.at);
    Ok(Posted::New(Post { room_seq, user, at, text, submit_id: new.submit_id, device: new.device }))
}

async fn recall<C: Queryable>(db: &mut C, device: DeviceId, submit: SubmitId) -> Sql<Option<u64>> {
    let sql = "SELECT room_seq FROM submitted WHERE sender = ? AND submit_id = ?";
    one(db, sql, (&device.as_bytes()[..], &submit.as_bytes()[..]), |row| uint(row, 0)).await
}

/// What the clock showed when a post was said, as long as it is kept.
async fn said_at<C: Queryable>(db: &mut C, seq: u64) -> Sql<Option<Timestamp>> {
    one(db, "SELECT at_ms FROM room_post WHERE seq = ?", (int(seq),), |row| time(row, 0)).await
}

async fn remember<C: Queryable>(db: &mut C, new: &NewPost, room_seq: u64) -> Sql<()> {
    let sql = "INSERT INTO submitted (sender, submit_id, at_ms, full_devices, room_seq) VALUES (?, ?, ?, '', ?)";
    let (device, submit_id) = (&new.device.as_bytes()[..], &new.submit_id.as_bytes()[..]);
    run(db, sql, (device, submit_id, millis(new.kept), int(room_seq))).await.map(drop)
}

pub(super) async fn since<C: Queryable>(db: &mut C, seq: Option<u64>, limit: u32) -> Sql<RoomPage> {
    let after = "SELECT seq, author, at_ms, said, submit_id, device FROM room_post WHERE seq > ? ORDER BY seq LIMIT ?";
    let newest = "SELECT seq, author, at_ms, said, submit_id, device FROM room_post ORDER BY seq DESC LIMIT ?";
    let posts = match seq {
        Some(seq) => many(db, after, (int(seq), limit), read).await?,
        None => many(db, newest, (limit,), read).await?.into_iter().rev().collect(),
    };
    let ends = "SELECT r.last_seq, (SELECT MIN(p.seq) FROM room_post p) FROM room_state r WHERE r.room = 1";
    let (last, oldest) = one(db, ends, (), |row| Ok((uint(row, 0)?, uint_or_zero(row, 1)?))).await?.unwrap_or_default();
    Ok(RoomPage { posts, last, oldest })
}

fn read(row: &mut Row) -> Sql<Post> {
    Ok(Post {
        room_seq: uint(row, 0)?,
        user: user(row, 1)?,
        at: time(row, 2)?,
        text: text(row, 3)?,
        submit_id: SubmitId::from_bytes(id(row, 4)?),
        device: id(row, 5)?,
    })
}
