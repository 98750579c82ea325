"""Ends conversations of bots with bots, which would go on forever.

Counts a chat's answers over the time of the messages that were answered, not over the time of answering: after an
absence the backlog is answered in a burst, and that is no loop.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque

log = logging.getLogger("chatd_bot")

#: Chats that are watched at the same time; the one heard of longest ago is given up for a new one.
MAX_CHATS = 1_000


class RateGuard:
    """At most ``limit`` answers in a chat to messages of ``per`` seconds; what one handler says is one answer.

    Then the chat is left alone until nothing came from it for ``quiet`` seconds. Two bots that answer each other fall
    silent by that, since neither says anything by itself. 600 in ten minutes is far above what people type, and below
    the slowest loop of two programs.
    """

    def __init__(self, limit: int = 600, per: float = 600.0, quiet: float = 60.0) -> None:
        if limit < 1 or per <= 0 or quiet <= 0:
            raise ValueError("a guard needs a limit of at least 1 and times above 0")
        self.limit = limit
        self.per = per
        self.quiet = quiet
        self._answered: OrderedDict[str, deque[int]] = OrderedDict()
        #: Chats that are left alone, and when they were last heard.
        self._alone: OrderedDict[str, int] = OrderedDict()

    def allows(self, chat: str, time_ms: int) -> bool:
        """Whether a message of that time may be answered."""
        if chat in self._alone:
            heard, self._alone[chat] = self._alone[chat], time_ms
            if time_ms - heard < self.quiet * 1000:
                return False
            del self._alone[chat]
        times = self._answered.get(chat, deque())
        while times and time_ms - times[0] >= self.per * 1000:
            times.popleft()
        if len(times) < self.limit:
            return True
        self._leave(chat, time_ms)
        return False

    def answered(self, chat: str, time_ms: int) -> None:
        """A message of that time was answered."""
        self._answered.setdefault(chat, deque(maxlen=self.limit)).append(time_ms)
        self._answered.move_to_end(chat)
        if len(self._answered) > MAX_CHATS:
            self._answered.popitem(last=False)

    def _leave(self, chat: str, time_ms: int) -> None:
        why = f"more than {self.limit} answers in {self.per:g} s"
        log.warning("%s is left alone until it was quiet for %g s: %s", chat, self.quiet, why)
        self._answered.pop(chat, None)
        self._alone[chat] = time_ms
        if len(self._alone) > MAX_CHATS:
            self._alone.popitem(last=False)
