-- Why: a message is kept until its device acknowledged it. mailbox and mailbox_sender count what
-- mail holds, so that no quota needs a scan; all three change together.
CREATE TABLE mailbox (
    device BLOB NOT NULL PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    acked_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE mailbox_sender (
    device BLOB NOT NULL,
    account INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    PRIMARY KEY (device, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE mail (
    device BLOB NOT NULL,
    seq INTEGER NOT NULL,
    sender BLOB NOT NULL,
    sender_account INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    PRIMARY KEY (device, seq)
) STRICT;

CREATE INDEX mail_by_age ON mail (at_ms);

-- Submits and posts already stored, with the answer they got: the mailboxes that were full (16
-- bytes each), or the sequence in the room (0: not a post).
CREATE TABLE submitted (
    sender BLOB NOT NULL,
    submit_id BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    full_devices BLOB NOT NULL,
    room_seq INTEGER NOT NULL,
    PRIMARY KEY (sender, submit_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX submitted_by_age ON submitted (at_ms);
