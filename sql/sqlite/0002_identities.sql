-- Why: an account speaks through devices, and its signed log says which. A reset begins a new
-- generation of the log; entries of earlier ones stay as its archive.
CREATE TABLE account_log (
    account INTEGER NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    seq INTEGER NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE log_entry (
    account INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (account, generation, seq)
) STRICT;

-- state: 0 waiting, 1 active, 2 revoked, 3 replaced. A time of 0 is none.
CREATE TABLE device (
    device BLOB NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL,
    cert BLOB NOT NULL,
    state INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    last_login_ms INTEGER NOT NULL,
    submit_counter INTEGER NOT NULL
) STRICT;

CREATE INDEX device_of_account ON device (account, state);

CREATE TABLE pending_reset (
    account INTEGER NOT NULL PRIMARY KEY,
    genesis BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL
) STRICT;
