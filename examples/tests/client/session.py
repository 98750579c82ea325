"""Sections 3 and 4 of PROTOCOL.md: bundles, INITs, the ratchet, contents and which session is sent on."""

import base64
import itertools
import os

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from identity import OAEP, agree, now, public, verify
from wire import decode, digest, encode, fields, hkdf, hmac, labelled, lp, seal, take, unseal

DAY = 24 * 60 * 60 * 1000
SUITE, CONTENT = 1, 1
MAX_MISSING = 1_000
SIZES = (480, 992, 2_016, 4_064)


class Prekeys:
    """The private halves of one bundle. They never change here: a client that lives longer renews them."""

    def __init__(self, device, server_time, one_time=16):
        self.spk, self.kem = X25519PrivateKey.generate(), MLKEM768PrivateKey.generate()
        drawn = [X25519PrivateKey.generate() for _ in range(one_time)]
        self.one_time = {digest(public(key)): key for key in drawn}
        self.kem_key = self.kem.public_key().public_bytes_raw()
        self.bundle = device.signed("bundle", fields(
            1, [SUITE], device.user, device.id, 1, server_time, server_time + 30 * DAY, 1, public(self.spk), 1,
            self.kem_key, list(self.one_time), [CONTENT],
        ))


class Bundle:
    """What another device has published, verified."""

    def __init__(self, data, cert, server_time, one_time=None):
        data, signature = take(2, decode(data))
        verify(cert.dsk, "bundle", data, signature)
        body = decode(data)
        version, suites, user, device, self.seq, created, expires = take(7, body)
        if version != 1 or SUITE not in suites or CONTENT not in body.get(12, [1]) or (user, device) != (cert.user, cert.id):
            raise ValueError("not a bundle of this device")
        if not created - DAY // 24 <= server_time < expires <= created + 30 * DAY:
            raise ValueError("a bundle of another time")
        if one_time and digest(one_time) not in body[11]:
            raise ValueError("a one-time key that is not listed")
        self.hash, self.one_time = digest(data), one_time
        self.spk_id, self.spk, self.kem_id, self.kem_key = (body[key] for key in (7, 8, 9, 10))


def party(log, device):
    return fields(log.user, device, log.fingerprint, log.head)


def root(init, certs, spk, kem_key, one_time, secrets):
    """`SK` and `sid` of an INIT."""
    public_parts = [init, certs[0].bytes, certs[1].bytes, spk, kem_key, one_time or b""]
    th = labelled("chat/v1/init", b"".join(map(lp, public_parts)))
    return hkdf(th, b"\xff" * 32 + b"".join(secrets), "chat/v1/session"), labelled("chat/v1/sid", th)[:16]


def initiate(device, own_log, cert, log, bundle):
    """Begins a session with a device."""
    share, ephemeral = Fernet.generate_key(), X25519PrivateKey.generate()
    kem_secret, ct_kem = MLKEM768PublicKey.from_public_bytes(bundle.kem_key).encapsulate()
    init = encode(fields(
        1, SUITE, party(own_log, device.id), party(log, cert.id), bundle.hash, bundle.spk_id, bundle.kem_id,
        digest(bundle.one_time) if bundle.one_time else None, public(ephemeral),
        serialization.load_der_public_key(cert.dek).encrypt(share, OAEP), ct_kem, now(), CONTENT,
    ))
    agreed = [agree(device.dxk, bundle.spk), agree(ephemeral, cert.dxk), agree(ephemeral, bundle.spk)]
    agreed += [agree(ephemeral, bundle.one_time)] if bundle.one_time else []
    secrets = [base64.urlsafe_b64decode(share), *agreed, kem_secret]
    sk, sid = root(init, (device.cert, cert), bundle.spk, bundle.kem_key, bundle.one_time, secrets)
    session = Session(sid, init, sk, ours=True, peer=cert)
    session.turn_sending(bundle.spk)
    return session


def respond(device, own_log, log, prekeys, envelope, sender):
    """The other end of an INIT, before its first message is opened."""
    init = decode(envelope[3])
    a, b = init[2], init[3]
    if (init[0], init[1], init.get(12, 1)) != (1, SUITE, CONTENT):
        raise ValueError("an INIT of another version")
    if a[1] != sender or (b[0], b[1], b[2]) != (device.user, device.id, own_log.fingerprint):
        raise ValueError("an INIT between others")
    if a[2] != log.fingerprint or init[4] != digest(decode(prekeys.bundle)[0]):
        raise ValueError("an INIT of another identity or under another bundle")
    cert, ephemeral = log.active[sender], init[8]
    one_time = prekeys.one_time[init[7]] if 7 in init else None
    agreed = [agree(prekeys.spk, cert.dxk), agree(device.dxk, ephemeral), agree(prekeys.spk, ephemeral)]
    agreed += [agree(one_time, ephemeral)] if one_time else []
    share = base64.urlsafe_b64decode(device.dek.decrypt(init[9], OAEP))
    secrets = [share, *agreed, prekeys.kem.decapsulate(init[10])]
    one_time_key = public(one_time) if one_time else None
    sk, sid = root(envelope[3], (cert, device.cert), public(prekeys.spk), prekeys.kem_key, one_time_key, secrets)
    if sid != envelope[0]:
        raise ValueError("an INIT under another session id")
    return Session(sid, envelope[3], sk, ours=False, peer=cert, own=prekeys.spk), init.get(7)


class Session:
    """One end of a Double Ratchet, and where it stands (4.3)."""

    order = itertools.count(1)

    def __init__(self, sid, init, sk, ours, peer, own=None):
        parties = decode(init)
        a, b = parties[2], parties[3]
        self.ad = b"chat/v1/ad\0" + sid + a[2] + a[1] + b[2] + b[1]
        self.sid, self.init, self.ours, self.peer = sid, init, ours, peer
        self.state, self.rival, self.begun, self.opened = "new", None, next(self.order), 0
        self.root, self.own, self.theirs = sk, own, None
        self.sending, self.receiving, self.previous, self.skipped = None, None, 0, {}

    def step_root(self, own, theirs):
        both = hkdf(self.root, agree(own, theirs), "chat/v1/dr/root", 64)
        self.root = both[:32]
        return [both[32:], 0]

    def turn_sending(self, theirs):
        self.previous = self.sending[1] if self.sending else 0
        self.theirs, self.own = theirs, X25519PrivateKey.generate()
        self.sending = self.step_root(self.own, theirs)

    @staticmethod
    def step(chain):
        key, chain[0], chain[1] = hmac(chain[0], b"\x01"), hmac(chain[0], b"\x02"), chain[1] + 1
        return key

    def token_key(self, header, key):
        return hkdf(digest(self.ad + header), key, "chat/v1/dr/fernet")

    def seal(self, plaintext):
        """An envelope."""
        n = self.sending[1]
        header = public(self.own) + self.previous.to_bytes(4, "big") + n.to_bytes(4, "big")
        token = seal(self.token_key(header, self.step(self.sending)), plaintext)
        init = self.init if self.ours and not self.opened else None
        return fields(self.sid, header, base64.urlsafe_b64decode(token), init)

    def open(self, envelope):
        """The plaintext of an envelope; a message that fails changes nothing."""
        before = self.root, self.own, self.theirs, self.sending, self.receiving, self.previous, self.skipped
        self.sending, self.receiving = (chain and list(chain) for chain in (self.sending, self.receiving))
        self.skipped = dict(self.skipped)
        try:
            header = envelope[1]
            key = self.key_of(header[:32], *(int.from_bytes(header[at : at + 4], "big") for at in (32, 36)))
            plaintext = unseal(self.token_key(header, key), base64.urlsafe_b64encode(envelope[2]))
        except Exception:
            (self.root, self.own, self.theirs, self.sending, self.receiving, self.previous, self.skipped) = before
            raise
        self.opened = next(self.order)
        return plaintext

    def key_of(self, theirs, pn, n):
        if (theirs, n) in self.skipped:
            return self.skipped.pop((theirs, n))
        if self.receiving is None or theirs != self.theirs:
            self.skip(pn)
            self.receiving = self.step_root(self.own, theirs)
            self.turn_sending(theirs)
        self.skip(n)
        if n != self.receiving[1]:
            raise ValueError("its key is gone")
        return self.step(self.receiving)

    def skip(self, until):
        if self.receiving is None:
            return
        if until - self.receiving[1] > MAX_MISSING:
            raise ValueError("too many are missing")
        while self.receiving[1] < until:
            self.skipped[self.theirs, self.receiving[1]] = self.step(self.receiving)


class Sessions:
    """The sessions of two devices: the table of 4.3, without its times."""

    def __init__(self):
        self.all = {}

    def new(self):
        return [one for one in self.all.values() if one.state == "new"]

    def sending(self):
        own = [one for one in self.new() if one.ours]
        if own:
            return max(own, key=lambda one: one.begun)
        heard = [one for one in self.all.values() if one.state in ("new", "confirmed")]
        return max(heard, key=lambda one: one.opened, default=None)

    def begun_here(self, session):
        for other in self.new():
            other.state = "yielded"
        self.all[session.sid] = session

    def taken_in(self, session, is_reset):
        """The first message of the peer's INIT opened."""
        for other in self.new():
            if not other.ours or is_reset:
                other.state = "yielded"
                continue
            other.rival, session.rival = session.sid, other.sid
            (session if other.sid < session.sid else other).state = "yielded"
        self.all[session.sid] = session

    def opened(self, session, with_init):
        """A message opened."""
        if with_init and not session.ours and session.state == "yielded":
            if not any(other.ours and other.sid < session.sid for other in self.new()):
                for other in self.new():
                    other.state = "yielded"
                session.state = "new"
        if session.state in ("new", "yielded") and (session.ours or not with_init):
            session.state = "confirmed"
            for other in self.new():
                if other.sid == session.rival or other.begun < session.begun:
                    other.state = "yielded"


def pad(data):
    size = next((size for size in SIZES if size > len(data)), None)
    size = size or 4_064 + -(-(len(data) + 1 - 4_064) // 4_096) * 4_096
    if size > 65_504:
        raise ValueError("too large")
    return (data + b"\x80").ljust(size, b"\0")


def unpad(data):
    if len(data) not in SIZES and ((len(data) - 4_064) % 4_096 or not 4_064 < len(data) <= 65_504):
        raise ValueError("padding of another size")
    content = data.rstrip(b"\0")
    if content[-1:] != b"\x80":
        raise ValueError("no end of the content")
    return content[:-1]


def message_id():
    """A UUIDv7."""
    raw = bytearray(now().to_bytes(6, "big") + os.urandom(10))
    raw[6], raw[8] = 0x70 | raw[6] & 0x0F, 0x80 | raw[8] & 0x3F
    return bytes(raw)
