-- Why: people need accounts. chat_app is the table of the first Python application, column for
-- column, so that its users stay; usually it is there already.
-- Every statement of these files can be repeated: MySQL commits each on its own.
CREATE TABLE IF NOT EXISTS chat_app (
    id INT AUTO_INCREMENT PRIMARY KEY,
    username VARCHAR(150) UNIQUE NOT NULL,
    password VARCHAR(255) NOT NULL
);

-- Personal invites nobody used yet, by the SHA-256 of their token.
CREATE TABLE IF NOT EXISTS invite (
    hash BINARY(32) NOT NULL PRIMARY KEY,
    made_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
) ENGINE = InnoDB;
