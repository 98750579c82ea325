-- Why: how many messages and how many bytes of each sender a mailbox holds stood in two tables that always changed together.
-- Mail is swept mailbox by mailbox, whose sequence is the order of age: no index by age is kept for it. device.submit_counter
-- says since this file how far the submits had come that are no longer remembered in submitted.
CREATE TABLE mailbox_by_sender (
    device BLOB NOT NULL,
    account INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (device, account)
) STRICT, WITHOUT ROWID;

INSERT INTO mailbox_by_sender (device, account, messages, bytes)
    SELECT device, sender_account, COUNT(*), SUM(LENGTH(envelope)) FROM mail GROUP BY device, sender_account;

DROP TABLE mailbox_sender;
DROP TABLE mailbox_share;
DROP INDEX mail_by_age;
