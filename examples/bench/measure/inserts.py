"""What a plain client reaches: the rows of a submit, in groups of a hundred, with the sync that the server does.

A message is two rows, one of `mail` and one of `submitted`, in tables that chat-server made. No counters, no quotas, no
check whether a message came before: it is what the disk and the database allow.
"""

import os
import sqlite3
import time

from .processes import output, pinned

GROUP = 100
ENVELOPE = 619  # bytes, of a text of 200
SENDER = bytes([1]) * 16
AT = 1_700_000_000_000


def devices():
    return [bytes([2, number]) + bytes(14) for number in range(10)]


def rows(first, count):
    """Rows of `mail` and of `submitted` for the messages from `first` on, to ten devices in turn."""
    to, numbers = devices(), range(first, first + count)
    mail = [(to[number % 10], number // 10 + 1, SENDER, 1, AT, bytes(ENVELOPE)) for number in numbers]
    return mail, [(SENDER, number.to_bytes(8, "big") + bytes(8), AT, b"", 0) for number in numbers]


INSERTS = (
    "INSERT INTO mail (device, seq, sender, sender_account, at_ms, envelope) VALUES ",
    "INSERT INTO submitted (sender, submit_id, at_ms, full_devices, room_seq) VALUES ",
)


def sqlite(database, messages):
    """Inserts into a copy of a server's database that nobody else has open; messages a second."""
    db = sqlite3.connect(database, isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY")
    db.executescript("DELETE FROM mail; DELETE FROM submitted")
    mail, submitted = INSERTS[0] + "(?, ?, ?, ?, ?, ?)", INSERTS[1] + "(?, ?, ?, ?, ?)"
    groups = [rows(first, GROUP) for first in range(0, messages, GROUP)]
    began = time.perf_counter()
    for group in groups:
        db.execute("BEGIN IMMEDIATE")
        db.executemany(mail, group[0])
        db.executemany(submitted, group[1])
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.close()
    return messages / took


def literal(value):
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)


def statements(messages):
    """The same for a database's own command line: a transaction for each group, a statement for each table."""
    for first in range(0, messages, GROUP):
        yield "BEGIN;"
        for insert, found in zip(INSERTS, rows(first, GROUP)):
            yield insert + ",".join("(" + ",".join(map(literal, row)) + ")" for row in found) + ";"
        yield "COMMIT;"


def mariadb(database, state, cpu, messages):
    """Inserts by MariaDB's command line into the tables there; messages a second, without the start of the client."""
    script, empty = os.path.join(state, "inserts.sql"), os.path.join(state, "nothing.sql")
    with open(script, "w") as file:
        file.write("\n".join(["DELETE FROM mail;", "DELETE FROM submitted;", *statements(messages)]))
    open(empty, "w").close()

    def takes(path):
        with open(path) as file:
            began = time.perf_counter()
            output(database.client("chat"), stdin=file, preexec_fn=pinned(cpu))
            return time.perf_counter() - began

    nothing = takes(empty)
    return messages / max(takes(script) - nothing, 1e-6)
