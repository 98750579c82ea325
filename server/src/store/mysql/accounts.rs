//! Accounts: the table of the first application, and invites.

use chat_protocol::ids::Username;
use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::super::{Account, AccountSummary, Creation, Invite, NewAccount, PasswordHash, Renaming};
use super::row::{Sql, int, many, millis, one, run, signed, some_time, text, uint};

/// How to find a name, which depends on how the adopted column compares text.
#[derive(Clone, Copy)]
pub(super) struct Names {
    same: &'static str,
}

struct Found {
    id: i64,
    hash: PasswordHash,
}

impl Names {
    /// Looks how the column compares: without regard to case it can use its index as it is.
    pub(super) async fn learn<C: Queryable>(db: &mut C) -> Sql<Self> {
        let sql = "SELECT COLLATION_NAME FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'chat_app' AND COLUMN_NAME = 'username'";
        let collation = one(db, sql, (), |row| text(row, 0)).await?.unwrap_or_default();
        let any_case = "SELECT id, username, password FROM chat_app WHERE username = ?";
        let by_case = "SELECT id, username, password FROM chat_app WHERE LOWER(username) = ?";
        Ok(Self { same: if collation.contains("_ci") { any_case } else { by_case } })
    }

    /// Rows of that name. The collation may take more for equal (accents, trailing spaces) than we do.
    async fn find<C: Queryable>(self, db: &mut C, user: &Username) -> Sql<Vec<Found>> {
        let read =
            |row: &mut Row| Ok((text(row, 1)?, Found { id: signed(row, 0)?, hash: PasswordHash::new(text(row, 2)?) }));
        let rows = many(db, self.same, (user.as_str(),), read).await?;
        let same = |name: &String| name.eq_ignore_ascii_case(user.as_str());
        Ok(rows.into_iter().filter(|(name, _)| same(name)).map(|(_, found)| found).collect())
    }

    /// Row id of the account; none too when two rows collide.
    pub(super) async fn row_id<C: Queryable>(self, db: &mut C, user: &Username) -> Sql<Option<i64>> {
        let rows = self.find(db, user).await?;
        Ok(if let [only] = rows.as_slice() { Some(only.id) } else { None })
    }
}

pub(super) async fn account<C: Queryable>(db: &mut C, names: Names, user: &Username) -> Sql<Option<Account>> {
    let mut rows = names.find(db, user).await?;
    if rows.len() > 1 {
        tracing::warn!(%user, "two rows have this name: both are refused until `chat-server user rename`");
        return Ok(None);
    }
    Ok(rows.pop().map(|found| Account { user: user.clone(), hash: found.hash }))
}

pub(super) async fn create<C: Queryable>(db: &mut C, names: Names, new: &NewAccount) -> Sql<Creation> {
    if !names.find(db, &new.user).await?.is_empty() {
        return Ok(Creation::Exists);
    }
    if let Some(invite) = new.invite {
        let used = "DELETE FROM invite WHERE hash = ? AND expires_ms > ?";
        if run(db, used, (&invite[..], millis(new.at))).await? == 0 {
            return Ok(Creation::InviteRefused);
        }
    }
    let sql = "INSERT INTO chat_app (username, password) VALUES (?, ?)";
    run(db, sql, (new.user.as_str(), new.hash.expose())).await?;
    Ok(Creation::Created)
}

pub(super) async fn set_password<C: Queryable>(
    db: &mut C,
    names: Names,
    user: &Username,
    hash: &PasswordHash,
    expected: Option<&PasswordHash>,
) -> Sql<bool> {
    let rows = names.find(db, user).await?;
    let [found] = rows.as_slice() else { return Ok(false) };
    let stored =
        one(db, "SELECT password FROM chat_app WHERE id = ? FOR UPDATE", (found.id,), |row| text(row, 0)).await?;
    if stored.is_none() || expected.is_some_and(|old| stored.as_deref() != Some(old.expose())) {
        return Ok(false);
    }
    run(db, "UPDATE chat_app SET password = ? WHERE id = ?", (hash.expose(), found.id)).await?;
    Ok(true)
}

pub(super) async fn rename<C: Queryable>(db: &mut C, names: Names, from: &str, to: &Username) -> Sql<Renaming> {
    let similar = "SELECT id, username FROM chat_app WHERE username = ?";
    let similar = many(db, similar, (from,), |row| Ok((signed(row, 0)?, text(row, 1)?))).await?;
    let Some((id, _)) = similar.into_iter().find(|(_, name)| name == from) else { return Ok(Renaming::NotFound) };
    if one(db, "SELECT 1 FROM account_log WHERE account = ? FOR UPDATE", (id,), |_| Ok(())).await?.is_some() {
        return Ok(Renaming::Enrolled);
    }
    if names.find(db, to).await?.iter().any(|found| found.id != id) {
        return Ok(Renaming::Exists);
    }
    run(db, "UPDATE chat_app SET username = ? WHERE id = ?", (to.as_str(), id)).await?;
    // who waits for approval does so under a certificate with the old name
    run(db, "DELETE FROM device WHERE account = ?", (id,)).await?;
    Ok(Renaming::Renamed)
}

pub(super) async fn list<C: Queryable>(db: &mut C, after: u64, limit: u32) -> Sql<Vec<AccountSummary>> {
    let sql = "SELECT u.id, u.username, \
               (SELECT COUNT(*) FROM device d WHERE d.account = u.id AND d.state = 1), \
               (SELECT MAX(d.last_login_ms) FROM device d WHERE d.account = u.id) \
               FROM chat_app u WHERE u.id > ? ORDER BY u.id LIMIT ?";
    many(db, sql, (int(after), limit), |row| {
        let devices = u32::try_from(uint(row, 2)?).unwrap_or(u32::MAX);
        Ok(AccountSummary { id: uint(row, 0)?, name: text(row, 1)?, devices, last_login: some_time(row, 3)? })
    })
    .await
}

pub(super) async fn create_invite<C: Queryable>(db: &mut C, invite: &Invite) -> Sql<()> {
    let sql = "REPLACE INTO invite (hash, made_ms, expires_ms) VALUES (?, ?, ?)";
    run(db, sql, (&invite.hash[..], millis(invite.at), millis(invite.expires))).await.map(drop)
}
