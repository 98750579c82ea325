-- Why: one account could fill the mailboxes of everybody, each within its share. How many bytes of each sender all mailboxes
-- hold together changes with mailbox_share; rows of this file can be made again.
CREATE TABLE IF NOT EXISTS mailbox_total (
    account INT NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO mailbox_total (account, bytes) SELECT account, SUM(bytes) FROM mailbox_share GROUP BY account;
