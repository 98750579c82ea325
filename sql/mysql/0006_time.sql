-- Why: what is kept for weeks is kept for weeks of the time that was seen to pass, whatever becomes of the clock
-- meanwhile. Since this file mail.at_ms, submitted.at_ms, device.since_ms and pending_reset.at_ms are of that time,
-- which begins as the clock's; room_post.at_ms is the clock's, for readers, and beside it stands when it was kept.
CREATE TABLE IF NOT EXISTS seen_time (
    one TINYINT NOT NULL PRIMARY KEY,
    time_ms BIGINT NOT NULL,
    wall_ms BIGINT NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS room_post_age (
    seq BIGINT NOT NULL PRIMARY KEY,
    kept_ms BIGINT NOT NULL,
    KEY room_post_age_by_age (kept_ms)
) ENGINE = InnoDB;

INSERT IGNORE INTO room_post_age (seq, kept_ms) SELECT seq, at_ms FROM room_post;
