-- Why: people need accounts. chat_app is the table of the first Python application, column for
-- column, so that its users stay; it may be there already. Its names were compared byte for byte,
-- ours without regard to case, hence the index.
CREATE TABLE IF NOT EXISTS chat_app (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS chat_app_any_case ON chat_app (username COLLATE NOCASE);

-- Personal invites nobody used yet, by the SHA-256 of their token.
CREATE TABLE invite (
    hash BLOB NOT NULL PRIMARY KEY,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
