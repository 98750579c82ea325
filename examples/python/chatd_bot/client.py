"""The daemon for scripts: calls, and the events as a stream."""

from __future__ import annotations

import socket as sockets
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Callable, TypeVar

from . import requests
from .connection import Connection, Pool, Woken, clock
from .data import Entry, Event, Message, Sent
from .errors import Conflict, Disconnected, NotFound, SubscriptionEnded
from .paths import socket_path
from .requests import UPDATE_TRIES, NamespaceRequests, Request

T = TypeVar("T")

#: Silence after which a subscription's connection is taken for dead; the daemon's heartbeat comes every 30 s.
SILENCE_S = 95.0
#: First and longest pause before something is tried again.
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 30.0


class Client:
    """Calls chatd. May be used by several threads; connects when it is first needed, and again after a loss.

    ``timeout``: seconds one call may take. ``patience``: seconds for which a call that can be repeated safely (all of
    the methods here but a ``kv`` change with ``if_version``) is tried again while the daemon is away.

    The socket is found as by :func:`~chatd_bot.socket_path`.
    """

    def __init__(
        self,
        socket: str | None = None,
        *,
        profile: str | None = None,
        data_dir: str | None = None,
        timeout: float = 30.0,
        patience: float = 10.0,
    ) -> None:
        self._find = partial(socket_path, socket, profile=profile, data_dir=data_dir)
        self.timeout = timeout
        self.patience = patience
        self._pool = Pool(self._find)
        # what is wrong with the arguments is said here, and not at the first call
        self._find()

    @property
    def path(self) -> str:
        """The socket; looked for with each connection, since a daemon that was started anew may have another."""
        return self._find()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes what is open; the next call connects again."""
        self._pool.close()

    def call(self, method: str, **params: Any) -> Any:
        """Any method of the API (``chatd openrpc`` lists them), made once.

        Raises :class:`~chatd_bot.Refused`, :class:`~chatd_bot.Disconnected`, :class:`~chatd_bot.NoAnswer`. Parameters
        that are words of Python go into a dictionary: ``call("msg.search", query="x", **{"from": "bob"})``.
        """
        return self._pool.call(method, params, self.timeout)

    def ask(self, request: Request[T]) -> T:
        """Makes a call of :mod:`chatd_bot.requests`, and repeats it if that is safe."""
        until, pause = clock() + self.patience, FIRST_PAUSE_S
        while True:
            try:
                return request.read(self._pool.call(request.method, request.params, self.timeout + request.extra_s))
            except Disconnected:
                if not request.repeat or clock() + pause > until:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def send(
        self,
        to: str,
        text: str,
        *,
        client_id: str | None = None,
        reply_to: str | None = None,
        mentions: Sequence[str] | None = None,
        ttl_s: int | None = None,
        at_ms: int | None = None,
        **more: Any,
    ) -> Sent:
        """Sends a text, and returns once the daemon has it durably: it leaves by itself, also later.

        The same ``client_id`` sends once, however often this is called and whatever crashes; without one a loss of the
        connection sends once, a second call sends again. ``more``: further parameters of ``msg.send``.
        """
        more.update(reply_to=reply_to, mentions=mentions, ttl_s=ttl_s, at_ms=at_ms)
        return self.ask(requests.send(to, text, client_id, **more))

    def edit(self, id: str, text: str) -> Message:
        """Changes the text of an own message, at most 99 times."""
        return self.ask(requests.edit(id, text))

    def delete(self, id: str, *, everywhere: bool = False) -> None:
        """Deletes a message here, or (own ones) for everybody."""
        self.ask(requests.delete(id, everywhere))

    def react(self, id: str, emoji: str, *, remove: bool = False) -> Message:
        """Reacts to a message with one emoji, in place of the one before."""
        return self.ask(requests.react(id, emoji, remove))

    def get(self, id: str) -> Message:
        """One message."""
        return self.ask(requests.get(id))

    def wait(self, id: str, state: str = "delivered", timeout: float = 30.0) -> str:
        """Waits until an own message is ``accepted``, ``delivered`` or ``read``, and returns its state.

        The state is another one if it ended: ``failed``, ``cancelled``, ``not_received``. Raises
        :class:`~chatd_bot.TimedOut`.
        """
        return self.ask(requests.wait(id, state, timeout))

    def history(
        self, chat: str, limit: int = 50, *, before: str | None = None, after: str | None = None
    ) -> list[Message]:
        """The newest ``limit`` messages of a chat, oldest first; or those next to a message's id."""
        history = requests.History(chat, limit, before, after)
        while not history.done:
            self.ask(history.page())
        return history.messages

    def mark_read(self, chat: str, up_to: str | None = None) -> int:
        """Marks a chat as read, and returns what is left unread."""
        return self.ask(requests.mark_read(chat, up_to))

    def online(self) -> list[str]:
        """Who is online; needs the server."""
        return self.ask(requests.online())

    def me(self) -> str:
        """Name of the account; empty while there is none."""
        return self.ask(requests.me())

    def kv(self, scope: str) -> Namespace:
        """A namespace of values that the daemon keeps, sealed on disk like everything else."""
        return Namespace(self, scope)

    def events(
        self,
        consumer: str | None = None,
        *,
        begin: str | int | None = None,
        types: Sequence[str] | None = None,
        chats: Sequence[str] | None = None,
        own: bool = True,
        max_inflight: int | None = None,
        silence: float = SILENCE_S,
    ) -> Events:
        """Subscribes. With a ``consumer`` the place in the log is durable, and moved by :meth:`Events.ack` alone.

        ``begin``: ``"now"``, ``"start"``, ``"acked"`` or a sequence to begin behind. A second subscription with the
        same ``consumer`` ends the first.
        """
        return Events(self, consumer, requests.subscribe(consumer, begin, types, chats, own, max_inflight), silence)


class Events:
    """The events of one subscription, on a connection of its own; iterate over it.

    Ends by raising: :class:`~chatd_bot.Disconnected` (subscribe again: a consumer goes on behind its last ack), or
    :class:`~chatd_bot.SubscriptionEnded`. Heartbeats are not shown. The daemon keeps at most ``max_inflight`` (100)
    events under way without an ack.
    """

    def __init__(self, client: Client, consumer: str | None, params: dict[str, Any], silence: float) -> None:
        self._client = client
        self._consumer = consumer
        self._silence = silence
        self._silent = 0.0
        self._connection = Connection(client.path, client.timeout)
        try:
            answer = self._connection.call("events.subscribe", params, client.timeout)
        except BaseException:
            self._connection.close()
            raise
        self._id = answer["subscription"]

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.next()
            if event is not None:
                yield event

    def close(self) -> None:
        """Ends the subscription."""
        self._connection.close()

    def next(self, timeout: float | None = None, wake: sockets.socket | None = None) -> Event | None:
        """The next event; ``None`` after ``timeout`` seconds without one, or once ``wake`` can be read."""
        until = None if timeout is None else clock() + timeout
        while True:
            try:
                message = self._read(until, wake)
            except Woken:
                return None
            if message is None:
                return None
            event = notified(message, self._id)
            if event is not None:
                return event

    def _read(self, until: float | None, wake: sockets.socket | None) -> dict[str, Any] | None:
        began = clock()
        left = self._silence - self._silent
        message = self._connection.read(left if until is None else min(left, until - began), wake)
        # only time spent waiting counts: a reader that was busy elsewhere has heard nothing either
        self._silent = 0.0 if message else self._silent + clock() - began
        if self._silent >= self._silence:
            raise Disconnected(f"nothing from chatd for {self._silence:g} s, not even a heartbeat")
        return message

    def ack(self, seq: int) -> None:
        """Says that everything up to this event was handled; it does not come again."""
        if self._consumer is None:
            raise ValueError("only a subscription with a consumer has acks")
        self._client.ask(requests.ack(self._consumer, seq))


def notified(message: dict[str, Any], subscription: str) -> Event | None:
    """The event in a notification of this subscription; ``None`` for a heartbeat and what is for others.

    Raises :class:`~chatd_bot.SubscriptionEnded`.
    """
    params = message.get("params")
    if message.get("method") != "event" or not isinstance(params, dict) or params.get("subscription") != subscription:
        return None
    event = Event.of(params)
    if event.type == "subscription.ended":
        # the kind of error, where there was one, says more than `failed`
        raise SubscriptionEnded(str(event.data.get("error") or event.data.get("reason", "unknown")))
    return None if event.type == "heartbeat" else event


class Namespace(NamespaceRequests):
    """Values under one name: any JSON, at most 48 KiB each and 1,000 of them."""

    def __init__(self, client: Client, scope: str) -> None:
        super().__init__(scope)
        self._client = client

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default``."""
        found = self.look(key)
        return found.value if found.version else default

    def look(self, key: str) -> Entry:
        """The value with its version; version 0 and ``None`` if there is none."""
        try:
            return self._client.ask(self.entry(key))
        except NotFound:
            return Entry(key, None, 0)

    def set(self, key: str, value: Any, *, if_version: int | None = None) -> int:
        """Keeps a value and returns its version. With ``if_version`` (0: there is none yet) only if nobody changed it
        meanwhile; :class:`~chatd_bot.Conflict` otherwise."""
        return self._client.ask(self.put(key, value, if_version)).version

    def delete(self, key: str, *, if_version: int | None = None) -> bool:
        """Forgets a value; whether there was one."""
        try:
            self._client.ask(self.drop(key, if_version))
            return True
        except NotFound:
            return False

    def update(self, key: str, change: Callable[[Any], Any], default: Any = None) -> Any:
        """Sets the value to ``change(value)``, as often as it takes when others change it too; returns the new one."""
        for _ in range(UPDATE_TRIES):
            found = self.look(key)
            value = change(found.value if found.version else default)
            try:
                self.set(key, value, if_version=found.version)
                return value
            except Conflict as conflict:
                last = conflict
        raise last

    def items(self, prefix: str | None = None) -> dict[str, Any]:
        """Everything in the namespace whose key begins so, in order of the keys."""
        found: dict[str, Any] = {}
        after: str | None = None
        while True:
            page = self._client.ask(self.page(prefix, after))
            found.update((entry["key"], entry["value"]) for entry in page["entries"])
            if not page["more"]:
                return found
            after = page["entries"][-1]["key"]
