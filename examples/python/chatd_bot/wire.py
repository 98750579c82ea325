"""JSON-RPC 2.0, one object a line: what is written and what is read, without any socket.

Both clients stand on this, so that they cannot differ. A line that is no JSON object, or that ends half-way, means
that the connection cannot be trusted any more: :class:`~chatd_bot.errors.Disconnected`.
"""

from __future__ import annotations

import json
from typing import Any

from .errors import Disconnected, refused

#: Version of the API this package was written for.
API = "1"
#: How this package presents itself to the daemon.
CLIENT = "chatd_bot/0.1.0"
#: Longest line that is read: 64 MiB. A page of 500 messages of 60 KiB, escaped, stays below it.
MAX_LINE_BYTES = 64 * 1024 * 1024

Json = dict[str, Any]


def request(number: int, method: str, params: Json) -> bytes:
    """A call as a line. A text that is no Unicode (a lone surrogate) is a :class:`ValueError`."""
    call = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse(line: bytes) -> Json:
    """A line as an object."""
    try:
        message = json.loads(line)
    except ValueError as broken:
        raise Disconnected(f"chatd sent a line that is not JSON: {line[:80]!r}") from broken
    if not isinstance(message, dict):
        raise Disconnected(f"chatd sent a line that is not an object: {line[:80]!r}")
    return message


def result(method: str, answer: Json) -> Any:
    """What an answer says. Raises :class:`~chatd_bot.errors.Refused` for a refusal."""
    if "error" in answer:
        raise refused(method, answer["error"])
    return answer.get("result")


class Lines:
    """Cuts what arrives into lines; a line may come in any number of pieces."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> list[Json]:
        """Takes bytes and returns the objects that are whole now. No bytes at all is the end of the connection."""
        if not data:
            raise Disconnected("chatd closed the connection" + (" within a line" if self._held else ""))
        *ends, rest = data.split(b"\n")
        found = []
        for end in ends:
            self._pieces.append(end)
            line = b"".join(self._pieces)
            self._pieces, self._held = [], 0
            if line.strip():
                found.append(parse(line))
        if rest:
            self._pieces.append(rest)
            self._held += len(rest)
        if self._held > self._limit:
            raise Disconnected(f"chatd sent a line of more than {self._limit} bytes")
        return found
