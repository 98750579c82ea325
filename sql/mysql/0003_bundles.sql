-- Why: a message to somebody offline starts from prekeys left here. A one-time key is a row until
-- it is handed out; the row goes in the same transaction.
CREATE TABLE IF NOT EXISTS bundle (
    device BINARY(16) NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL,
    bundle MEDIUMBLOB NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS one_time_key (
    device BINARY(16) NOT NULL,
    hash BINARY(32) NOT NULL,
    public_key BINARY(32) NOT NULL,
    PRIMARY KEY (device, hash)
) ENGINE = InnoDB;
