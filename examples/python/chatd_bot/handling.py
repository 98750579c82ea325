"""What happens with an event, step by step; the same for :class:`Bot` and :class:`AsyncBot`.

A generator yields what is to be done and gets the outcome back, so that the story is told once and neither waits nor
talks itself:

    find a handler ─▶ run it ─▶ acknowledge
                       │ raised: pause, run it again, ``attempts`` times in all
                       ▼
                   report it as failed ─▶ acknowledge

The connection's end is nobody's failure: it ends the story without an ack, and the event comes again.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Callable, Union

from . import requests
from .data import Event
from .errors import ChatdError, Disconnected, NotFound, Refused, UsageError
from .guard import RateGuard
from .requests import NamespaceRequests, Request
from .routes import Route, Router, Trigger

log = logging.getLogger("chatd_bot")

#: Where a bot notes which event it began with after a start; in its own namespace.
IN_HAND = "chatd_bot.in_hand"


@dataclass(frozen=True)
class Run:
    """Call this; await what it returns if that can be awaited. The outcome is not used."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds; the outcome is whether the bot was told to stop meanwhile."""

    seconds: float


Step = Union[Run, Pause, "Request[Any]"]
Steps = Generator[Step, Any, Any]


class CrashLoop(ChatdError):
    """The bot ended again and again while it had this event in hand."""


@dataclass
class Handling:
    """The rules of a bot, and what it remembers from one event to the next."""

    name: str
    router: Router
    #: Makes what a handler gets, its answers named after the last argument.
    present: Callable[[Event, Trigger, str], Any]
    guard: RateGuard | None
    attempts: int
    retry_pause: float
    crashes: int
    failure_hooks: list[Callable[..., Any]]
    #: Name of the account; empty while unknown.
    me: str = ""
    _began: bool = False

    def event(self, event: Event) -> Steps:
        """Handles and acknowledges."""
        found = self.router.find(event, self.me)
        if found is None:
            if event.type == "gap":
                log.warning("events %s to %s are gone from the log", event.data.get("from"), event.data.get("to"))
        elif not self._guarded(event):
            handled = yield from self._handle(event, *found)
            if not handled:
                return
        if event.seq is not None:
            yield requests.ack(self.name, event.seq)

    def _guarded(self, event: Event) -> bool:
        return self.guard is not None and event.chat is not None and not self.guard.allows(event.chat, event.time_ms)

    def _handle(self, event: Event, route: Route, trigger: Trigger) -> Steps:
        """Whether it was handled, or given up for good."""
        starts = yield from self._starts(event)
        if starts > self.crashes:
            error: Exception = CrashLoop(f"the bot was started {starts} times with this event in hand")
            yield from self._give_up(event, trigger, error)
            return True
        for attempt in range(1, self.attempts + 1):
            failed = yield from self._attempt(event, route, trigger)
            if failed is None:
                return True
            log.warning("%s failed, attempt %d of %d: %r", _words(event), attempt, self.attempts, failed)
            if attempt == self.attempts or (isinstance(failed, Refused) and not failed.retryable):
                break
            if (yield Pause(self._pause(attempt, failed))):
                return False
        yield from self._give_up(event, trigger, failed)
        return True

    def _attempt(self, event: Event, route: Route, trigger: Trigger) -> Steps:
        """What went wrong, if anything."""
        incoming = self.present(event, trigger, "")
        try:
            try:
                yield Run(route.run, (incoming,))
            except UsageError as wrong:
                yield Run(incoming.reply, (str(wrong),))
        except Disconnected:
            raise
        except Exception as error:
            return error
        return None

    def _pause(self, attempt: int, failed: Exception) -> float:
        wanted = getattr(failed, "retry_after_ms", None) or 0
        return max(self.retry_pause * 2.0 ** (attempt - 1), wanted / 1000)

    def _give_up(self, event: Event, trigger: Trigger, error: Exception) -> Steps:
        """Tells the log and the hooks; what a hook raises is told to the log alone."""
        log.error("%s is given up", _words(event), exc_info=error)
        for hook in self.failure_hooks:
            try:
                yield Run(hook, (self.present(event, trigger, ":failed"), error))
            except Disconnected:
                raise
            except Exception:
                log.exception("a hook for failures failed itself")

    def _starts(self, event: Event) -> Steps:
        """How often a start of the bot began with this event: only the first one after a start can have ended it."""
        if self._began or not event.replayed:
            self._began = True
            return 1
        namespace = NamespaceRequests(self.name)
        try:
            noted = (yield namespace.entry(IN_HAND)).value
        except NotFound:
            noted = None
        starts = noted["starts"] + 1 if isinstance(noted, dict) and noted.get("seq") == event.seq else 1
        yield namespace.put(IN_HAND, {"seq": event.seq, "starts": starts}, None)
        self._began = True
        return starts


def _words(event: Event) -> str:
    return f"{event.type} {event.data.get('id') or event.seq} from {event.sender or 'nobody'}"
