-- Why: everything the daemon keeps is one kind of row, so that one place seals it and no column ever
-- holds text. Scope and key are truncated HMACs, the value is sealed with all other columns bound to it
-- but the id; `ord` and the table's number are the only plain facts. The id keeps the order of first puts.
CREATE TABLE rows (
    id INTEGER PRIMARY KEY,
    tbl INTEGER NOT NULL,
    scope BLOB NOT NULL CHECK (length(scope) = 16),
    key BLOB NOT NULL CHECK (length(key) = 16),
    ord INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX rows_place ON rows (tbl, scope, key);
CREATE INDEX rows_order ON rows (tbl, scope, ord);
