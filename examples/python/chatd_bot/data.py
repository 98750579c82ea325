"""What the daemon says, as objects. ``raw`` has everything, also what a newer daemon adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .wire import Json

#: The public room: everybody on the server reads it, the server included.
ROOM = "room:public"


@dataclass
class Event:
    """Something that happened. ``seq`` is its place in the log; volatile events have none."""

    type: str
    data: Json
    seq: int | None = None
    time_ms: int = 0
    chat: str | None = None
    #: It happened before the subscription began.
    replayed: bool = False

    @classmethod
    def of(cls, raw: Json) -> Event:
        """Reads ``params`` of a notification, or an entry of ``events.pull``."""
        data = raw.get("data")
        return cls(
            type=str(raw.get("type", "")),
            data=data if isinstance(data, dict) else {},
            seq=raw.get("seq"),
            time_ms=int(raw.get("time_ms", 0)),
            chat=raw.get("chat"),
            replayed=bool(raw.get("replayed", False)),
        )

    @property
    def sender(self) -> str:
        """Who did it: the author of a message, whoever reacted; empty if the event is of nobody."""
        for key in ("from", "user", "from_user"):
            if isinstance(self.data.get(key), str):
                return str(self.data[key])
        return ""


@dataclass
class Message:
    """A message of the history."""

    id: str
    chat: str
    #: Author (``from`` in the API, which is a word of Python).
    sender: str
    text: str
    #: Written by this account.
    outgoing: bool
    #: When its author says it was sent, and when this daemon stored it.
    sent_ms: int
    stored_ms: int
    #: What became of it, if it is our own: ``queued``, ``accepted``, ``delivered``, ``read``, ``failed``, …
    state: str | None = None
    client_id: str | None = None
    reply_to: str | None = None
    mentions: list[str] = field(default_factory=list)
    deleted: bool = False
    raw: Json = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Json) -> Message:
        """Reads a message."""
        return cls(
            id=raw["id"],
            chat=raw["chat"],
            sender=raw["from"],
            text=raw.get("text", ""),
            outgoing=raw.get("outgoing", False),
            sent_ms=raw.get("sent_ms", 0),
            stored_ms=raw.get("stored_ms", 0),
            state=raw.get("state"),
            client_id=raw.get("client_id"),
            reply_to=raw.get("reply_to"),
            mentions=list(raw.get("mentions", ())),
            deleted=raw.get("deleted", False),
            raw=raw,
        )


@dataclass
class Sent:
    """The daemon has a message of ours, durably."""

    id: str
    chat: str
    state: str
    #: It was sent before under the same ``client_id``: nothing was sent now.
    duplicate: bool

    @classmethod
    def of(cls, raw: Json) -> Sent:
        """Reads what ``msg.send`` answers."""
        return cls(raw["id"], raw["chat"], raw["state"], bool(raw.get("duplicate", False)))


@dataclass
class Entry:
    """A value in a namespace of ``kv``. ``version`` grows with each change; 0 says that there is none yet."""

    key: str
    value: Any
    version: int

    @classmethod
    def of(cls, raw: Json) -> Entry:
        """Reads a value."""
        return cls(raw["key"], raw["value"], raw["version"])
