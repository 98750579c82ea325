"""Identities and sessions once more, from independent parts: cryptography, cbor2 and Syndace's DoubleRatchet.

    e2e.py vectors DIR     writes the frozen vectors
    e2e.py                 answers one JSON command a line, for the oracle test
"""

import asyncio
import base64
import hashlib
import json
import pathlib
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from doubleratchet import DoubleRatchet, EncryptedMessage, Header
from doubleratchet.aead import AEAD, AuthenticationFailedException
from doubleratchet.recommended import HashFunction, diffie_hellman_ratchet_curve25519, kdf_hkdf, kdf_separate_hmacs

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
AT = 1_700_000_000_000
DAY = 24 * 60 * 60 * 1000
RAW = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)


def digest(data):
    return hashlib.sha256(data).digest()


def labelled(label, data):
    return digest(label.encode() + b"\0" + data)


def lp(data):
    return len(data).to_bytes(4, "big") + data


def hkdf(salt, ikm, label, length=32):
    return HKDF(hashes.SHA256(), length, salt, label.encode()).derive(ikm)


# Keys


def private_pem(text, passphrase=None):
    return serialization.load_pem_private_key(text.encode(), passphrase)


def fixture(name):
    return private_pem((FIXTURES / f"{name}.pem").read_text())


def spki(private):
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def x_public(private):
    return private.public_key().public_bytes(*RAW)


def exchange(private, public):
    return private.exchange(X25519PublicKey.from_public_bytes(public))


def signed_bytes(context, obj):
    return b"chat/v1/sig\0" + context.encode() + b"\0" + digest(obj)


def sign(private, context, obj):
    return private.sign(signed_bytes(context, obj), PSS, hashes.SHA256())


def verify(public_spki, context, obj, signature):
    public = serialization.load_der_public_key(public_spki)
    public.verify(signature, signed_bytes(context, obj), PSS, hashes.SHA256())


# Devices and account logs


class Device:
    """Test device n with the X25519 and ML-KEM keys its number gives."""

    def __init__(self, user, n):
        self.user, self.n = user, n
        self.dsk, self.dek = fixture(f"sign_{n}"), fixture(f"priv_{n}")
        self.dxk = X25519PrivateKey.from_private_bytes(digest(n.to_bytes(8, "big")))
        self.spk = X25519PrivateKey.from_private_bytes(digest(b"spk" + bytes([n])))
        self.one_time = X25519PrivateKey.from_private_bytes(digest(b"one-time" + bytes([n])))
        self.kem_seed = hashlib.sha512(b"kem" + bytes([n])).digest()
        self.kem = MLKEM768PrivateKey.from_seed_bytes(self.kem_seed)
        self.cert = cbor2.dumps({0: 1, 1: user, 2: spki(self.dsk), 3: spki(self.dek), 4: x_public(self.dxk), 5: AT})
        self.id = labelled("chat/v1/device", self.cert)[:16]

    def prekeys(self):
        return {
            "spk": self.spk.private_bytes_raw().hex(),
            "kem_seed": self.kem_seed.hex(),
            "one_time": self.one_time.private_bytes_raw().hex(),
        }


class Log:
    """An account log as its devices write it."""

    def __init__(self, first):
        self.user, self.entries, self.head = first.user, [], bytes(32)
        self.write(first, [0, {0: first.cert}])
        self.fingerprint = self.head

    def write(self, by, op):
        entry = cbor2.dumps({0: len(self.entries), 1: self.head, 2: op, 3: by.id, 4: AT + len(self.entries)})
        self.entries.append(cbor2.dumps({0: entry, 1: sign(by.dsk, "log", entry)}))
        self.head = labelled("chat/v1/log", entry)

    def add(self, by, device):
        self.write(by, [0, {0: device.cert, 1: sign(device.dsk, "join", self.fingerprint + device.cert)}])

    def revoke(self, by, device):
        self.write(by, [1, {0: [device.id]}])

    def cbor_head(self):
        return {0: len(self.entries) - 1, 1: self.head}


def groups(hashed, count):
    return "".join(f"{int.from_bytes(hashed[5 * i : 5 * i + 5], 'big') % 100000:05}" for i in range(count))


def safety_half(log):
    seq = (len(log.entries) - 1).to_bytes(8, "big")
    account = (1).to_bytes(2, "big") + log.fingerprint + seq + log.head + lp(log.user.encode())
    hashed = hashlib.sha512(account).digest()
    for _ in range(5199):
        hashed = hashlib.sha512(hashed + account).digest()
    return groups(hashed, 6)


def approval(fingerprint, device):
    return groups(hashlib.sha512(b"chat/v1/approve\0" + fingerprint + device).digest(), 12)


def identity_vector():
    laptop, phone, bob = Device("alice", 0), Device("alice", 1), Device("bob", 2)
    log, other = Log(laptop), Log(bob)
    log.add(laptop, phone)
    log.revoke(laptop, phone)
    channel, server_key = bytes([1]) * 32, bytes([2]) * 32
    login = channel + server_key + lp(b"alice") + laptop.id
    return {
        "user": "alice",
        "entries": [entry.hex() for entry in log.entries],
        "fingerprint": log.fingerprint.hex(),
        "head": log.head.hex(),
        "devices": [laptop.id.hex(), phone.id.hex()],
        "peer": [entry.hex() for entry in other.entries],
        "safety_number": "".join(sorted([safety_half(log), safety_half(other)])),
        "approval_digits": approval(log.fingerprint, phone.id),
        "channel": channel.hex(),
        "server_key": server_key.hex(),
        "login": sign(laptop.dsk, "login", login).hex(),
        "enrol": sign(laptop.dsk, "enrol", channel + server_key + lp(laptop.cert)).hex(),
    }


# Starting a session


def bundle(device):
    body = {
        0: 1, 1: [1], 2: device.user, 3: device.id, 4: 1, 5: AT, 6: AT + 30 * DAY, 7: 1, 8: x_public(device.spk),
        9: 2, 10: device.kem.public_key().public_bytes_raw(), 11: [digest(x_public(device.one_time))],
        12: [1],
    }
    body = cbor2.dumps(body)
    return cbor2.dumps({0: body, 1: sign(device.dsk, "bundle", body)})


def transcript(init, certs, spk, kem_key, one_time):
    return labelled("chat/v1/init", b"".join(map(lp, [init, *certs, spk, kem_key, one_time])))


def schedule(th, share, agreed, kem_secret):
    sk = hkdf(th, b"\xff" * 32 + share + b"".join(agreed) + kem_secret, "chat/v1/session")
    return sk, labelled("chat/v1/sid", th)[:16]


def bound(sid, init):
    a, b = init[2], init[3]
    return b"chat/v1/ad\0" + sid + a[2] + a[1] + b[2] + b[1]


def party(log, device):
    return {0: log.user, 1: device, 2: log.fingerprint, 3: log.cbor_head()}


def initiate(alice, alice_log, bob_cert, bob_party, signed_bundle, one_time, text):
    """Begins a session from what a server hands out; (INIT, session, header, token)."""
    signed = cbor2.loads(signed_bundle)
    cert, body = cbor2.loads(bob_cert), cbor2.loads(signed[0])
    verify(cert[2], "bundle", signed[0], signed[1])
    assert one_time is None or digest(one_time) in body[11]
    fk = Fernet.generate_key()
    ct_kem, kem_secret = encapsulate(body[10])
    ek = X25519PrivateKey.generate()
    init = {
        0: 1, 1: 1, 2: party(alice_log, alice.id), 3: bob_party, 4: digest(signed[0]), 5: body[7], 6: body[9],
        7: one_time and digest(one_time), 8: x_public(ek),
        9: serialization.load_der_public_key(cert[3]).encrypt(fk, OAEP), 10: ct_kem, 11: AT,
        12: 1,
    }
    init = cbor2.dumps({key: value for key, value in init.items() if value is not None})
    agreed = [exchange(alice.dxk, body[8]), exchange(ek, cert[4]), exchange(ek, body[8])]
    agreed += [exchange(ek, one_time)] if one_time else []
    th = transcript(init, [alice.cert, bob_cert], body[8], body[10], one_time or b"")
    sk, sid = schedule(th, base64.urlsafe_b64decode(fk), agreed, kem_secret)
    session, header, token = Session.begin(sk, body[8], bound(sid, cbor2.loads(init)), text)
    return init, sid, session, header, token


def encapsulate(kem_key):
    secret, ciphertext = MLKEM768PublicKey.from_public_bytes(kem_key).encapsulate()
    return (ciphertext, secret) if len(secret) == 32 else (secret, ciphertext)


def respond(command):
    """The responder's end of an INIT, from its private keys."""
    init_bytes = bytes.fromhex(command["init"])
    init = cbor2.loads(init_bytes)
    certs = [bytes.fromhex(cert) for cert in command["certs"]]
    spk, dxk = (X25519PrivateKey.from_private_bytes(bytes.fromhex(command[key])) for key in ("spk", "dxk"))
    kem = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(command["kem_seed"]))
    one_time = command["one_time"] and X25519PrivateKey.from_private_bytes(bytes.fromhex(command["one_time"]))
    share = base64.urlsafe_b64decode(private_pem(command["dek"]).decrypt(init[9], OAEP))
    dxk_a = cbor2.loads(certs[0])[4]
    agreed = [exchange(spk, dxk_a), exchange(dxk, init[8]), exchange(spk, init[8])]
    agreed += [exchange(one_time, init[8])] if one_time else []
    kem_key = kem.public_key().public_bytes_raw()
    th = transcript(init_bytes, certs, x_public(spk), kem_key, x_public(one_time) if one_time else b"")
    sk, sid = schedule(th, share, agreed, kem.decapsulate(init[10]))
    ad, header, token = bound(sid, init), bytes.fromhex(command["header"]), bytes.fromhex(command["token"])
    session, text = Session.answer(sk, spk.private_bytes_raw(), ad, header, token)
    return sid, session, text


# The ratchet


class RootKDF(kdf_hkdf.KDF):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256

    @staticmethod
    def _get_info():
        return b"chat/v1/dr/root"


class MessageKDF(kdf_separate_hmacs.KDF):
    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256


class FernetAEAD(AEAD):
    @staticmethod
    def fernet(key, associated_data):
        return Fernet(base64.urlsafe_b64encode(hkdf(digest(associated_data), key, "chat/v1/dr/fernet")))

    @staticmethod
    async def encrypt(plaintext, key, associated_data):
        return base64.urlsafe_b64decode(FernetAEAD.fernet(key, associated_data).encrypt_at_time(plaintext, 0))

    @staticmethod
    async def decrypt(ciphertext, key, associated_data):
        try:
            return FernetAEAD.fernet(key, associated_data).decrypt(base64.urlsafe_b64encode(ciphertext))
        except InvalidToken as error:
            raise AuthenticationFailedException from error


def header_bytes(header):
    numbers = (header.previous_sending_chain_length, header.sending_chain_length)
    return header.ratchet_pub + b"".join(number.to_bytes(4, "big") for number in numbers)


def read_header(data):
    return Header(data[:32], int.from_bytes(data[32:36], "big"), int.from_bytes(data[36:], "big"))


class Ratchet(DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data, header):
        return associated_data + header_bytes(header)


CONFIG = {
    "diffie_hellman_ratchet_class": diffie_hellman_ratchet_curve25519.DiffieHellmanRatchet,
    "root_chain_kdf": RootKDF,
    "message_chain_kdf": MessageKDF,
    "message_chain_constant": b"\x02\x01",
    "dos_protection_threshold": 1000,
    "max_num_skipped_message_keys": 2000,
    "aead": FernetAEAD,
}


class Session:
    def __init__(self, ratchet, ad):
        self.ratchet, self.ad = ratchet, ad

    @classmethod
    def begin(cls, sk, spk, ad, text):
        made = Ratchet.encrypt_initial_message(
            **CONFIG, shared_secret=sk, recipient_ratchet_pub=spk, message=text, associated_data=ad
        )
        ratchet, message = asyncio.run(made)
        return cls(ratchet, ad), header_bytes(message.header), message.ciphertext

    @classmethod
    def answer(cls, sk, spk_private, ad, header, token):
        message = EncryptedMessage(read_header(header), token)
        made = Ratchet.decrypt_initial_message(
            **CONFIG, shared_secret=sk, own_ratchet_priv=spk_private, message=message, associated_data=ad
        )
        ratchet, text = asyncio.run(made)
        return cls(ratchet, ad), text

    def seal(self, text):
        message = asyncio.run(self.ratchet.encrypt_message(text, self.ad))
        return header_bytes(message.header), message.ciphertext

    def open(self, header, token):
        return asyncio.run(self.ratchet.decrypt_message(EncryptedMessage(read_header(header), token), self.ad))


def session_vector():
    """Alice begins with Bob, once with a one-time key and once without, and they talk."""
    alice, bob = Device("alice", 0), Device("bob", 2)
    alice_log, bob_log = Log(alice), Log(bob)
    signed_bundle, cases = bundle(bob), []
    for one_time in (x_public(bob.one_time), None):
        bob_party = party(bob_log, bob.id)
        begun = initiate(alice, alice_log, bob.cert, bob_party, signed_bundle, one_time, b"message 0")
        init, sid, session, header, token = begun
        messages = [(header, token)] + [session.seal(f"message {n}".encode()) for n in range(1, 4)]
        cases.append({
            "init": init.hex(), "sid": sid.hex(), "one_time": one_time is not None,
            "messages": [{"header": h.hex(), "token": t.hex()} for h, t in messages],
        })
    return {
        "alice": alice_log.entries[0].hex(), "bob": bob_log.entries[0].hex(), "bundle": signed_bundle.hex(),
        **bob.prekeys(), "cases": cases,
    }


def content_vector():
    """Field numbers and padding of contents, written out by hand."""
    head = {0: 3, 1: bytes([0xAA]) * 32}
    ack = {0: bytes([0xDD]) * 16, 1: 5, 2: 1000, 3: [998, 999]}
    target = bytes([0x77]) * 16
    bodies = {
        "text": (1, {0: "hello"}), "reply": (2, {0: "yes", 1: target}), "edit": (3, {0: target, 1: "hallo"}),
        "delete": (4, {0: target}), "reaction": (5, {0: target, 1: "👍"}), "receipt": (128, {0: [ack]}),
        "heartbeat": (129, {}), "reset": (130, {}), "log_entries": (131, {0: "bob", 1: [b"entry"]}),
        "profile": (132, {0: "Bob's bot", 1: "says when something breaks", 2: True, 3: AT}),
        "unsupported": (40, {0: 1}),
        "text_with_all": (1, {0: "hello @bob", 2: ["bob", "carol"], 3: 3600}),
        "reply_with_all": (2, {0: "yes @bob", 1: target, 2: ["bob"], 3: 5}),
    }
    vectors = {}
    for name, (kind, body) in bodies.items():
        fields = {0: 1, 1: kind, 2: {0: "alice"}, 3: bytes([7]) * 16, 4: {0: 9, 1: 70}, 5: AT, 6: {0: head, 1: head},
                  7: [ack], 8: cbor2.dumps(body)}
        if kind >= 128:
            del fields[4]
        vectors[name] = padded(fields)
    later = fields | {0: 2, 1: 1, 4: {0: 9, 1: 70}, 8: cbor2.dumps({0: "hello", 9: "of a later version"}), 9: "new"}
    vectors["later_version"] = padded(dict(sorted(later.items())))
    vectors["owed_from"] = padded(fields | {1: 1, 4: {0: 9, 1: 70, 2: 42}, 8: cbor2.dumps({0: "hello"})})
    return vectors


def padded(fields):
    content = cbor2.dumps(fields) + b"\x80"
    return (content + bytes(480 - len(content))).hex()


SESSIONS = {}


def remember(name, session):
    SESSIONS[name] = session


def run(command):
    kind = command["do"]
    unhex = lambda key: bytes.fromhex(command[key])
    if kind == "vectors":
        return {"identity": identity_vector(), "session": session_vector()}
    if kind == "open_pem":
        return {"spki": spki(private_pem(command["pem"], command["passphrase"].encode())).hex()}
    if kind == "seal_pem":
        encryption = serialization.BestAvailableEncryption(command["passphrase"].encode())
        pem = private_pem(command["pem"]).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        return {"pem": pem.decode()}
    if kind == "verify":
        try:
            verify(unhex("spki"), command["context"], unhex("object"), unhex("signature"))
            return {"valid": True}
        except InvalidSignature:
            return {"valid": False}
    if kind == "seed_send":
        key = Fernet.generate_key()
        wrapped = serialization.load_der_public_key(unhex("spki")).encrypt(key, OAEP)
        return {"key": wrapped.hex(), "token": Fernet(key).encrypt_at_time(command["text"].encode(), 0).decode()}
    if kind == "seed_receive":
        key = private_pem(command["pem"]).decrypt(unhex("key"), OAEP)
        return {"text": Fernet(key).decrypt(command["token"].encode()).decode()}
    if kind == "respond":
        sid, session, text = respond(command)
        remember(command["name"], session)
        return {"sid": sid.hex(), "text": text.decode()}
    if kind == "initiate":
        alice = Device("alice", 0)
        log = Log(alice)
        one_time = command["one_time"] and unhex("one_time")
        bob_party = cbor2.loads(unhex("party"))
        begun = initiate(alice, log, unhex("cert"), bob_party, unhex("bundle"), one_time, command["text"].encode())
        init, sid, session, header, token = begun
        remember(command["name"], session)
        return {"log": log.entries[0].hex(), "init": init.hex(), "sid": sid.hex(), "header": header.hex(), "token": token.hex()}
    if kind == "seal":
        header, token = SESSIONS[command["name"]].seal(command["text"].encode())
        return {"header": header.hex(), "token": token.hex()}
    if kind == "open":
        return {"text": SESSIONS[command["name"]].open(unhex("header"), unhex("token")).decode()}
    raise ValueError(kind)


def main():
    if sys.argv[1:2] == ["vectors"]:
        to = pathlib.Path(sys.argv[2])
        for name, vector in (("identity", identity_vector()), ("session", session_vector()), ("content", content_vector())):
            (to / f"{name}.json").write_text(json.dumps(vector, indent=1, ensure_ascii=False) + "\n")
        return
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
