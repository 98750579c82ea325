//! Whether the table of the first application is one that accounts can be kept in, asked before anything is made.
//!
//! What is in the way is named at the start with the statements that mend it, instead of failing the first registration.

use mysql_async::prelude::Queryable;

use super::row::{Fault, Sql, many, one, signed, text};

/// Characters of the longest name.
const NAME: i64 = 150;
/// Characters of a bcrypt hash.
const HASH: i64 = 60;

/// A column as the database describes it.
struct Column {
    name: String,
    kind: String,
    length: i64,
    /// An insertion that does not name it fails.
    needed: bool,
    extra: String,
}

/// Something in the way, and the statement that mends it.
type Obstacle = (String, String);

/// Fails with all that is in the way; a table that is not there yet has nothing.
pub(super) async fn look<C: Queryable>(db: &mut C) -> Sql<()> {
    let engine = "SELECT COALESCE(t.ENGINE, t.TABLE_TYPE), COALESCE(e.TRANSACTIONS, 'NO') = 'YES' \
                  FROM information_schema.TABLES t LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE \
                  WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = 'chat_app'";
    let found = one(db, engine, (), |row| Ok((text(row, 0)?, signed(row, 1)? == 1))).await?;
    let Some((engine, transactions)) = found else { return Ok(()) };
    let mut obstacles = Vec::new();
    if !transactions {
        obstacles.push((format!("its engine {engine} has no transactions"), "ENGINE = InnoDB".to_owned()));
    }
    let columns = columns(db).await?;
    obstacles.extend(needed(&columns));
    obstacles.extend(foreign(&columns));
    if !has_unique_names(db).await? {
        obstacles.push(("two rows can have one name".to_owned(), "ADD UNIQUE (username)".to_owned()));
    }
    if obstacles.is_empty() {
        return Ok(());
    }
    let (why, mend): (Vec<_>, Vec<_>) = obstacles.into_iter().unzip();
    Err(Fault::Unsuitable { why: why.join("; "), mend: format!("ALTER TABLE chat_app {};", mend.join(", ")) })
}

async fn columns<C: Queryable>(db: &mut C) -> Sql<Vec<Column>> {
    let sql = "SELECT COLUMN_NAME, COLUMN_TYPE, CAST(COALESCE(CHARACTER_MAXIMUM_LENGTH, 0) AS SIGNED), \
               IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL, EXTRA FROM information_schema.COLUMNS \
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'chat_app' ORDER BY ORDINAL_POSITION";
    many(db, sql, (), |row| {
        let (name, kind, extra) = (text(row, 0)?, text(row, 1)?, text(row, 4)?.to_ascii_lowercase());
        let filled = extra.contains("auto_increment") || extra.contains("generated");
        Ok(Column { name, kind, length: signed(row, 2)?, needed: signed(row, 3)? == 1 && !filled, extra })
    })
    .await
}

/// Columns of ours that are missing or too short.
fn needed(columns: &[Column]) -> Vec<Obstacle> {
    let find = |name: &str| columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    let mut obstacles = Vec::new();
    match find("id") {
        None => obstacles.push(("it has no column id".to_owned(), "ADD id INT AUTO_INCREMENT PRIMARY KEY".to_owned())),
        Some(id) if !id.extra.contains("auto_increment") => {
            obstacles.push((
                format!("id does not count by itself ({})", id.kind),
                "MODIFY id INT AUTO_INCREMENT".to_owned(),
            ));
        }
        Some(_) => {}
    }
    for (name, length, kind) in [("username", NAME, "VARCHAR(150)"), ("password", HASH, "VARCHAR(255)")] {
        match find(name) {
            None => obstacles.push((format!("it has no column {name}"), format!("ADD {name} {kind} NOT NULL"))),
            Some(column) if column.length < length => obstacles.push((
                format!("{name} is {}, too short for {length} characters", column.kind),
                format!("MODIFY {name} {kind} NOT NULL"),
            )),
            Some(_) => {}
        }
    }
    obstacles
}

/// Columns that a registration would have to fill and knows nothing of.
fn foreign(columns: &[Column]) -> impl Iterator<Item = Obstacle> {
    let ours =
        |column: &&Column| ["id", "username", "password"].iter().any(|name| column.name.eq_ignore_ascii_case(name));
    columns.iter().filter(move |column| column.needed && !ours(column)).map(|column| {
        let name = column.name.replace('`', "``");
        (format!("its column {} has no default", column.name), format!("MODIFY `{name}` {} NULL", column.kind))
    })
}

async fn has_unique_names<C: Queryable>(db: &mut C) -> Sql<bool> {
    let sql = "SELECT 1 FROM information_schema.STATISTICS \
               WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'chat_app' AND NON_UNIQUE = 0 GROUP BY INDEX_NAME \
               HAVING COUNT(*) = 1 AND MIN(LOWER(COLUMN_NAME) = 'username' AND SUB_PART IS NULL) = 1 LIMIT 1";
    Ok(one(db, sql, (), |_| Ok(())).await?.is_some())
}
