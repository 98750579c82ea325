"""What a bot is told before it runs: its name, its handlers, its rules; the same for sync and async."""

from __future__ import annotations

import inspect
import logging
import random
import re
import signal
import time
from typing import Any, Callable, TypeVar

from .client import FIRST_PAUSE_S, LAST_PAUSE_S, SILENCE_S
from .data import Event
from .errors import Refused, SubscriptionEnded
from .guard import RateGuard
from .handling import Handling, log
from .routes import Handler, Names, Router, Trigger, route

F = TypeVar("F", bound=Callable[..., Any])

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
#: A subscription that lived so long was a good one: the next loss is tried again at once.
GOOD_S = 60.0
#: What asks a bot to end.
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Declared:
    """The declarations of a bot."""

    #: Whether handlers may be coroutine functions.
    _takes_coroutines = False

    def __init__(
        self,
        name: str,
        *,
        begin: str | int | None = None,
        attempts: int = 3,
        retry_pause: float = 1.0,
        crashes: int = 5,
        guard: RateGuard | None = None,
        guarded: bool = True,
        silence: float = SILENCE_S,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError("a bot's name has 1 to 64 letters, digits, `_`, `.` or `-`")
        if attempts < 1 or crashes < 1:
            raise ValueError("attempts and crashes must be at least 1")
        self.name = name
        self._begin = begin
        self._silence = silence
        self._router = Router()
        self._start_hooks: list[Handler] = []
        self._failure_hooks: list[Handler] = []
        self._guard = (guard or RateGuard()) if guarded else None
        rules = (attempts, retry_pause, crashes, self._failure_hooks)
        self._handling = Handling(name, self._router, self._present, self._guard, *rules)
        self._started = False

    @property
    def me(self) -> str:
        """Name of the account; empty before the bot is connected, or while there is none."""
        return self._handling.me

    def on(
        self,
        type: str = "message.new",
        *,
        command: Names = None,
        chat: Names = None,
        user: Names = None,
        matches: str | None = None,
        bots: bool = False,
    ) -> Callable[[F], F]:
        """Declares a handler: for a type of event, or for messages that begin with a command.

        ``chat`` and ``user``: only these; one name or several. Without ``chat`` the public room is not heard; ``"*"``
        hears everything. ``matches``: the whole text, white space around it left out, is like this regular expression,
        whatever its case. ``bots``: also messages of accounts that say to be bots; do not answer each of them. See :mod:`chatd_bot.commands` for what a command's handler may take.
        """

        def declare(handler: F) -> F:
            self._router.add(route(self._checked(handler), type, command, chat, user, matches, bots))
            return handler

        return declare

    def on_start(self, hook: F) -> F:
        """Declares what is done once, when the bot is connected for the first time; it gets the bot."""
        self._start_hooks.append(self._checked(hook))
        return hook

    def on_failure(self, hook: F) -> F:
        """Declares what is done about an event that was given up; it gets the event and the error."""
        self._failure_hooks.append(self._checked(hook))
        return hook

    def _checked(self, handler: F) -> F:
        if not self._takes_coroutines and inspect.iscoroutinefunction(handler):
            raise TypeError(f"{handler.__name__} is a coroutine function: declare it on an AsyncBot")
        return handler

    def _present(self, event: Event, trigger: Trigger, suffix: str) -> Any:
        raise NotImplementedError

    def _answered(self, event: Event) -> None:
        if self._guard is not None and event.chat is not None:
            self._guard.answered(event.chat, event.time_ms)


#: What ends by what a person does elsewhere: another device lets this one in, the passphrase is typed.
PASSING = frozenset({"approval_required", "locked"})


class Backoff:
    """Pauses before the next connection: they double up to half a minute, and begin anew after a good one."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE_S
        self._since = time.monotonic()
        self._told = False

    def begins(self) -> None:
        """A connection is tried."""
        self._since = time.monotonic()

    def progressed(self) -> None:
        """An event was handled and acknowledged."""
        self._pause, self._told = FIRST_PAUSE_S, False

    def next(self, why: Exception) -> float:
        """Seconds to wait after this end. Says it once for each absence of the daemon."""
        if time.monotonic() - self._since > GOOD_S:
            self.progressed()
        if not self._told:
            log.warning("%s; trying again until that is over", why)
            self._told = True
        pause, self._pause = self._pause, min(self._pause * 2, LAST_PAUSE_S)
        # several bots that lost the same daemon do not all come at once
        return pause * random.uniform(0.5, 1.0)


def final(end: Exception) -> bool:
    """Whether trying again is of no use."""
    if isinstance(end, SubscriptionEnded):
        return end.reason in ("replaced", "forgotten")
    return isinstance(end, Refused) and not end.retryable and end.kind not in PASSING


def speak() -> None:
    """Shows the log on stderr, unless the program has arranged for that itself."""
    if not logging.getLogger().handlers and not log.handlers:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
