-- Why: how many messages and how many bytes of each sender a mailbox holds stood in two tables that always changed together.
-- Its rows can be made again. device.submit_counter says since this file how far the submits had come that are no longer
-- remembered in submitted.
CREATE TABLE IF NOT EXISTS mailbox_by_sender (
    device BINARY(16) NOT NULL,
    account INT NOT NULL,
    messages BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (device, account)
) ENGINE = InnoDB;

DELETE FROM mailbox_by_sender;

INSERT INTO mailbox_by_sender (device, account, messages, bytes)
    SELECT device, sender_account, COUNT(*), SUM(LENGTH(envelope)) FROM mail GROUP BY device, sender_account;

DROP TABLE IF EXISTS mailbox_sender;
DROP TABLE IF EXISTS mailbox_share;
