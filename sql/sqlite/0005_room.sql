-- Why: who was away reads what was said in public. The counter is apart from the posts because
-- those are swept and a sequence is never used twice.
CREATE TABLE room_state (
    room INTEGER NOT NULL PRIMARY KEY,
    last_seq INTEGER NOT NULL
) STRICT;

INSERT INTO room_state (room, last_seq) VALUES (1, 0);

CREATE TABLE room_post (
    seq INTEGER NOT NULL PRIMARY KEY,
    author TEXT NOT NULL,
    device BLOB NOT NULL,
    submit_id BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX room_post_by_age ON room_post (at_ms);
