-- Why: how many messages and how many bytes of each sender a mailbox holds stood in two tables that always changed together.
-- No index by age is kept any longer, which every message and post had to change: a sequence, of a mailbox or the room, is the
-- order of age, and submitted is looked through. device.submit_counter says since this file how far the submits had come
-- that are no longer remembered there.
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
DROP INDEX submitted_by_age;
DROP INDEX room_post_by_age;
DROP INDEX room_post_age_by_age;
