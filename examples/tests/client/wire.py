"""Sections 0 and 1 of PROTOCOL.md: CBOR, key derivation, tokens, the handshake, records and frames."""

import base64
import collections
import hashlib
import hmac as hmac_
import io
import socket
import time
import warnings

import cbor2
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from noise.connection import Keypair, NoiseConnection

warnings.filterwarnings("ignore", module="noise")

OPENING = b"CHAT" + bytes([1, 1, 1])
DATA, REKEY, CLOSE, PING, PONG = range(5)
REQUEST, OK, ERROR, PUSH = range(4)
RECORDS_PER_KEY, KEY_SECONDS = 65_536, 15 * 60
# Longest wait for anything: only a broken program reaches it.
DEADLINE = 30


def digest(data):
    return hashlib.sha256(data).digest()


def labelled(label, data):
    return digest(label.encode() + b"\0" + data)


def hmac(key, message):
    return hmac_.digest(key, message, "sha256")


def hkdf(salt, ikm, label, length=32):
    return HKDF(hashes.SHA256(), length, salt, label.encode()).derive(ikm)


def lp(data):
    return len(data).to_bytes(4, "big") + data


def fields(*values):
    """A map with the keys 0, 1, 2 in this order; what is None is left out."""
    return {key: value for key, value in enumerate(values) if value is not None}


def take(count, value):
    """The first values of a map; None where a key is absent. Keys nobody here knows are passed over."""
    return [value.get(key) for key in range(count)]


def encode(value):
    return cbor2.dumps(value)


def decode(data):
    """One item in the strict form: the only one that comes out again as it went in."""
    value = cbor2.loads(data)
    if cbor2.dumps(value, canonical=True) != data:
        raise ValueError("not strict CBOR")
    return value


def seal(key, plaintext):
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(plaintext, 0)


def unseal(key, token):
    fernet = Fernet(base64.urlsafe_b64encode(key))
    plaintext = fernet.decrypt(token)
    if fernet.extract_timestamp(token) != 0 or base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)) != token:
        raise ValueError("not a token of this protocol")
    return plaintext


class Invite:
    def __init__(self, text):
        address, secret = text.strip().removeprefix("chat://").split("/#")
        host, port = address.rsplit(":", 1)
        self.address = host.strip("[]"), int(port)
        raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
        if raw[0] != 1:
            raise ValueError("an invite of another version")
        self.server_key, self.secret, rest = raw[1:33], raw[33:65], raw[65:]
        self.offline_key = rest[:32] if len(rest) >= 32 else None
        self.token = rest[32 if self.offline_key else 0 :] or None


class Refused(Exception):
    CODES = (
        "bad_request unsupported denied approval_required busy rate_limited stale mailbox_full too_large exists "
        "not_found internal revoked"
    ).split()

    def __init__(self, error):
        self.code, self.heads = self.CODES[error[0]], error.get(2)
        super().__init__(self.code)


class Direction:
    """One direction's key and count."""

    def __init__(self, key):
        self.key, self.sequence, self.under_key, self.since = key, 0, 0, time.monotonic()

    def rekey(self):
        self.key, self.under_key, self.since = hkdf(b"", self.key, "chat/v1/transport/rekey"), 0, time.monotonic()

    def seal(self, kind, body):
        token = seal(self.key, self.sequence.to_bytes(8, "big") + bytes([kind]) + body)
        self.count()
        return lp(token)

    def unseal(self, token):
        plaintext = unseal(self.key, token)
        if int.from_bytes(plaintext[:8], "big") != self.sequence:
            raise ValueError("a record out of sequence")
        self.count()
        return plaintext[8], plaintext[9:]

    def count(self):
        self.sequence, self.under_key = self.sequence + 1, self.under_key + 1


class Connection:
    """A connection after its handshake: asks and waits for the answer, keeps pushes for later."""

    def __init__(self, invite):
        self.server_key, self.pushes, self.answers, self.asked = invite.server_key, collections.deque(), {}, 0
        self.socket = socket.create_connection(invite.address, DEADLINE)
        noise = NoiseConnection.from_name(b"Noise_NKpsk0_25519_ChaChaPoly_SHA256")
        noise.set_as_initiator()
        noise.set_prologue(OPENING)
        noise.set_psks(hkdf(b"", invite.secret, "chat/v1/transport/psk"))
        noise.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, invite.server_key)
        noise.start_handshake()
        first = noise.write_message()
        self.socket.sendall(OPENING + len(first).to_bytes(2, "big") + first)
        second = self.read(int.from_bytes(self.read(2), "big"))
        self.welcome = decode(bytes(noise.read_message(second)))
        states, h = noise.noise_protocol, noise.get_handshake_hash()
        keys = states.cipher_state_encrypt.k + states.cipher_state_decrypt.k
        split = hkdf(h, keys, "chat/v1/transport/split", 64)
        self.out, self.into = Direction(split[:32]), Direction(split[32:])
        self.binding = labelled("chat/v1/channel-binding", h)

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the server closed")
            data += more
        return data

    def write(self, kind, body=b""):
        out = self.out
        if kind != REKEY and (out.under_key >= RECORDS_PER_KEY or time.monotonic() - out.since > KEY_SECONDS):
            self.rekey()
        self.socket.sendall(out.seal(kind, body))

    def rekey(self):
        self.write(REKEY)
        self.out.rekey()

    def step(self):
        """Reads a record and sorts what it brings."""
        kind, body = self.into.unseal(self.read(int.from_bytes(self.read(4), "big")))
        if kind == DATA:
            items = io.BytesIO(body)
            while items.tell() < len(body):
                self.sort(cbor2.load(items))
        elif kind == REKEY:
            self.into.rekey()
        elif kind == PING:
            self.write(PONG)
        elif kind != PONG:
            raise ConnectionError("the server ended the connection")

    def sort(self, frame):
        kind, number, what, payload = frame
        if kind == PUSH:
            self.pushes.append((what, payload))
        else:
            self.answers[number] = (kind, payload)

    def ask(self, what, *values):
        """Asks and waits for the answer."""
        self.asked += 1
        self.write(DATA, encode([REQUEST, self.asked, what, fields(*values)]))
        while self.asked not in self.answers:
            self.step()
        kind, payload = self.answers.pop(self.asked)
        if kind == ERROR:
            raise Refused(payload)
        return payload

    def push(self):
        while not self.pushes:
            self.step()
        return self.pushes.popleft()

    def close(self):
        self.write(CLOSE)
        self.socket.close()
