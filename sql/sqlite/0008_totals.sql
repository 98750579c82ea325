-- Why: one account could fill the mailboxes of everybody, each within its share. How many bytes of each sender all mailboxes
-- hold together changes with mailbox_share; rows of this file can be made again.
CREATE TABLE mailbox_total (
    account INTEGER NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO mailbox_total (account, bytes) SELECT account, SUM(bytes) FROM mailbox_share GROUP BY account;
