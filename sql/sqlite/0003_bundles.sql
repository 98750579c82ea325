-- Why: a message to somebody offline starts from prekeys left here. A one-time key is a row until
-- it is handed out; the row goes in the same transaction.
CREATE TABLE bundle (
    device BLOB NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL,
    bundle BLOB NOT NULL
) STRICT;

CREATE TABLE one_time_key (
    device BLOB NOT NULL,
    hash BLOB NOT NULL,
    key BLOB NOT NULL,
    PRIMARY KEY (device, hash)
) STRICT, WITHOUT ROWID;
