-- Why: of two ops for one place in a group one counts, and the server says which. It knows ops by their hashes, and of the
-- token that appends the next one the hash. Nothing here is ever deleted, whatever becomes of the account that made the
-- group: an id is never used again.
CREATE TABLE group_log (
    group_id BLOB NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    next_token BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX group_log_of_account ON group_log (account);

CREATE TABLE group_op (
    group_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (group_id, seq)
) STRICT, WITHOUT ROWID;
