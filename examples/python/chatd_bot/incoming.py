"""What a handler gets: the event, and ways to answer it that never answer twice."""

from __future__ import annotations

import re
from typing import Any, Callable

from .aio import AsyncClient
from .client import Client
from .data import Event, Message, Sent
from .errors import ChatdError, IdempotencyMismatch
from .routes import Trigger

#: How far back an answer is looked for that went out before under the same key.
LOOK_BACK = 500


class Received:
    """What sync and async have in common. One is made for each try of a handler."""

    def __init__(self, name: str, event: Event, trigger: Trigger, answered: Callable[[Event], None], base: str) -> None:
        #: The whole event.
        self.event = event
        #: The words behind a command.
        self.args: list[str] = trigger.args
        #: What ``matches`` found.
        self.match: re.Match[str] | None = trigger.match
        self._answered = answered
        self._said = False
        self._base = f"{name}:{base}"
        self._count = 0

    @property
    def type(self) -> str:
        """Type of the event."""
        return self.event.type

    @property
    def id(self) -> str:
        """Id of the message the event is about; empty if it is about none."""
        return str(self.event.data.get("id", ""))

    @property
    def text(self) -> str:
        """The message's text."""
        return str(self.event.data.get("text", ""))

    @property
    def sender(self) -> str:
        """Who wrote it, or did it."""
        return self.event.sender

    @property
    def chat(self) -> str:
        """The chat it belongs to, as a target; empty for events of none."""
        return self.event.chat or ""

    @property
    def message(self) -> Message:
        """The message as an object, for events that carry one."""
        return Message.of(self.event.data)

    def __repr__(self) -> str:
        return f"<{self.type} {self.id or self.event.seq} in {self.chat or 'no chat'} from {self.sender or 'nobody'}>"

    def _key(self, key: str | None) -> str:
        """The ``client_id`` of the next answer: the same in every run over the same message."""
        if key is None:
            self._count += 1
            key = str(self._count)
        return f"{self._base}:{key}"

    def _replied(self) -> None:
        """Several answers of one handler are one to the guard."""
        if not self._said:
            self._said = True
            self._answered(self.event)

    def _home(self) -> str:
        if not self.chat:
            raise ChatdError(f"a `{self.type}` belongs to no chat: use send instead of reply")
        return self.chat


def base(event: Event) -> str:
    """What answers to this event are named after: the message's id for a new message, the event's number otherwise."""
    return str(event.data["id"]) if event.type == "message.new" and "id" in event.data else f"event-{event.seq}"


def _gone_out(page: list[Message], key: str) -> Sent | None:
    """The answer that went out under ``key``."""
    found = (one for one in page if one.client_id == key)
    return next((Sent(one.id, one.chat, one.state or "", True) for one in found), None)


class Incoming(Received):
    """An event in the hands of a :class:`~chatd_bot.Bot`'s handler.

    :meth:`reply` and :meth:`send` derive their ``client_id`` from the message and count within the handler. When the
    handler runs again over the same message, because the bot was killed or it raised, the first answer is the first
    answer again and is not sent twice; should its text differ now, the one that went out stands. ``key`` names an
    answer instead of counting it, for handlers that do not always answer in the same order.
    """

    client: Client

    def reply(self, text: str, *, quote: bool = False, key: str | None = None, **more: Any) -> Sent:
        """Answers in the chat; with ``quote`` as an answer to this very message."""
        if quote:
            more["reply_to"] = self.id
        sent = self.send(self._home(), text, key=key, **more)
        self._replied()
        return sent

    def send(self, to: str, text: str, *, key: str | None = None, **more: Any) -> Sent:
        """Sends elsewhere because of this event, once."""
        client_id = self._key(key)
        try:
            return self.client.send(to, text, client_id=client_id, **more)
        except IdempotencyMismatch:
            sent = _gone_out(self.client.history(to, LOOK_BACK), client_id)
            if sent is None:
                raise
            return sent

    def react(self, emoji: str) -> Message:
        """Reacts to the message with one emoji."""
        return self.client.react(self.id, emoji)

    def mark_read(self) -> int:
        """Marks the chat read up to this message: its author is told, if the settings allow it."""
        return self.client.mark_read(self._home(), self.id)


class AsyncIncoming(Received):
    """The same in the hands of an :class:`~chatd_bot.AsyncBot`'s handler, to be awaited."""

    client: AsyncClient

    async def reply(self, text: str, *, quote: bool = False, key: str | None = None, **more: Any) -> Sent:
        """Answers in the chat; with ``quote`` as an answer to this very message."""
        if quote:
            more["reply_to"] = self.id
        sent = await self.send(self._home(), text, key=key, **more)
        self._replied()
        return sent

    async def send(self, to: str, text: str, *, key: str | None = None, **more: Any) -> Sent:
        """Sends elsewhere because of this event, once."""
        client_id = self._key(key)
        try:
            return await self.client.send(to, text, client_id=client_id, **more)
        except IdempotencyMismatch:
            sent = _gone_out(await self.client.history(to, LOOK_BACK), client_id)
            if sent is None:
                raise
            return sent

    async def react(self, emoji: str) -> Message:
        """Reacts to the message with one emoji."""
        return await self.client.react(self.id, emoji)

    async def mark_read(self) -> int:
        """Marks the chat read up to this message."""
        return await self.client.mark_read(self._home(), self.id)
