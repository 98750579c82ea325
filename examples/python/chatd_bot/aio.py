"""The same client for asyncio: every method of :class:`~chatd_bot.Client`, to be awaited.

A call that is cancelled closes its connection; it may or may not have had its effect.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Callable, TypeVar

from . import requests, wire
from .client import FIRST_PAUSE_S, SILENCE_S, notified
from .connection import MAX_CALLS, READ_BYTES, clock, trouble
from .data import Entry, Event, Message, Sent
from .errors import Conflict, Disconnected, NoAnswer, NotFound, Refused
from .paths import socket_path
from .requests import UPDATE_TRIES, NamespaceRequests, Request
from .wire import Json

T = TypeVar("T")


class AsyncConnection:
    """A connection that has said hello. Not for several tasks at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lines = wire.Lines()
        self._ready: deque[Json] = deque()
        self._calls = 0

    @classmethod
    async def open(cls, path: str, timeout: float) -> AsyncConnection:
        """Connects and says hello."""
        try:
            connection = cls(*await asyncio.wait_for(asyncio.open_unix_connection(path), timeout))
        except asyncio.TimeoutError as late:
            raise NoAnswer(f"{path}: nobody answers within {timeout:g} s") from late
        except OSError as refused:
            raise trouble(path, refused) from refused
        try:
            await connection.call("hello", {"api": wire.API, "client": wire.CLIENT}, timeout)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Ends it; once more does nothing."""
        self._writer.close()

    def alive(self) -> bool:
        """Whether an idle connection still stands, as far as one can see from here."""
        return not self._reader.at_eof() and not self._writer.is_closing() and not self._ready

    async def call(self, method: str, params: Json, timeout: float) -> Any:
        """Calls and waits. After anything but an answer the connection must be closed: its answer may still come."""
        try:
            return await asyncio.wait_for(self._call(method, params), timeout)
        except asyncio.TimeoutError as late:
            raise NoAnswer(f"{method}: no answer from chatd within {timeout:g} s") from late

    async def _call(self, method: str, params: Json) -> Any:
        self._calls += 1
        try:
            self._writer.write(wire.request(self._calls, method, params))
            await self._writer.drain()
        except OSError as lost:
            raise Disconnected(f"chatd is gone: {lost}") from lost
        skipped: list[Json] = []
        try:
            while True:
                message = await self.read()
                if message.get("id") == self._calls or ("error" in message and message.get("id") is None):
                    return wire.result(method, message)
                if "method" in message:
                    skipped.append(message)
        finally:
            self._ready.extendleft(reversed(skipped))

    async def read(self) -> Json:
        """The next object."""
        while not self._ready:
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError as lost:
                raise Disconnected(f"chatd is gone: {lost}") from lost
            self._ready.extend(self._lines.feed(data))
        return self._ready.popleft()


class AsyncPool:
    """Connections for calls: taken by one task each, made when there is none, and kept."""

    def __init__(self, find: Callable[[], str]) -> None:
        self._find = find
        self._idle: list[AsyncConnection] = []
        self._places: asyncio.Semaphore | None = None

    async def call(self, method: str, params: Json, timeout: float) -> Any:
        """Calls on a free connection."""
        if self._places is None:
            # made here, within the loop it belongs to
            self._places = asyncio.Semaphore(MAX_CALLS)
        async with self._places:
            return await self._call(method, params, timeout)

    async def _call(self, method: str, params: Json, timeout: float) -> Any:
        connection = self._take() or await AsyncConnection.open(self._find(), timeout)
        sound = False
        try:
            answer = await connection.call(method, params, timeout)
            sound = True
            return answer
        except Refused:
            sound = True
            raise
        finally:
            self._idle.append(connection) if sound else connection.close()

    def _take(self) -> AsyncConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive():
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Closes those that are idle."""
        while self._idle:
            self._idle.pop().close()


class AsyncClient:
    """Calls chatd from asyncio; see :class:`~chatd_bot.Client` for what each method promises."""

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
        self._pool = AsyncPool(self._find)
        # what is wrong with the arguments is said here, and not at the first call
        self._find()

    @property
    def path(self) -> str:
        """The socket; looked for with each connection, since a daemon that was started anew may have another."""
        return self._find()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes what is open; the next call connects again."""
        self._pool.close()

    async def call(self, method: str, **params: Any) -> Any:
        """Any method of the API, made once."""
        return await self._pool.call(method, params, self.timeout)

    async def ask(self, request: Request[T]) -> T:
        """Makes a call of :mod:`chatd_bot.requests`, and repeats it if that is safe."""
        until, pause = clock() + self.patience, FIRST_PAUSE_S
        while True:
            try:
                timeout = self.timeout + request.extra_s
                return request.read(await self._pool.call(request.method, request.params, timeout))
            except Disconnected:
                if not request.repeat or clock() + pause > until:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)

    async def send(
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
        """Sends a text, and returns once the daemon has it durably."""
        more.update(reply_to=reply_to, mentions=mentions, ttl_s=ttl_s, at_ms=at_ms)
        return await self.ask(requests.send(to, text, client_id, **more))

    async def edit(self, id: str, text: str) -> Message:
        """Changes the text of an own message."""
        return await self.ask(requests.edit(id, text))

    async def delete(self, id: str, *, everywhere: bool = False) -> None:
        """Deletes a message here, or (own ones) for everybody."""
        await self.ask(requests.delete(id, everywhere))

    async def react(self, id: str, emoji: str, *, remove: bool = False) -> Message:
        """Reacts to a message with one emoji."""
        return await self.ask(requests.react(id, emoji, remove))

    async def get(self, id: str) -> Message:
        """One message."""
        return await self.ask(requests.get(id))

    async def wait(self, id: str, state: str = "delivered", timeout: float = 30.0) -> str:
        """Waits until an own message is so far, or has ended."""
        return await self.ask(requests.wait(id, state, timeout))

    async def history(
        self, chat: str, limit: int = 50, *, before: str | None = None, after: str | None = None
    ) -> list[Message]:
        """The newest ``limit`` messages of a chat, oldest first; or those next to a message's id."""
        history = requests.History(chat, limit, before, after)
        while not history.done:
            await self.ask(history.page())
        return history.messages

    async def mark_read(self, chat: str, up_to: str | None = None) -> int:
        """Marks a chat as read, and returns what is left unread."""
        return await self.ask(requests.mark_read(chat, up_to))

    async def online(self) -> list[str]:
        """Who is online; needs the server."""
        return await self.ask(requests.online())

    async def me(self) -> str:
        """Name of the account; empty while there is none."""
        return await self.ask(requests.me())

    def kv(self, scope: str) -> AsyncNamespace:
        """A namespace of values that the daemon keeps."""
        return AsyncNamespace(self, scope)

    async def events(
        self,
        consumer: str | None = None,
        *,
        begin: str | int | None = None,
        types: Sequence[str] | None = None,
        chats: Sequence[str] | None = None,
        own: bool = True,
        max_inflight: int | None = None,
        silence: float = SILENCE_S,
    ) -> AsyncEvents:
        """Subscribes; see :meth:`chatd_bot.Client.events`."""
        connection = await AsyncConnection.open(self.path, self.timeout)
        params = requests.subscribe(consumer, begin, types, chats, own, max_inflight)
        try:
            answer = await connection.call("events.subscribe", params, self.timeout)
        except BaseException:
            connection.close()
            raise
        return AsyncEvents(self, connection, consumer, answer["subscription"], silence)


class AsyncEvents:
    """The events of one subscription; iterate over it with ``async for``. Ends as :class:`~chatd_bot.Events` does."""

    def __init__(
        self,
        client: AsyncClient,
        connection: AsyncConnection,
        consumer: str | None,
        subscription: str,
        silence: float,
    ) -> None:
        self._client = client
        self._connection = connection
        self._consumer = consumer
        self._id = subscription
        self._silence = silence

    async def __aenter__(self) -> AsyncEvents:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            yield await self.next()

    def close(self) -> None:
        """Ends the subscription."""
        self._connection.close()

    async def next(self) -> Event:
        """The next event. May be cancelled without losing one."""
        while True:
            try:
                message = await asyncio.wait_for(self._connection.read(), self._silence)
            except asyncio.TimeoutError as late:
                raise Disconnected(f"nothing from chatd for {self._silence:g} s, not even a heartbeat") from late
            event = notified(message, self._id)
            if event is not None:
                return event

    async def ack(self, seq: int) -> None:
        """Says that everything up to this event was handled; it does not come again."""
        if self._consumer is None:
            raise ValueError("only a subscription with a consumer has acks")
        await self._client.ask(requests.ack(self._consumer, seq))


class AsyncNamespace(NamespaceRequests):
    """Values under one name; see :class:`~chatd_bot.client.Namespace`."""

    def __init__(self, client: AsyncClient, scope: str) -> None:
        super().__init__(scope)
        self._client = client

    async def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default``."""
        found = await self.look(key)
        return found.value if found.version else default

    async def look(self, key: str) -> Entry:
        """The value with its version; version 0 and ``None`` if there is none."""
        try:
            return await self._client.ask(self.entry(key))
        except NotFound:
            return Entry(key, None, 0)

    async def set(self, key: str, value: Any, *, if_version: int | None = None) -> int:
        """Keeps a value and returns its version; with ``if_version`` only if nobody changed it meanwhile."""
        return (await self._client.ask(self.put(key, value, if_version))).version

    async def delete(self, key: str, *, if_version: int | None = None) -> bool:
        """Forgets a value; whether there was one."""
        try:
            await self._client.ask(self.drop(key, if_version))
            return True
        except NotFound:
            return False

    async def update(self, key: str, change: Callable[[Any], Any], default: Any = None) -> Any:
        """Sets the value to ``change(value)``, as often as it takes when others change it too; returns the new one."""
        for _ in range(UPDATE_TRIES):
            found = await self.look(key)
            value = change(found.value if found.version else default)
            try:
                await self.set(key, value, if_version=found.version)
                return value
            except Conflict as conflict:
                last = conflict
        raise last

    async def items(self, prefix: str | None = None) -> dict[str, Any]:
        """Everything in the namespace whose key begins so, in order of the keys."""
        found: dict[str, Any] = {}
        after: str | None = None
        while True:
            page = await self._client.ask(self.page(prefix, after))
            found.update((entry["key"], entry["value"]) for entry in page["entries"])
            if not page["more"]:
                return found
            after = page["entries"][-1]["key"]
