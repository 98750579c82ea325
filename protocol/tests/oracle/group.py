"""Groups once more, from independent parts: ops, states, who may do what, wishes and links.

    group.py vectors DIR   writes the frozen vectors
    group.py               answers one JSON command a line, for the oracle test
"""

import base64
import copy
import json
import pathlib
import sys

import cbor2

from e2e import AT, DAY, Device, Log, labelled, padded, sign, verify

MEMBER, ADMIN, OWNER = range(3)
ADD, REMOVE, ROLE, CHANGE, REFRESH, LINK, UNLINK = range(7)
MAX_MEMBERS, MAX_LINKS = 128, 16


class Void(Exception):
    """An op that counts for nothing, for a reason."""


# What is hashed


def op_hash(op):
    return labelled("chat/v1/group/op", op)


def state_hash(state):
    return labelled("chat/v1/group/state", cbor2.dumps(state))


def token_hash(token):
    return labelled("chat/v1/group/token", token)


def link_hash(secret):
    return labelled("chat/v1/group/link", secret)


def wish_hash(wish):
    return labelled("chat/v1/group/wish", wish)


# Account logs, as a reader of ops needs them


class Account:
    """What a log of valid entries says: its heads, and each device with when it came and went."""

    def __init__(self, entries):
        self.heads, self.devices = [], {}
        for seq, entry in enumerate(entries):
            body = cbor2.loads(entry)[0]
            self.heads.append(labelled("chat/v1/log", body))
            kind, fields = cbor2.loads(body)[2]
            if kind == 0:
                self.devices[labelled("chat/v1/device", fields[0])[:16]] = [fields[0], seq, None]
            else:
                for device in fields[0]:
                    self.devices[device][2] = seq

    def has(self, head):
        return head[0] < len(self.heads) and self.heads[head[0]] == head[1]


# States: {version, name, about, settings, members, links, succeeds?}


def member(state, user):
    return next((member for member in state[4] if member[0] == user), None)


def open_link(state, hashed):
    return next((link for link in state[5] if link[0][0] == hashed), None)


def put(items, item, key):
    items[:] = sorted([other for other in items if key(other) != key(item)] + [item], key=key)


def by_name(member):
    # names are ASCII, so text and bytes have one order
    return member[0]


def by_hash(link):
    return link[0][0]


def begin(create, succeeds, by):
    state = {0: 1, 1: create[0], 2: create[1], 3: create[2], 4: [], 5: []}
    state |= {6: succeeds} if succeeds else {}
    for new in create[3]:
        put(state[4], {0: new[0], 1: new[1], 2: new[3], 3: new[2], 4: 0, 5: 0}, by_name)
    put(state[4], {0: by[0], 1: by[2], 2: OWNER, 3: by[3], 4: 0, 5: 0}, by_name)
    return state


def least_role(kind, fields, target):
    touched = [target[2]] if target else []
    touched += [fields[3]] if kind == ADD else [fields[1]] if kind == ROLE else []
    return OWNER if kind in (ADD, REMOVE, ROLE) and OWNER in touched else ADMIN


def about(state, kind, fields):
    return member(state, fields[0]) if kind in (ADD, REMOVE, ROLE) else None


def permits(state, by, action):
    kind, (fields,) = action
    if kind in (ADD, REMOVE, ROLE) and fields[0] == by[0]:
        raise Void("OnSelf")
    if member(state, by[0])[2] < least_role(kind, fields, about(state, kind, fields)):
        raise Void("NoPermission")


def effect(state, by, seq, time, action):
    """The state after an action of who may do it, or Void."""
    state, (kind, (fields,)) = copy.deepcopy(state), action
    author, target = member(state, by[0]), about(state, kind, fields)
    EFFECTS[kind](state, seq, time, fields, target)
    author[3] = by[3]
    return state


def add(state, seq, time, fields, target):
    user, fingerprint, head, role = (fields[key] for key in range(4))
    if target and target[1] == fingerprint:
        raise Void("AlreadyMember")
    if target and role > MEMBER:
        raise Void("ReplacedAbove")
    if 4 in fields and not state[3][2]:
        raise Void("NoHistory")
    if 5 in fields:
        if target or role > MEMBER:
            raise Void("LinkGivesLess")
        link = open_link(state, fields[5])
        if not link:
            raise Void("NoSuchLink")
        if time > link[0][4]:
            raise Void("LinkEnded")
        link[1] += 1
        if link[1] >= link[0][3]:
            state[5].remove(link)
    if not target and len(state[4]) >= MAX_MEMBERS:
        raise Void("Full")
    put(state[4], {0: user, 1: fingerprint, 2: role, 3: head, 4: seq, 5: seq}, by_name)
    if target:
        end_links(state, user)


def not_before(head, known):
    if head[0] < known[0]:
        raise Void("OldHead")
    if head[0] == known[0] and head[1] != known[1]:
        raise Void("OtherHistory")


def end_links(state, gone):
    state[5] = [link for link in state[5] if link[0][2] and link[0][1] != gone]


def remove(state, seq, time, fields, target):
    if not target:
        raise Void("NoSuchMember")
    state[4].remove(target)
    end_links(state, fields[0])


def change_role(state, seq, time, fields, target):
    if not target:
        raise Void("NoSuchMember")
    if target[2] == fields[1]:
        raise Void("SameRole")
    not_before(fields[2], target[3])
    target[2], target[3], target[5] = fields[1], fields[2], seq
    if fields[1] < ADMIN:
        state[5] = [link for link in state[5] if link[0][1] != fields[0]]


def change(state, seq, time, fields, target):
    for key, value in fields.items():
        state[key + 1] = value


def refresh(state, seq, time, fields, target):
    pass


def link(state, seq, time, fields, target):
    state[5] = [link for link in state[5] if time <= link[0][4]]
    if open_link(state, fields[0]):
        raise Void("LinkExists")
    admin = member(state, fields[1])
    if not admin or admin[2] < ADMIN:
        raise Void("LinkOfNoAdmin")
    if len(state[5]) >= MAX_LINKS:
        raise Void("TooManyLinks")
    put(state[5], {0: fields, 1: 0}, by_hash)


def unlink(state, seq, time, fields, target):
    found = open_link(state, fields[0])
    if not found:
        raise Void("NoSuchLink")
    state[5].remove(found)


EFFECTS = [add, remove, change_role, change, refresh, link, unlink]


# Ops: {version, what, by, time, state, next token}; by = {user, device, fingerprint, head}


class Reader:
    """Applies one op after the other; all are called by the notary."""

    def __init__(self, signed, account):
        op = cbor2.loads(signed)[0]
        body = cbor2.loads(op)
        kind, what = body[1]
        assert kind == 0
        self.proven(body[2], account, signed)
        self.state = begin(what[0], what.get(1), body[2])
        assert state_hash(self.state) == body[4]
        self.group, self.seq, self.head, self.token = op_hash(op), 0, op_hash(op), body[5]

    def proven(self, by, account, signed):
        """That a device which is active at the head named has signed it."""
        op, signature = (cbor2.loads(signed)[key] for key in (0, 1))
        assert account.heads[0] == by[2] and account.has(by[3])
        cert, added, revoked = account.devices.get(by[1], (None, None, None))
        if cert is None or added > by[3][0]:
            raise Void("UnknownDevice")
        verify(cbor2.loads(cert)[2], "group", op, signature)
        if revoked is not None and revoked <= by[3][0]:
            raise Void("Revoked")

    def apply(self, signed, accounts):
        """`Applied`, or the reason why it is void. `accounts` by fingerprint."""
        op = cbor2.loads(signed)[0]
        body = cbor2.loads(op)
        kind, what = body[1]
        assert kind == 1 and (what[0], what[1], what[2]) == (self.group, self.seq + 1, self.head)
        verdict = "Applied"
        try:
            self.state = self.judged(body, what, signed, accounts)
        except Void as void:
            verdict = str(void)
        self.seq, self.head, self.token = self.seq + 1, op_hash(op), body[5]
        return verdict

    def judged(self, body, what, signed, accounts):
        by = body[2]
        known = member(self.state, by[0])
        if not known:
            raise Void("NotMember")
        if known[1] != by[2]:
            raise Void("OtherIdentity")
        not_before(by[3], known[3])
        permits(self.state, by, what[3])
        account = accounts[by[2]]
        assert account.has(by[3]), "held"
        if not account.has(known[3]):
            raise Void("OtherHistory")
        self.proven(by, account, signed)
        after = effect(self.state, by, what[1], body[3], what[3])
        if state_hash(after) != body[4]:
            raise Void("OtherState")
        return after


# Writing


class Writer:
    """A device, and how many entries of its account's log it knows."""

    def __init__(self, device, log, known):
        head = {0: known - 1, 1: labelled("chat/v1/log", cbor2.loads(log.entries[known - 1])[0])}
        self.device, self.by = device, {0: device.user, 1: device.id, 2: log.fingerprint, 3: head}

    def signed(self, context, body):
        body = cbor2.dumps(body)
        return cbor2.dumps({0: body, 1: sign(self.device.dsk, context, body)})

    def op(self, what, time, after):
        seq = what[1][1] if what[0] else 0
        return self.signed("group", {0: 1, 1: what, 2: self.by, 3: time, 4: state_hash(after), 5: token_hash(bytes([seq]) * 32)})

    def create(self, create, succeeds=None):
        what = {0: create} | ({1: succeeds} if succeeds else {})
        return self.op([0, what], AT, begin(create, succeeds, self.by))

    def next(self, reader, action):
        seq = reader.seq + 1
        try:
            permits(reader.state, self.by, action)
            after = effect(reader.state, self.by, seq, AT + seq, action)
        except Void:
            after = reader.state
        return self.op([1, {0: reader.group, 1: seq, 2: reader.head, 3: action}], AT + seq, after)

    def wish(self, group, wanted):
        return self.signed("wish", {0: 1, 1: group, 2: self.by, 3: AT, 4: wanted})

    def added(self, role, **more):
        keys = {"history": 4, "link": 5, "wish": 6}
        return {0: self.by[0], 1: self.by[2], 2: self.by[3], 3: role} | {keys[name]: value for name, value in more.items()}


def vector():
    """Some weeks of a group: every action, a few that are void, a device that is revoked, wishes and a link."""
    laptop, phone = Device("alice", 0), Device("alice", 1)
    logs = {"alice": Log(laptop)} | {name: Log(Device(name, n)) for n, name in enumerate(("bob", "carol", "dave"), 2)}
    logs["alice"].add(laptop, phone)
    logs["alice"].revoke(laptop, phone)
    first, later, safe = (Writer(laptop, logs["alice"], known) for known in (1, 2, 3))
    alices_phone = Writer(phone, logs["alice"], 2)
    bob, carol, dave = (Writer(Device(name, n), logs[name], 1) for n, name in enumerate(("bob", "carol", "dave"), 2))
    accounts = {log.fingerprint: Account(log.entries) for log in logs.values()}

    settings = {0: 0, 2: False, 3: True}
    members = [{0: "bob", 1: bob.by[2], 2: bob.by[3], 3: ADMIN}]
    ops = [first.create({0: "ops", 1: "who is on call", 2: settings, 3: members})]
    reader = Reader(ops[0], accounts[first.by[2]])
    told = [state_of(reader, ops[0], "Applied")]

    def then(writer, kind, fields):
        signed = writer.next(reader, [kind, [fields]])
        told.append(state_of(reader, signed, reader.apply(signed, accounts)))

    secret = bytes([7]) * 16
    then(bob, ADD, carol.added(MEMBER))
    then(alices_phone, LINK, {0: link_hash(secret), 1: "alice", 2: False, 3: 2, 4: AT + DAY})
    join = dave.wish(reader.group, [3, {0: secret}])
    then(bob, ADD, dave.added(MEMBER, link=link_hash(secret), wish=wish_hash(cbor2.loads(join)[0])))
    then(later, CHANGE, {0: "Küche"})
    then(later, CHANGE, {1: "", 2: {0: 1, 1: 3600, 2: True, 3: False}})
    then(carol, CHANGE, {0: "mine"})
    then(later, ROLE, {0: "bob", 1: OWNER, 2: bob.by[3]})
    membership = {0: {0: reader.seq, 1: reader.head}, 1: 1}
    leave = carol.wish(reader.group, [0, {0: membership}])
    then(bob, REMOVE, {0: "carol", 1: wish_hash(cbor2.loads(leave)[0])})
    then(safe, REFRESH, {})
    then(alices_phone, CHANGE, {0: "mine"})
    then(bob, LINK, {0: link_hash(secret), 1: "bob", 2: True, 3: 1000, 4: AT + DAY})
    then(bob, UNLINK, {0: link_hash(secret)})
    then(bob, ADD, carol.added(ADMIN, history=20))
    then(carol, REMOVE, {0: "alice"})
    then(bob, ROLE, {0: "alice", 1: MEMBER, 2: later.by[3]})
    then(bob, ROLE, {0: "alice", 1: MEMBER, 2: safe.by[3]})
    snapshot = cbor2.dumps({0: bytes.fromhex(told[13]["op"]), 1: bytes.fromhex(told[13]["state"])})
    text = reader.group + first.by[2] + secret + b"alice"
    succeeds = {0: reader.group, 1: {0: reader.seq, 1: reader.head}}
    return {
        "logs": {name: [entry.hex() for entry in log.entries] for name, log in logs.items()},
        "ops": told,
        "successor": bob.create({0: "ops", 1: "", 2: settings, 3: []}, succeeds).hex(),
        "snapshot": snapshot.hex(),
        "wishes": [
            {"wish": wish.hex(), "hash": wish_hash(cbor2.loads(wish)[0]).hex(), "by": by, "fulfilled": fulfilled}
            for wish, by, fulfilled in ((join, "dave", 3), (leave, "carol", 8))
        ],
        "token": {"token": (bytes([9]) * 32).hex(), "hash": token_hash(bytes([9]) * 32).hex()},
        "contents": contents(reader.group, (reader.seq, reader.head), state_hash(reader.state)),
        "link": "chat-group:1:" + base64.urlsafe_b64encode(text).decode().rstrip("="),
    }


def contents(group, head, state):
    """What one device says in a group, as one reader gets it that is left out of the third: each with the chain behind it."""
    told, chain = [], bytes(32)
    bodies = [(1, {0: "hello"}), (3, {0: bytes([7]) * 16, 1: "hallo"}), (1, {0: "psst"}), (5, {0: bytes([7]) * 16, 1: "👍"})]
    for n, (kind, body) in enumerate(bodies, 1):
        body, message = cbor2.dumps(body), bytes([n]) * 16
        chained = {0: {1: None, 2: 1, 3: 2, 4: 2}[n], 1: chain}
        chained = {key: value for key, value in chained.items() if value is not None}
        place = {0: {0: head[0], 1: head[1]}, 1: state, 2: chained}
        if n == 4:
            place[3] = [{0: bytes([0xDD]) * 16, 1: 5, 2: 9, 3: bytes([0xEE]) * 16}]
        account = {0: 3, 1: bytes([0xAA]) * 32}
        fields = {0: 1, 1: kind, 2: {1: group}, 3: message, 4: {0: 9, 1: n}, 5: AT + n, 6: {0: account, 1: account}, 7: [],
                  8: body, 10: place}
        numbers = b"".join(number.to_bytes(8, "big") for number in (9, n, AT + n))
        said = labelled("chat/v1/group/said", group + head[0].to_bytes(8, "big") + head[1] + state + bytes([1])
                        + message + numbers + kind.to_bytes(2, "big") + body)
        chain = labelled("chat/v1/group/seen", chain + said)
        told.append({"content": padded(fields), "said": said.hex(), "after": chain.hex()})
    return told


def state_of(reader, signed, verdict):
    return {"op": signed.hex(), "verdict": verdict, "head": reader.head.hex(), "state": cbor2.dumps(reader.state).hex()}


def run(command):
    if command["do"] == "vector":
        return vector()
    if command["do"] == "apply":
        accounts = [Account([bytes.fromhex(entry) for entry in log]) for log in command["logs"]]
        accounts = {account.heads[0]: account for account in accounts}
        ops = [bytes.fromhex(op) for op in command["ops"]]
        reader = Reader(ops[0], accounts[cbor2.loads(cbor2.loads(ops[0])[0])[2][2]])
        return {"told": [state_of(reader, op, reader.apply(op, accounts)) for op in ops[1:]]}
    raise ValueError(command)


def main():
    if sys.argv[1:2] == ["vectors"]:
        text = json.dumps(vector(), indent=1, ensure_ascii=False) + "\n"
        (pathlib.Path(sys.argv[2]) / "group.json").write_text(text)
        return
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
