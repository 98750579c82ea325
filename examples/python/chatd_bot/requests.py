"""The calls that both clients offer, as values: method, parameters, and how the answer is read.

Nothing here does any I/O; :class:`~chatd_bot.Client` and :class:`~chatd_bot.AsyncClient` carry the same requests out.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable, Generic, TypeVar

from .data import Entry, Message, Sent
from .wire import Json

T = TypeVar("T")

#: Tries of :meth:`Namespace.update` before it gives up against others that change the same value.
UPDATE_TRIES = 20


@dataclass(frozen=True)
class Request(Generic[T]):
    """A call. ``repeat``: it may be made again when its answer was lost, since twice is as good as once."""

    method: str
    params: Json
    read: Callable[[Any], T]
    repeat: bool = True
    #: What the daemon may take longer than usual, in seconds.
    extra_s: float = 0.0


def _nothing(_: Any) -> None:
    return None


def _said(**params: Any) -> Json:
    """Parameters, those left out that are ``None``."""
    return {name: value for name, value in params.items() if value is not None}


def send(to: str, text: str, client_id: str | None, **more: Any) -> Request[Sent]:
    """A text. It always has a ``client_id``, so that it can be repeated."""
    key = client_id or f"once-{uuid.uuid4()}"
    return Request("msg.send", _said(to=to, text=text, client_id=key, **more), Sent.of)


def edit(id: str, text: str) -> Request[Message]:
    """Another text for an own message."""
    return Request("msg.edit", {"id": id, "text": text}, Message.of)


def delete(id: str, everywhere: bool) -> Request[None]:
    """Takes a message away."""
    return Request("msg.delete", {"id": id, "scope": "all" if everywhere else "self"}, _nothing)


def react(id: str, emoji: str, remove: bool) -> Request[Message]:
    """A sign at a message."""
    return Request("msg.react", _said(id=id, emoji=emoji, remove=remove or None), Message.of)


def get(id: str) -> Request[Message]:
    """One message."""
    return Request("msg.get", {"id": id}, Message.of)


def wait(id: str, state: str, timeout: float) -> Request[str]:
    """The state of an own message, once it is so far."""
    params = {"id": id, "state": state, "timeout_ms": int(timeout * 1000)}
    return Request("msg.wait", params, lambda answer: str(answer["state"]), extra_s=timeout)


class History:
    """Messages of a chat, asked for until they are as many as wanted: long ones do not all fit one answer."""

    def __init__(self, chat: str, limit: int, before: str | None, after: str | None) -> None:
        self.chat, self.limit, self.before, self.after = chat, limit, before, after
        #: What came so far, oldest first.
        self.messages: list[Message] = []
        #: Whether there is nothing more to ask for.
        self.done = False

    def page(self) -> Request[None]:
        """Asks for what is next to what came so far."""
        left = self.limit - len(self.messages)
        return Request("msg.list", _said(to=self.chat, limit=left, before=self.before, after=self.after), self._take)

    def _take(self, page: Json) -> None:
        came = [Message.of(raw) for raw in page["messages"]]
        if self.after is None:
            self.messages = came + self.messages
            self.before = came[0].id if came else self.before
        else:
            self.messages += came
            self.after = came[-1].id if came else self.after
        self.done = not came or not page["more"] or len(self.messages) >= self.limit


def mark_read(chat: str, up_to: str | None) -> Request[int]:
    """Marks a chat read; what is left unread."""
    return Request("chat.mark_read", _said(to=chat, up_to=up_to), lambda answer: int(answer["unread"]))


def online() -> Request[list[str]]:
    """Who is online, oneself left out."""
    return Request("presence.list", {}, lambda a: [one["user"] for one in a["users"] if not one.get("me")])


def me() -> Request[str]:
    """Name of the account; empty while there is none."""
    return Request("account.status", {}, lambda answer: str(answer.get("user") or ""))


def ack(consumer: str, seq: int) -> Request[None]:
    """Everything up to ``seq`` was handled."""
    return Request("events.ack", {"consumer": consumer, "seq": seq}, _nothing)


def subscribe(
    consumer: str | None,
    begin: Any,
    types: Sequence[str] | None,
    chats: Sequence[str] | None,
    own: bool,
    max_inflight: int | None,
) -> Json:
    """Parameters of ``events.subscribe``."""
    params = _said(consumer=consumer, types=types and list(types), chats=chats and list(chats), include_self=own)
    if begin is not None:
        params["from"] = begin
    if consumer:
        params.update(_said(ack="manual", max_inflight=max_inflight))
    return params


class NamespaceRequests:
    """The calls on one namespace of ``kv``."""

    def __init__(self, scope: str) -> None:
        #: Name of the namespace.
        self.scope = scope

    def entry(self, key: str) -> Request[Entry]:
        """A value with its version."""
        return Request("kv.get", {"scope": self.scope, "key": key}, Entry.of)

    def put(self, key: str, value: Any, if_version: int | None) -> Request[Entry]:
        """Keeps a value. With ``if_version`` it is not repeated: the caller has to look again."""
        params = {**_said(scope=self.scope, key=key, if_version=if_version), "value": value}
        return Request("kv.set", params, Entry.of, repeat=if_version is None)

    def drop(self, key: str, if_version: int | None) -> Request[None]:
        """Forgets a value."""
        params = _said(scope=self.scope, key=key, if_version=if_version)
        return Request("kv.delete", params, _nothing, repeat=if_version is None)

    def page(self, prefix: str | None, after: str | None) -> Request[Json]:
        """A page of the namespace."""
        params = _said(scope=self.scope, prefix=prefix, after=after, limit=500)
        return Request("kv.list", params, lambda answer: dict(answer))
