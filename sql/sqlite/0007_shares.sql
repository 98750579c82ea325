-- Why: messages of the largest size filled a mailbox long before their number did, and everybody else was refused. How many
-- bytes of each sender a mailbox holds changes with mailbox_sender; apart from it, since rows of this file can be made again.
CREATE TABLE mailbox_share (
    device BLOB NOT NULL,
    account INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (device, account)
) STRICT, WITHOUT ROWID;

INSERT INTO mailbox_share (device, account, bytes)
    SELECT device, sender_account, SUM(LENGTH(envelope)) FROM mail GROUP BY device, sender_account;
