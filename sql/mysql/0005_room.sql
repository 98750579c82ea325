-- Why: who was away reads what was said in public. The counter is apart from the posts because
-- those are swept and a sequence is never used twice; its row is also the lock of who posts.
CREATE TABLE IF NOT EXISTS room_state (
    room TINYINT NOT NULL PRIMARY KEY,
    last_seq BIGINT NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO room_state (room, last_seq) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS room_post (
    seq BIGINT NOT NULL PRIMARY KEY,
    author VARCHAR(150) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    device BINARY(16) NOT NULL,
    submit_id BINARY(16) NOT NULL,
    at_ms BIGINT NOT NULL,
    said MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    KEY room_post_by_age (at_ms)
) ENGINE = InnoDB;
