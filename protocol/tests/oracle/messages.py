"""One example of every message, with field numbers written out by hand: the table of PROTOCOL.md as data."""

import cbor2

HASH, DEVICE, SUBMIT = bytes([0xAA]) * 32, bytes([0xDD]) * 16, (7).to_bytes(8, "big") + bytes([9]) * 8
HEAD = {0: 3, 1: HASH}
ENVELOPE = {0: bytes([0x51]) * 16, 1: bytes(40), 2: b"token", 3: b"init"}
LOGGED_IN = {0: HEAD, 1: 10, 2: 12, 3: 2, 4: 7, 5: 99, 6: 1_800_000_000_000, 7: 1}
POST = {0: 99, 1: "bob", 2: 1_800_000_000_000, 3: "hi all", 4: SUBMIT, 5: DEVICE}

REQUESTS = {
    "register": (1, {0: "alice", 1: "correct horse", 2: bytes(16)}),
    "enrol": (2, {0: "alice", 1: "correct horse", 2: b"cert", 3: b"signature", 4: b"genesis"}),
    "login": (3, {0: "alice", 1: DEVICE, 2: b"signature", 3: b"acceptance"}),
    "reset": (4, {0: "alice", 1: "correct horse", 2: b"cert", 3: b"signature", 4: b"genesis"}),
    "lookup": (16, {0: ["alice", "bob"]}),
    "log_fetch": (17, {0: "alice", 1: 2}),
    "log_append": (18, {0: HEAD, 1: b"entry"}),
    "change_password": (19, {0: "old one", 1: "new one"}),
    "reset_cancel": (20, {}),
    "devices_waiting": (22, {}),
    "presence_watch": (21, {0: True}),
    "bundle_publish": (32, {0: b"bundle", 1: [bytes(32)]}),
    "bundle_fetch": (33, {0: "bob", 1: DEVICE}),
    "one_time_status": (34, {}),
    "submit": (48, {0: SUBMIT, 1: [{0: "bob", 1: HEAD}], 2: [{0: DEVICE, 1: ENVELOPE}]}),
    "mailbox_ack": (49, {0: 300}),
    "room_post": (64, {0: SUBMIT, 1: "hi all"}),
    "room_since": (65, {0: 98, 1: 500}),
    "group_append": (80, {0: HASH, 1: HEAD, 2: bytes([0x70]) * 32, 3: bytes([0x71]) * 32}),
    "group_head": (81, {0: HASH, 1: HEAD}),
}

ANSWERS = {
    "done": {},
    "enrolled_ready": [0, [LOGGED_IN]],
    "enrolled_approval_required": [1, [HEAD, HASH]],
    "reset_done": [0, [LOGGED_IN]],
    "reset_waiting": [1, [1_800_000_000_000]],
    "logged_in": LOGGED_IN,
    "looked_up": {0: [{0: "alice", 1: HEAD, 2: True}, {0: "bob", 2: False}]},
    "log_page": {0: [b"entry", b"entry"], 1: HEAD},
    "bundle": {0: b"bundle", 1: bytes(32)},
    "one_time_left": {0: [HASH], 1: 2},
    "accepted": {0: [DEVICE]},
    "room_posted": {0: 99, 1: 1_800_000_000_000},
    "room_page": {0: [POST], 1: 99, 2: 1},
    "presence_list": {0: ["alice", "bob"]},
    "group_stands": {0: 7, 1: 2, 2: bytes([0x70]) * 32},
    "waiting_devices": {0: [{0: b"cert", 1: b"acceptance"}]},
    "refusal": {0: 6, 1: 1500, 2: [{0: "bob", 1: HEAD}]},
    "welcome": {0: 1, 1: 1, 2: 1, 3: 1_800_000_000_000, 4: {0: 64, 1: 30, 2: 30, 3: False}, 5: [], 6: bytes(32), 7: {0: b"key", 1: b"signature"}},
}

PUSHES = {
    "deliver": (1, {0: 12, 1: "bob", 2: DEVICE, 3: ENVELOPE}),
    "room": (2, POST),
    "presence": (3, {0: ["alice"], 1: ["bob"]}),
    "reset_notice": (4, {0: 1_800_000_000_000}),
    "log_grew": (5, {0: "alice", 1: HEAD}),
    "drained": (6, {0: 12}),
    "device_waits": (7, {0: DEVICE}),
    "room_grew": (8, {0: 99}),
}


def vector():
    def numbered(messages):
        return [
            {"name": name, "number": number, "payload": cbor2.dumps(payload).hex()}
            for name, (number, payload) in messages.items()
        ]

    number, submit = REQUESTS["submit"]
    in_group = {"name": "submit", "number": number, "payload": cbor2.dumps(submit | {3: {0: HASH, 1: HEAD}}).hex()}
    answers = [{"name": name, "payload": cbor2.dumps(payload).hex()} for name, payload in ANSWERS.items()]
    return {"requests": numbered(REQUESTS), "answers": answers, "pushes": numbered(PUSHES), "in_group": [in_group]}
