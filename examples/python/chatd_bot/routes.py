"""Which handler gets an event: exactly one, or none.

Commands are looked at first, then the others, each in the order of their declaration. Never handed to anybody: what
this account wrote or did itself, texts that were deleted meanwhile, and, unless a filter asks for them, the public room
and other bots.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from re import Pattern
from typing import Any, Callable, Union

from .commands import Command, words
from .data import ROOM, Event

Handler = Callable[..., Any]
Names = Union[str, Iterable[str], None]

#: As ``chat``: every chat, the public room included.
ANY = "*"


@dataclass
class Trigger:
    """Why an event fits: the words behind a command, or the match of a pattern."""

    args: list[str] = field(default_factory=list)
    match: re.Match[str] | None = None


@dataclass(frozen=True)
class Route:
    """A handler and what it wants to hear; ``None`` filters nothing."""

    handler: Handler
    types: frozenset[str]
    chats: frozenset[str] | None = None
    users: frozenset[str] | None = None
    commands: tuple[Command, ...] = ()
    pattern: Pattern[str] | None = None
    #: Whether messages of those who say to be a program are heard.
    bots: bool = False

    def fits(self, event: Event) -> Trigger | None:
        """Why it is for this handler, if it is."""
        if event.type not in self.types or not self.open_to(event):
            return None
        text = str(event.data.get("text", ""))
        if self.commands:
            command = self._command(text)
            return Trigger(words(text)[1:]) if command else None
        match = self.pattern.fullmatch(text.strip()) if self.pattern else None
        return Trigger(match=match) if match or not self.pattern else None

    def open_to(self, event: Event) -> bool:
        """Whether chat and user of the event pass the filters."""
        if event.data.get("from_bot") and not self.bots:
            return False
        if self.users is not None and event.sender.lower() not in self.users:
            return False
        if self.chats is None:
            return event.chat != ROOM
        return event.chat is None or ANY in self.chats or event.chat in self.chats

    def run(self, incoming: Any) -> Any:
        """Calls the handler; for a coroutine function, returns the coroutine.

        Raises :class:`~chatd_bot.UsageError` for words that do not fit.
        """
        command = self._command(incoming.text) if self.commands else None
        if command is None or not command.wants_words:
            return self.handler(incoming)
        return self.handler(incoming, *command.bind(incoming.args))

    def _command(self, text: str) -> Command | None:
        first = text.split(maxsplit=1)[:1]
        return next((one for one in self.commands if [one.name] == first), None)


def route(
    handler: Handler, type: str, command: Names, chat: Names, user: Names, matches: str | None, bots: bool
) -> Route:
    """A handler with its filters, as ``on`` of a bot takes them."""
    if command is not None and type != "message.new":
        raise ValueError("a command is a new message: leave the type out")
    commands = tuple(Command(name, handler) for name in _several(command) or ())
    if any(len(one.name.split()) != 1 or one.name.strip() != one.name for one in commands):
        raise ValueError("a command is one word, as in `/deploy`")
    chats, users = _several(chat), _several(user)
    return Route(
        handler,
        frozenset([type]),
        None if chats is None else frozenset(one.lower() if one.startswith("@") else one for one in chats),
        None if users is None else frozenset(one.lstrip("@").lower() for one in users),
        commands,
        None if matches is None else re.compile(matches, re.IGNORECASE | re.DOTALL),
        bots,
    )


def _several(names: Names) -> list[str] | None:
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


class Router:
    """The handlers of a bot."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        self._help = route(self._tell, "message.new", "/help", None, None, None, False)

    def add(self, added: Route) -> None:
        """One more."""
        self._routes.append(added)

    def types(self) -> list[str]:
        """Types of the events that somebody wants."""
        return sorted(set().union(*(one.types for one in self._routes))) or ["message.new"]

    def find(self, event: Event, me: str) -> tuple[Route, Trigger] | None:
        """Whose the event is, and why."""
        if event.data.get("outgoing") or event.data.get("deleted") or (me and event.sender == me):
            return None
        return self._first(event, commands=True) or self._helps(event) or self._first(event, commands=False)

    def help(self, event: Event) -> str:
        """The commands that the author of this event may use there, one a line, each with its first line of words."""
        lines = []
        for one in self._routes:
            if one.commands and one.open_to(event):
                about = (inspect.getdoc(one.handler) or "").split("\n")[0]
                lines.append(one.commands[0].usage() + (f" - {about}" if about else ""))
        return "\n".join(lines)

    def _tell(self, incoming: Any) -> Any:
        return incoming.reply(self.help(incoming.event))

    def _helps(self, event: Event) -> tuple[Route, Trigger] | None:
        trigger = self._help.fits(event)
        return (self._help, trigger) if trigger and self.help(event) else None

    def _first(self, event: Event, commands: bool) -> tuple[Route, Trigger] | None:
        fitting = ((one, one.fits(event)) for one in self._routes if bool(one.commands) == commands)
        return next(((one, trigger) for one, trigger in fitting if trigger is not None), None)
