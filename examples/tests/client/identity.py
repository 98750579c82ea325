"""Section 2 of PROTOCOL.md: devices, certificates, account logs, what is signed and what is compared."""

import hashlib
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from wire import decode, digest, encode, fields, labelled, lp, take

SHA256 = hashes.SHA256()
PSS = padding.PSS(padding.MGF1(SHA256), 32)
OAEP = padding.OAEP(padding.MGF1(SHA256), SHA256, None)
ADD, REVOKE = 0, 1


def now():
    return time.time_ns() // 1_000_000


def signed_message(context, data):
    return b"chat/v1/sig\0" + context.encode() + b"\0" + digest(data)


def verify(spki, context, data, signature):
    """Raises unless the key signed it."""
    serialization.load_der_public_key(spki).verify(signature, signed_message(context, data), PSS, SHA256)


def public(key):
    if isinstance(key, X25519PrivateKey):
        return key.public_key().public_bytes_raw()
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def agree(private, theirs):
    return private.exchange(X25519PublicKey.from_public_bytes(theirs))


class Cert:
    """What a certificate says."""

    def __init__(self, data):
        self.bytes, self.id = data, labelled("chat/v1/device", data)[:16]
        version, self.user, self.dsk, self.dek, self.dxk = take(5, decode(data))
        if version != 1 or self.dsk == self.dek:
            raise ValueError("a certificate that is refused")


class Device:
    """A device and its three key pairs."""

    def __init__(self, user):
        self.dsk, self.dek = (rsa.generate_private_key(65537, 3072) for _ in range(2))
        self.dxk = X25519PrivateKey.generate()
        self.cert = Cert(encode(fields(1, user, public(self.dsk), public(self.dek), public(self.dxk), now())))
        self.user, self.id = user, self.cert.id

    def sign(self, context, data):
        return self.dsk.sign(signed_message(context, data), PSS, SHA256)

    def signed(self, context, value):
        data = encode(value)
        return encode(fields(data, self.sign(context, data)))

    def genesis(self):
        return self.signed("log", fields(0, bytes(32), [ADD, fields(self.cert.bytes)], self.id, now()))

    def login(self, connection):
        data = connection.binding + connection.server_key + lp(self.user.encode()) + self.id
        return self.sign("login", data)

    def enrolment(self, connection):
        return self.sign("enrol", connection.binding + connection.server_key + lp(self.cert.bytes))

    def acceptance(self, fingerprint):
        return self.sign("join", fingerprint + self.cert.bytes)

    def approval(self, log, cert, acceptance):
        """The entry that adds another device to the own log."""
        op = [ADD, fields(cert.bytes, acceptance)]
        return self.signed("log", fields(len(log.entries), log.head[1], op, self.id, now()))


class Log:
    """A valid account log."""

    def __init__(self, user, entries=()):
        self.user, self.entries, self.active, self.fingerprint = user, [], {}, None
        self.known, self.head = set(), fields(0, bytes(32))
        for entry in entries:
            self.extend(entry)

    def extend(self, entry):
        """Takes the next entry, or raises."""
        data, signature = take(2, decode(entry))
        seq, prev, (op, what), by, _, replaces = take(6, decode(data))
        genesis = not self.entries
        if seq != len(self.entries) or prev != self.head[1] or (replaces and not genesis) or len(entry) > 6_144:
            raise ValueError("an entry that does not follow")
        added = Cert(what[0]) if op == ADD else None
        author = added if genesis else self.active[by]
        verify(author.dsk, "log", data, signature)
        head = fields(seq, labelled("chat/v1/log", data))
        if added:
            self.add(added, by, what.get(1))
        else:
            self.revoke(what[0])
        self.fingerprint = self.fingerprint or head[1]
        self.head = head
        self.entries.append(entry)

    def add(self, cert, by, acceptance):
        if cert.user != self.user or cert.id in self.known or len(self.active) == 16:
            raise ValueError("a device that cannot be added")
        if self.entries:
            verify(cert.dsk, "join", self.fingerprint + cert.bytes, acceptance)
        elif cert.id != by or acceptance is not None:
            raise ValueError("a genesis of another device")
        self.active[cert.id] = cert
        self.known.add(cert.id)

    def revoke(self, devices):
        if not devices or len(set(devices)) != len(devices):
            raise ValueError("a revocation of nothing")
        for device in devices:
            del self.active[device]


def five_digits(data, count):
    return "".join(f"{int.from_bytes(data[5 * n : 5 * n + 5], 'big') % 100_000:05}" for n in range(count))


def approval_digits(fingerprint, device):
    return five_digits(hashlib.sha512(b"chat/v1/approve\0" + fingerprint + device).digest(), 12)


def safety_half(log):
    x = bytes([0, 1]) + log.fingerprint + log.head[0].to_bytes(8, "big") + log.head[1] + lp(log.user.encode())
    h = hashlib.sha512(x).digest()
    for _ in range(5_199):
        h = hashlib.sha512(h + x).digest()
    return five_digits(h, 6)


def safety_number(one, other):
    return "".join(sorted((safety_half(one), safety_half(other))))
