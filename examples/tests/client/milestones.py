"""A client written from PROTOCOL.md alone, against chat-server and somebody's chatd.

    milestones.py BOB DESK      sockets of Bob's daemon and of one without account; on standard input the invite and,
                                on another line, Bob's password

Prints each milestone when it is reached, and ends with 0 after the last one.
"""

import json
import socket
import sys

from identity import Device, approval_digits, safety_number
from person import BUNDLE_FETCH, LOOKUP, ONE_TIME_STATUS, Person
from session import Bundle
from wire import DEADLINE, Invite, Refused, take

BOB = "bob"
MANY = 20


class Daemon:
    """The other side, as its own user sees it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(path)
        self.lines, self.calls, self.events = self.socket.makefile("r"), 0, []
        self.call("events.subscribe", **{"from": "start"})

    def next(self):
        line = json.loads(self.lines.readline())
        if "params" in line:
            self.events.append(line["params"])
        return line

    def call(self, method, **params):
        self.calls += 1
        self.socket.sendall(json.dumps({"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params}).encode() + b"\n")
        while (line := self.next()).get("id") != self.calls:
            pass
        if "error" in line:
            raise RuntimeError(f"{method}: {line['error']}")
        return line["result"]

    def event(self, kind, **wanted):
        """The first event of this kind with these data."""
        def fits(event):
            return event.get("type") == kind and wanted.items() <= event["data"].items()

        while not any(map(fits, self.events)):
            self.next()
        return next(filter(fits, self.events))

    def send(self, to, text):
        return self.call("msg.send", to=to, text=text)["id"]

    def hears(self, author, text):
        return self.event("message.new", **{"from": author, "text": text})

    def sees(self, id, state):
        self.event("message.status", id=id, state=state)


def reached(milestone):
    print(milestone, flush=True)


def newcomer(invite, user):
    """Somebody registered, whose first device is enrolled and can be written to."""
    person = Person(invite, Device(user), "a password that is long")
    person.register()
    assert person.enrol(person.device.genesis()) is None
    assert person.log.active.keys() == {person.device.id}
    person.publish()
    return person


def handshake(invite):
    person = Person(invite, Device("alice"), "a password that is long")
    welcome = person.connection.welcome
    assert (welcome[0], welcome[1], welcome[2]) == (1, 1, 1) and welcome[4][0] > 0
    reached("handshake")
    return person


def register(alice):
    try:
        alice.connection.ask(LOOKUP, [BOB])
        raise AssertionError("a guest was answered")
    except Refused as refused:
        assert refused.code == "denied"
    alice.register()
    assert alice.enrol(alice.device.genesis()) is None
    alice.reconnect()
    assert alice.log.fingerprint == alice.log.head[1]
    reached("register")


def room(alice, bob):
    seq, _ = alice.post("hello, everybody")
    bob.event("message.new", **{"text": "hello, everybody"})
    bob.send("room:public", "hello, alice")
    alice.until("to hear the room", lambda: (BOB, "hello, alice") in alice.posts)
    assert alice.posts[0] == (alice.user, "hello, everybody") and seq == 1
    reached("room")


def bundles(alice, bob):
    alice.publish()
    hashes, seq = take(2, alice.connection.ask(ONE_TIME_STATUS))
    assert set(hashes) == set(alice.prekeys.one_time) and seq == 1
    known, = take(1, alice.connection.ask(LOOKUP, [BOB, "nobody"]))
    log = alice.fetch_log(BOB)
    assert [take(2, user) for user in known] == [[BOB, log.head]]
    for cert in log.active.values():
        bundle, one_time = take(2, alice.connection.ask(BUNDLE_FETCH, BOB, cert.id))
        Bundle(bundle, cert, alice.connection.welcome[3], one_time)
    reached("bundle")


def both_ways(invite, alice, bob):
    """One conversation begins here, another one there."""
    alice.say(BOB, "from a session begun here")
    bob.hears(alice.user, "from a session begun here")
    alice.until("an acknowledgement", lambda: 2 in alice.acknowledged.values())
    shown = bob.call("identity.get", user="alice")["safety_number"]
    assert shown == safety_number(alice.log, alice.logs[BOB]), shown
    carol = newcomer(invite, "carol")
    id = bob.send("@carol", "from a session begun there")
    carol.hears(BOB, "from a session begun there")
    bob.sees(id, "delivered")
    carol.say(BOB, "and its answer")
    bob.hears("carol", "and its answer")
    reached("INIT both ways")


def many(alice, bob):
    """Messages in both directions, in their order, each acknowledged; the record key changes in between."""
    ids = []
    for n in range(MANY):
        if n == MANY // 2:
            alice.connection.rekey()
        alice.say(BOB, f"to bob {n}")
        ids.append(bob.send("@alice", f"to alice {n}"))
    alice.hears(BOB, f"to alice {MANY - 1}")
    alice.until("the last acknowledgement", lambda: MANY + 2 in alice.acknowledged.values())
    bob.hears(alice.user, f"to bob {MANY - 1}")
    for id in ids:
        bob.sees(id, "delivered")
    texts = [event["data"]["text"] for event in bob.events if event.get("type") == "message.new"]
    assert [text for text in texts if text.startswith("to bob")] == [f"to bob {n}" for n in range(MANY)]
    texts = [text for _, _, text in alice.shown if text.startswith("to alice")]
    assert texts == [f"to alice {n}" for n in range(MANY)]
    reached(f"{MANY} messages each way")


def growth(alice, bob):
    """A record and a content that later versions will have: passed over, and shown as unsupported."""
    alice.connection.write(200, b"of a later version")
    alice.version += 1
    alice.say(BOB, "in another version")
    alice.version -= 1
    bob.hears(alice.user, "[a message of a kind this version cannot show]")
    alice.until("its acknowledgement", lambda: MANY + 3 in alice.acknowledged.values())
    reached("what is not known yet")


def second_device(invite, laptop, bob):
    """Alice's phone asks, is compared, accepted and approved; then both devices live together."""
    phone = Person(invite, Device(laptop.user), laptop.password)
    head, fingerprint = phone.enrol()
    laptop.until("a device to wait", lambda: phone.device.id in laptop.waiting)
    assert (head, fingerprint) == (laptop.log.head, laptop.log.fingerprint)
    acceptance = phone.device.acceptance(fingerprint)
    assert phone.accept(acceptance) == "approval_required"
    waiting, = laptop.waiting[:1]
    assert approval_digits(laptop.log.fingerprint, waiting) == approval_digits(fingerprint, phone.device.id)
    laptop.approve(waiting)
    phone.login()
    phone.publish()
    assert phone.log.head == laptop.log.head and phone.log.fingerprint == fingerprint

    bob.send("@alice", "to both of you")
    for device in (laptop, phone):
        device.hears(BOB, "to both of you")
    phone.say(BOB, "from the phone")
    bob.hears(phone.user, "from the phone")
    laptop.hears(laptop.user, "from the phone", chat=BOB)
    reached("a second device")
    return phone


def among_others(invite, password, alice, bob):
    """A device of ours in Bob's account, approved by his daemon."""
    tablet = Person(invite, Device(BOB), password)
    _, fingerprint = tablet.enrol()
    shown = bob.event("device.waiting")["data"]
    assert shown["digits"] == approval_digits(fingerprint, tablet.device.id)
    bob.call("device.approve", device_id=shown["device_id"], digits=shown["digits"])
    assert tablet.accept(tablet.device.acceptance(fingerprint)) == "approval_required"
    bob.event("device.added", device_id=tablet.device.id.hex())
    tablet.login()
    tablet.publish()
    bob.send("@alice", "to alice, and for my tablet to know")
    tablet.hears(BOB, "to alice, and for my tablet to know", chat=alice.user)
    alice.hears(BOB, "to alice, and for my tablet to know")
    alice.say(BOB, "to both of bob's")
    bob.hears(alice.user, "to both of bob's")
    tablet.hears(alice.user, "to both of bob's")
    reached("a device beside chatd's")


def daemon_of_ours(invite, laptop, bob, desk):
    """A chatd becomes a device of Alice's, approved here."""
    asks = desk.call("account.login", invite=invite, user=laptop.user, password=laptop.password)
    device = bytes.fromhex(asks["device_id"])
    assert asks["digits"] == approval_digits(laptop.log.fingerprint, device)
    desk.call("device.approve", device_id=asks["device_id"], digits=asks["digits"])
    # told when it came, and once more when its acceptance did
    laptop.until("its acceptance", lambda: laptop.waiting.count(device) == 2)
    laptop.approve(device)
    desk.event("device.added", device_id=asks["device_id"])
    bob.send("@alice", "to all of alice's")
    desk.hears(BOB, "to all of alice's")
    laptop.hears(BOB, "to all of alice's")
    laptop.say(BOB, "for the desk to know")
    assert desk.hears(laptop.user, "for the desk to know")["data"]["outgoing"]
    reached("chatd beside ours")


def main():
    bob, desk, invitation = Daemon(sys.argv[1]), Daemon(sys.argv[2]), sys.stdin.readline().strip()
    invite = Invite(invitation)
    password = sys.stdin.readline().rstrip("\n")
    alice = handshake(invite)
    register(alice)
    room(alice, bob)
    bundles(alice, bob)
    both_ways(invite, alice, bob)
    many(alice, bob)
    growth(alice, bob)
    second_device(invite, alice, bob)
    among_others(invite, password, alice, bob)
    daemon_of_ours(invitation, alice, bob, desk)


main()
