-- Why: an account speaks through devices, and its signed log says which. A reset begins a new
-- generation of the log; entries of earlier ones stay as its archive.
CREATE TABLE IF NOT EXISTS account_log (
    account INT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL,
    fingerprint BINARY(32) NOT NULL,
    seq BIGINT NOT NULL,
    head BINARY(32) NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS log_entry (
    account INT NOT NULL,
    generation BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    entry MEDIUMBLOB NOT NULL,
    PRIMARY KEY (account, generation, seq)
) ENGINE = InnoDB;

-- state: 0 waiting, 1 active, 2 revoked, 3 replaced. A time of 0 is none. Whoever changes a
-- mailbox or a bundle locks its device's row first, several in ascending order.
CREATE TABLE IF NOT EXISTS device (
    device BINARY(16) NOT NULL PRIMARY KEY,
    account INT NOT NULL,
    cert MEDIUMBLOB NOT NULL,
    state TINYINT NOT NULL,
    since_ms BIGINT NOT NULL,
    last_login_ms BIGINT NOT NULL,
    submit_counter BIGINT NOT NULL,
    KEY device_of_account (account, state)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS pending_reset (
    account INT NOT NULL PRIMARY KEY,
    genesis BINARY(32) NOT NULL,
    at_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL
) ENGINE = InnoDB;
