-- Why: messages of the largest size filled a mailbox long before their number did, and everybody else was refused. How many
-- bytes of each sender a mailbox holds changes with mailbox_sender; apart from it, since rows of this file can be made again.
CREATE TABLE IF NOT EXISTS mailbox_share (
    device BINARY(16) NOT NULL,
    account INT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (device, account)
) ENGINE = InnoDB;

INSERT IGNORE INTO mailbox_share (device, account, bytes)
    SELECT device, sender_account, SUM(LENGTH(envelope)) FROM mail GROUP BY device, sender_account;
