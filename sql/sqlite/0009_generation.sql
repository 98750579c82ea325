-- Why: after a restore a mailbox gives numbers again that its device knows from before. They belong to another generation,
-- which is named at login: numbers compare within one. All mailboxes of a server are of the same.
CREATE TABLE mailbox_generation (
    one INTEGER NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO mailbox_generation (one, generation) VALUES (1, 1);
