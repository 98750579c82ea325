-- Why: of two ops for one place in a group one counts, and the server says which. It knows ops by their hashes, and of the
-- token that appends the next one the hash. Nothing here is ever deleted, whatever becomes of the account that made the
-- group: an id is never used again. Whoever appends locks the group's row, after that of the device, and whoever says
-- something in the group shares it.
CREATE TABLE IF NOT EXISTS group_log (
    group_id BINARY(32) NOT NULL PRIMARY KEY,
    account INT NOT NULL,
    seq BIGINT NOT NULL,
    next_token BINARY(32) NOT NULL,
    KEY group_log_of_account (account)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS group_op (
    group_id BINARY(32) NOT NULL,
    seq BIGINT NOT NULL,
    hash BINARY(32) NOT NULL,
    PRIMARY KEY (group_id, seq)
) ENGINE = InnoDB;

-- A submit names up to 256 devices since this file, all but one of which may be full.
ALTER TABLE submitted MODIFY full_devices VARBINARY(4096) NOT NULL;
