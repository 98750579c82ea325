"""Sections 4.2, 5 and 6 of PROTOCOL.md: a device that is logged in, what it says and what it hears.

Enough for a test: nothing is written to disk, and what is missing before a message is waited for without end.
"""

import collections
import os
import time

from identity import Cert, Log, now
from session import CONTENT, Bundle, Prekeys, Sessions, initiate, message_id, pad, respond, unpad
from wire import DEADLINE, Connection, Refused, decode, encode, fields, take

REGISTER, ENROL, LOGIN, LOOKUP, LOG_FETCH, LOG_APPEND, DEVICES_WAITING = 1, 2, 3, 16, 17, 18, 22
BUNDLE_PUBLISH, BUNDLE_FETCH, ONE_TIME_STATUS, SUBMIT, MAILBOX_ACK, ROOM_POST, ROOM_SINCE = 32, 33, 34, 48, 49, 64, 65
DELIVER, ROOM, DEVICE_WAITS = 1, 2, 7
TEXT, RECEIPT, RESET = 1, 128, 130
READY, APPROVAL_REQUIRED = 0, 1


class Line:
    """The messages of one author device in one conversation and epoch, in their order."""

    def __init__(self, epoch, first):
        self.epoch, self.next, self.early = epoch, first, {}

    def take(self, n, message):
        """What can be shown now."""
        self.early[n] = message
        while self.next in self.early:
            yield self.early.pop(self.next)
            self.next += 1


class Person:
    """One device of an account and everything it knows."""

    def __init__(self, invite, device, password):
        self.invite, self.device, self.password, self.connection = invite, device, password, Connection(invite)
        self.logs, self.sessions, self.lines = {}, collections.defaultdict(Sessions), {}
        self.seen, self.numbers, self.submits, self.mailbox = set(), collections.Counter(), 0, 0
        self.version, self.firsts = CONTENT, {}
        # what was shown, (author, chat, text); what each peer's device has: (user, device) -> below
        self.shown, self.posts, self.acknowledged, self.waiting = [], [], {}, []

    @property
    def user(self):
        return self.device.user

    @property
    def log(self):
        return self.logs[self.user]

    # Becoming somebody

    def register(self):
        self.connection.ask(REGISTER, self.user, self.password, self.invite.token)

    def enrol(self, genesis=None):
        """Makes the device known; None if it is ready, otherwise the head and the fingerprint the server names."""
        signature = self.device.enrolment(self.connection)
        values = self.user, self.password, self.device.cert.bytes, signature, genesis
        outcome, answer = self.connection.ask(ENROL, *values)
        if outcome == APPROVAL_REQUIRED:
            return answer
        self.enter(answer[0])
        return None

    def login(self, acceptance=None):
        self.enter(self.connection.ask(LOGIN, self.user, self.device.id, self.device.login(self.connection), acceptance))

    def accept(self, acceptance):
        """Says that the digits are alike; what it is refused with until another device has approved it."""
        try:
            self.login(acceptance)
        except Refused as refused:
            return refused.code
        raise AssertionError("it was let in unasked")

    def approve(self, device):
        """Lets a device in that waits and whose acceptance is there; its user has compared the digits."""
        for cert, acceptance in (take(2, waits) for waits in self.connection.ask(DEVICES_WAITING)[0]):
            if Cert(cert).id == device:
                entry = self.device.approval(self.log, Cert(cert), acceptance)
                self.connection.ask(LOG_APPEND, self.log.head, entry)
                self.log.extend(entry)

    def enter(self, logged_in):
        self.mailbox, self.submits = logged_in[1], logged_in[4]
        self.fetch_log(self.user)

    def reconnect(self):
        self.connection.close()
        self.connection = Connection(self.invite)
        self.login()

    def publish(self):
        self.prekeys = Prekeys(self.device, self.connection.welcome[3])
        one_time = [key.public_key().public_bytes_raw() for key in self.prekeys.one_time.values()]
        self.connection.ask(BUNDLE_PUBLISH, self.prekeys.bundle, one_time)

    # Others

    def fetch_log(self, user):
        """The log of a user, as far as the server has it."""
        log = self.logs.setdefault(user, Log(user))
        while True:
            entries, head = take(2, self.connection.ask(LOG_FETCH, user, len(log.entries)))
            for entry in entries:
                log.extend(entry)
            if log.head == head:
                return log

    def session_with(self, user, cert):
        """The session to send on."""
        session = self.sessions[cert.id].sending()
        if session is None:
            bundle, one_time = take(2, self.connection.ask(BUNDLE_FETCH, user, cert.id))
            bundle = Bundle(bundle, cert, self.connection.welcome[3], one_time)
            session = initiate(self.device, self.log, cert, self.logs[user], bundle)
            self.sessions[cert.id].begun_here(session)
        return session

    # Saying something

    def say(self, to, text):
        """Sends a text to a user, and a copy to the own other devices; until it is accepted."""
        self.numbers[to] += 1
        self.send(to, TEXT, fields(text), message_id(), self.numbers[to])

    def receipt(self, user, device, chat):
        """Acknowledges what a device has sent in a chat."""
        self.send(chat, RECEIPT, fields([]), message_id(), None, [device])

    def send(self, to, kind, body, id, number, only=None):
        self.logs.get(to) or self.fetch_log(to)
        while True:
            # the own devices read the peer's name for the chat, the peer's devices the author's
            readers = [(to, cert, self.user) for cert in self.logs[to].active.values()]
            readers += [(self.user, cert, to) for cert in self.log.active.values() if to != self.user]
            readers = [one for one in readers if one[1].id != self.device.id and (not only or one[1].id in only)]
            envelopes = []
            for user, cert, chat in readers:
                # what was said to the others before is not owed to a device that came later
                first = number and self.firsts.setdefault((to, cert.id), number)
                numbered = number and fields(0, number, first if first > 1 else None)
                content = self.content(kind, user, chat, body, id, numbered, cert.id)
                envelopes.append(fields(cert.id, self.session_with(user, cert).seal(content)))
            heads = [fields(user, self.logs[user].head) for user in {user for user, _, _ in readers}]
            try:
                full, = take(1, self.connection.ask(SUBMIT, self.submit_id(), heads, envelopes))
                assert full == []
                return
            except Refused as refused:
                if refused.code != "stale":
                    raise
                for user, _ in (take(2, head) for head in refused.heads):
                    self.fetch_log(user)

    def content(self, kind, reader, chat, body, id, number, device):
        line = self.lines.get((device, chat if reader == self.user else reader))
        acks = [fields(device, line.epoch, line.next, [])] if line else []
        heads = fields(self.log.head, self.logs[reader].head)
        return pad(encode(fields(self.version, kind, fields(chat), id, number, now(), heads, acks, encode(body))))

    def submit_id(self):
        self.submits += 1
        return self.submits.to_bytes(8, "big") + os.urandom(8)

    def post(self, text):
        return take(2, self.connection.ask(ROOM_POST, self.submit_id(), text))

    # Hearing something

    def until(self, what, done):
        """Takes pushes until it is so."""
        end = time.monotonic() + DEADLINE
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{self.user}: {what}; shown: {self.shown}")
            self.hear(*self.connection.push())

    def hears(self, author, text, chat=None):
        self.until(f"to hear {text}", lambda: (author, chat or author, text) in self.shown)

    def hear(self, what, push):
        if what == ROOM:
            self.posts.append((push[1], push[3]))
        elif what == DEVICE_WAITS:
            self.waiting.append(push[0])
        elif what == DELIVER:
            seq, user, device, envelope = take(4, push)
            if seq > self.mailbox:
                self.delivered(user, device, envelope)
                self.mailbox = seq
            self.connection.ask(MAILBOX_ACK, self.mailbox)

    def delivered(self, user, device, envelope):
        known, with_init = self.sessions[device], 3 in envelope
        session, used = known.all.get(envelope[0]), None
        if session is None:
            log = self.logs.get(user)
            log = log if log and device in log.active else self.fetch_log(user)
            session, used = respond(self.device, self.log, log, self.prekeys, envelope, device)
        content = decode(unpad(session.open(envelope)))
        if session.sid not in known.all:
            known.taken_in(session, content[1] == RESET)
            self.prekeys.one_time.pop(used, None)
        known.opened(session, with_init)
        self.read(user, device, content)

    def read(self, user, device, content):
        version, kind, conversation, id, number, _, _, acks, body = take(9, content)
        chat = conversation[0]
        assert version == CONTENT and (chat == user or user == self.user)
        for ack in acks:
            if ack[0] == self.device.id:
                self.acknowledged[chat, device] = ack[2]
        if kind >= 128:
            return
        first = number.get(2, 1)
        assert 1 <= first <= number[1], f"malformed: {number}"
        line = self.lines.setdefault((device, chat), Line(number[0], first))
        for shown in line.take(number[1], (user, chat, id, kind, decode(body))):
            self.show(*shown)
        self.receipt(user, device, chat)

    def show(self, user, chat, id, kind, body):
        if (user, id) not in self.seen:
            self.seen.add((user, id))
            self.shown.append((user, chat, body.get(0) if kind == TEXT else None))
