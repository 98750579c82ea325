//! Accounts: the table of the first application, and invites.

use chat_protocol::ids::Username;
use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value};

use super::super::types::{Account, AccountSummary, Creation, Invite, NewAccount, PasswordHash, Renaming};
use super::row::{Sql, int, many, millis, one, run, signed, some_time, text, uint};

/// How to find a name, which depends on how the adopted column compares text.
#[derive(Clone, Copy)]
pub(super) struct Names {
    same: &'static str,
}

/// For a column that takes letters of either case for equal: its index is of use.
const AS_COLUMN: &str = "SELECT id, username, password FROM chat_app WHERE username = ?";
/// For every other, whatever it takes for equal: all names are looked at.
const AS_ASCII: &str = "SELECT id, username, password FROM chat_app \
                        WHERE LOWER(CONVERT(username USING utf8mb4) COLLATE utf8mb4_bin) = ?";

struct Found {
    id: i64,
    hash: PasswordHash,
}

impl Names {
    /// Asks the database what the column takes for equal. Its collation's name does not tell: to Turkish `I` is not `i`,
    /// and to Czech `cH` is not `ch`.
    pub(super) async fn learn<C: Queryable>(db: &mut C) -> Sql<Self> {
        let sql = "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'chat_app' AND COLUMN_NAME = 'username'";
        let found = one(db, sql, (), |row| Ok((text(row, 0)?, text(row, 1)?))).await?.unwrap_or_default();
        let blind = is_word(&found.0) && is_word(&found.1) && is_blind_to_case(db, &found).await?;
        Ok(Self { same: if blind { AS_COLUMN } else { AS_ASCII } })
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

/// A name of the database's own that may stand in a statement; a column of bytes has none.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a collation takes every two letters for equal to the same ones in any case. Longer groups that some
/// languages sort as one letter begin with such a pair.
async fn is_blind_to_case<C: Queryable>(db: &mut C, (charset, collation): &(String, String)) -> Sql<bool> {
    let text = |spell: fn(char, char) -> [char; 2]| {
        // digits keep one pair apart from the next
        let pairs = ('a'..='z').flat_map(|one| ('a'..='z').map(move |other| spell(one, other)));
        pairs.flat_map(|[one, other]| [one, other, '0']).collect::<String>()
    };
    let spellings = [
        text(|one, other| [one, other]),
        text(|one, other| [one.to_ascii_uppercase(), other]),
        text(|one, other| [one, other.to_ascii_uppercase()]),
        text(|one, other| [one.to_ascii_uppercase(), other.to_ascii_uppercase()]),
    ];
    let value = format!("CONVERT(? USING {charset}) COLLATE {collation}");
    let sql = format!("SELECT {value} = {value} AND {value} = {value} AND {value} = {value}");
    let [plain, others @ ..] = &spellings;
    let values: Vec<_> = others.iter().flat_map(|other| [plain.as_str(), other.as_str()]).map(Value::from).collect();
    Ok(one(db, &sql, values, |row| signed(row, 0)).await? == Some(1))
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
    // all names are looked at: the column may not be able to hold, or to compare, what was asked for
    let same = "SELECT id, username FROM chat_app WHERE CONVERT(username USING utf8mb4) COLLATE utf8mb4_bin = ?";
    let same = many(db, same, (from,), |row| Ok((signed(row, 0)?, text(row, 1)?))).await?;
    let Some((id, _)) = same.into_iter().find(|(_, name)| name == from) else { return Ok(Renaming::NotFound) };
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
