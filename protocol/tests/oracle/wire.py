"""The transport once more, from independent parts: noiseprotocol, cryptography and cbor2.

    wire.py vectors DIR    writes the frozen vectors
    wire.py                answers one JSON command a line, for the oracle test
"""

import base64
import io
import json
import pathlib
import sys
import warnings

import cbor2
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from noise.connection import Keypair, NoiseConnection

import messages

# fixed ephemeral keys are what vectors are made of
warnings.filterwarnings("ignore", module="noise")

OPENING = b"CHAT\x01\x01\x01"


def digest(data):
    hasher = hashes.Hash(hashes.SHA256())
    hasher.update(data)
    return hasher.finalize()


def hkdf(salt, ikm, label, length=32):
    return HKDF(hashes.SHA256(), length, salt, label).derive(ikm)


def fernet(key):
    return Fernet(base64.urlsafe_b64encode(key))


def public(private):
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(*raw)


def psk(secret_key):
    return hkdf(b"", base64.urlsafe_b64decode(secret_key), b"chat/v1/transport/psk")


def noise(secret_key, opening, keypairs, initiator):
    connection = NoiseConnection.from_name(b"Noise_NKpsk0_25519_ChaChaPoly_SHA256")
    connection.set_psks(psk(secret_key))
    connection.set_prologue(opening)
    connection.set_as_initiator() if initiator else connection.set_as_responder()
    for kind, key in keypairs.items():
        if kind == Keypair.REMOTE_STATIC:
            connection.set_keypair_from_public_bytes(kind, key)
        else:
            connection.set_keypair_from_private_bytes(kind, key)
    connection.start_handshake()
    return connection


def split(connection, initiator):
    protocol = connection.noise_protocol
    states = protocol.cipher_state_encrypt, protocol.cipher_state_decrypt
    k1, k2 = (state.k for state in (states if initiator else reversed(states)))
    h = connection.get_handshake_hash()
    keys = hkdf(h, k1 + k2, b"chat/v1/transport/split", 64)
    binding = digest(b"chat/v1/channel-binding\x00" + h)
    return {"client_to_server": keys[:32].hex(), "server_to_client": keys[32:].hex(), "channel_binding": binding.hex()}


def lengthened(message):
    return len(message).to_bytes(2, "big") + bytes(message)


def record(token):
    return len(token).to_bytes(4, "big") + token


def plain(value):
    """CBOR as JSON: byte strings become hexadecimal text, map keys text."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


class Oracle:
    """One connection as Python sees it; each method is a command."""

    def client_hello(self, server_public, secret):
        self.client = noise(secret, OPENING, {Keypair.REMOTE_STATIC: bytes.fromhex(server_public)}, True)
        return {"first": (OPENING + lengthened(self.client.write_message())).hex()}

    def client_finish(self, second):
        welcome = self.client.read_message(bytes.fromhex(second)[2:])
        return {"welcome": plain(cbor2.loads(bytes(welcome))), **split(self.client, True)}

    def low_order_hello(self, point, server_public, secret):
        """A client whose ephemeral key makes every agreement zero."""
        self.client = noise(secret, OPENING, {Keypair.REMOTE_STATIC: bytes.fromhex(server_public)}, True)
        state = self.client.noise_protocol.handshake_state
        state.e = self.client.noise_protocol.dh_fn.generate_keypair()
        state.e.public_bytes = bytes.fromhex(point)
        self.client.noise_protocol.dh_fn.dh = lambda private, public: bytes(32)
        return {"first": (OPENING + lengthened(self.client.write_message())).hex()}

    def server_answer(self, server_private, secret, first, welcome):
        first = bytes.fromhex(first)
        connection = noise(secret, first[:7], {Keypair.STATIC: bytes.fromhex(server_private)}, False)
        assert connection.read_message(first[9:]) == b""
        second = lengthened(connection.write_message(bytes.fromhex(welcome)))
        return {"second": second.hex(), **split(connection, False)}

    def seal(self, key, records):
        cipher, stream = fernet(bytes.fromhex(key)), b""
        for sequence, kind, body in records:
            plaintext = sequence.to_bytes(8, "big") + bytes([kind]) + bytes.fromhex(body)
            stream += record(cipher.encrypt_at_time(plaintext, 0))
        return {"stream": stream.hex()}

    def open(self, key, stream):
        cipher, stream, records = fernet(bytes.fromhex(key)), io.BytesIO(bytes.fromhex(stream)), []
        while prefix := stream.read(4):
            plaintext = cipher.decrypt(stream.read(int.from_bytes(prefix, "big")))
            records.append([int.from_bytes(plaintext[:8], "big"), plaintext[8], plaintext[9:].hex()])
        return {"records": records}

    def frames(self, body):
        stream = io.BytesIO(bytes.fromhex(body))
        frames, end = [], len(stream.getvalue())
        while stream.tell() < end:
            frames.append(plain(cbor2.CBORDecoder(stream, read_size=1).decode()))
        return {"frames": frames}

    def next_key(self, key):
        return {"key": hkdf(b"", bytes.fromhex(key), b"chat/v1/transport/rekey").hex()}

    def secret_key(self):
        return {"key": Fernet.generate_key().decode()}

    def fernet_opens(self, key, token):
        return {"plaintext": Fernet(key).decrypt(token).decode()}


def handshake_vector():
    secret_key = base64.urlsafe_b64encode(bytes(range(32))).decode()
    server, client_e, server_e = bytes([0x11]) * 32, bytes([0x22]) * 32, bytes([0x33]) * 32
    client_keys = {Keypair.REMOTE_STATIC: public(server), Keypair.EPHEMERAL: client_e}
    client = noise(secret_key, OPENING, client_keys, True)
    responder = noise(secret_key, OPENING, {Keypair.STATIC: server, Keypair.EPHEMERAL: server_e}, False)
    first = bytes(client.write_message())
    assert responder.read_message(first) == b""
    limits = {0: 64, 1: 30, 2: 30, 3: False}
    welcome = cbor2.dumps({0: 1, 1: 1, 2: 1, 3: 1_800_000_000_000, 4: limits, 5: []}, canonical=True)
    second = bytes(responder.write_message(welcome))
    assert client.read_message(second) == welcome and split(client, True) == split(responder, False)
    return {
        "secret_key": secret_key,
        "psk": psk(secret_key).hex(),
        "server_private": server.hex(),
        "server_public": public(server).hex(),
        "client_ephemeral_private": client_e.hex(),
        "server_ephemeral_private": server_e.hex(),
        "first": (OPENING + lengthened(first)).hex(),
        "welcome": welcome.hex(),
        "second": lengthened(second).hex(),
        "handshake_hash": client.get_handshake_hash().hex(),
        **split(client, True),
    }


def record_vector():
    keys = [bytes([7]) * 32]
    keys.append(hkdf(b"", keys[0], b"chat/v1/transport/rekey"))
    contents = [(0, 0, b"hello"), (0, 3, b""), (0, 1, b""), (1, 0, b"under the next key"), (1, 128, b""),
                (1, 255, b"of a later version"), (1, 4, b""), (1, 2, b"")]
    records = []
    for sequence, (generation, kind, body) in enumerate(contents):
        plaintext = sequence.to_bytes(8, "big") + bytes([kind]) + body
        token = fernet(keys[generation])._encrypt_from_parts(plaintext, 0, bytes([sequence]) * 16)
        records.append({"type": kind, "body": body.hex(), "record": record(token).hex()})
    return {"key": keys[0].hex(), "next_key": keys[1].hex(), "records": records}


def frame_vector():
    frames = [
        (0, 0, 49, {0: 1}),
        (1, 23, 49, {}),
        (2, 24, 48, {0: 6, 1: 250}),
        (3, 0, 6, {0: 2**53 - 1}),
        (0, 2**16, 255, {0: "text"}),
        (0, 2**53 - 1, 65535, [b"bytes", True, None, -1]),
    ]
    parts = [[kind, number, call, cbor2.dumps(payload).hex()] for kind, number, call, payload in frames]
    return {"body": b"".join(cbor2.dumps(list(frame), canonical=True) for frame in frames).hex(), "frames": parts}


def fernet_token(key, plaintext, timestamp=0, version=0x80, pad=True, iv=bytes(16), mac=None):
    """A token with any defect, its MAC right unless given."""
    if pad:
        fill = 16 - len(plaintext) % 16
        plaintext += bytes([fill]) * fill
    aes = Cipher(algorithms.AES(key[16:]), modes.CBC(iv)).encryptor()
    whole = len(plaintext) // 16 * 16
    ciphertext = aes.update(plaintext[:whole]) + plaintext[whole:]
    token = bytes([version]) + timestamp.to_bytes(8, "big") + iv + ciphertext
    hmac = HMAC(key[:16], hashes.SHA256())
    hmac.update(token)
    return base64.urlsafe_b64encode(token + (mac or hmac.finalize())).decode()


def fernet_vector():
    key = bytes([7]) * 32
    good = fernet_token(key, b"hello")
    assert fernet(key).decrypt(good) == b"hello"
    raw = base64.urlsafe_b64decode(good)
    swapped = bytes([raw[9] ^ 0x0F]) + raw[10:25]
    bad = {
        "latest timestamp there is": fernet_token(key, b"hello", timestamp=2**64 - 1),
        "latest timestamp, wrong mac": fernet_token(key, b"hello", timestamp=2**64 - 1, mac=bytes(32)),
        "timestamp that overflows when 60 s are added": fernet_token(key, b"hello", timestamp=2**64 - 60),
        "timestamp 1": fernet_token(key, b"hello", timestamp=1),
        "version 0x81": fernet_token(key, b"hello", version=0x81),
        "version 0x81, wrong mac": fernet_token(key, b"hello", version=0x81, mac=bytes(32)),
        "version 0": fernet_token(key, b"hello", version=0),
        "incorrect mac": fernet_token(key, b"hello", mac=bytes(32)),
        "empty ciphertext": fernet_token(key, b"", pad=False),
        "empty ciphertext, wrong mac": fernet_token(key, b"", pad=False, mac=bytes(32)),
        "payload size not multiple of block size": fernet_token(key, b"hello", pad=False),
        "payload padding error": fernet_token(key, bytes([0]) * 16, pad=False),
        "payload padding beyond a block": fernet_token(key, bytes([17]) * 16, pad=False),
        "iv changed": base64.urlsafe_b64encode(raw[:9] + swapped + raw[25:]).decode(),
        "odd length": good[:-1],
        "no padding": good.rstrip("="),
        "padding twice": good + "==",
        "four padding characters more": good + "====",
        "bits behind the last byte": good.rstrip("=")[:-1] + chr(ord(good.rstrip("=")[-1]) + 1) + "=" * good.count("="),
        "standard base64 alphabet": "+" + good[1:],
        "line end": good + "\n",
        "space in front": " " + good,
        "nothing": "",
        "header alone": good[:12],
        "not ascii": "é" + good[2:],
        "too short": base64.urlsafe_b64encode(raw[:40]).decode(),
    }
    return {
        "key": base64.urlsafe_b64encode(key).decode(),
        "good": good,
        "invalid": [{"desc": desc, "token": token} for desc, token in bad.items()],
    }


def write_vectors(folder):
    vectors = {
        "handshake": handshake_vector,
        "records": record_vector,
        "frames": frame_vector,
        "fernet": fernet_vector,
        "messages": messages.vector,
    }
    for name, make in vectors.items():
        (pathlib.Path(folder) / f"{name}.json").write_text(json.dumps(make(), indent=1) + "\n")


def main():
    if sys.argv[1:2] == ["vectors"]:
        return write_vectors(sys.argv[2])
    oracle = Oracle()
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(oracle, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    main()
