-- Why: a message is kept until its device acknowledged it. mailbox and mailbox_sender count what
-- mail holds, so that no quota needs a scan; all three change together.
CREATE TABLE IF NOT EXISTS mailbox (
    device BINARY(16) NOT NULL PRIMARY KEY,
    last_seq BIGINT NOT NULL,
    acked_seq BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    bytes BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS mailbox_sender (
    device BINARY(16) NOT NULL,
    account INT NOT NULL,
    messages BIGINT NOT NULL,
    PRIMARY KEY (device, account)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS mail (
    device BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    sender BINARY(16) NOT NULL,
    sender_account INT NOT NULL,
    at_ms BIGINT NOT NULL,
    envelope MEDIUMBLOB NOT NULL,
    PRIMARY KEY (device, seq),
    KEY mail_by_age (at_ms)
) ENGINE = InnoDB;

-- Submits and posts already stored, with the answer they got: the mailboxes that were full (16
-- bytes each), or the sequence in the room (0: not a post).
CREATE TABLE IF NOT EXISTS submitted (
    sender BINARY(16) NOT NULL,
    submit_id BINARY(16) NOT NULL,
    at_ms BIGINT NOT NULL,
    full_devices VARBINARY(2048) NOT NULL,
    room_seq BIGINT NOT NULL,
    PRIMARY KEY (sender, submit_id),
    KEY submitted_by_age (at_ms)
) ENGINE = InnoDB;
