"""Ends conversations of bots with bots, which would go on forever.

Counts a chat's answers over the time of the messages that were answered, not over the time of answering: after an
absence the backlog is answered in a burst, and that is no loop.
"""

from __future__ import annotations

from collections import OrderedDict, deque

#: Chats that are watched at the same time; the one heard of longest ago is given up for a new one.
MAX_CHATS = 1_000


class RateGuard:
    """At most ``limit`` answers in a chat to messages of ``per`` seconds.

    Then the chat is left alone until nothing came from it for ``per`` seconds. Two bots that answer each other fall
    silent by that, since neither says anything by itself.
    """

    def __init__(self, limit: int = 60, per: float = 60.0) -> None:
        if limit < 1 or per <= 0:
            raise ValueError("a guard needs a limit of at least 1 and a time above 0")
        self.limit = limit
        self.per = per
        self._answered: OrderedDict[str, deque[int]] = OrderedDict()
        self._quiet: dict[str, int] = {}

    def allows(self, chat: str, time_ms: int) -> bool:
        """Whether a message of that time may be answered."""
        heard = self._quiet.get(chat)
        if heard is not None and time_ms - heard < self.per * 1000:
            self._quiet[chat] = time_ms
            return False
        self._quiet.pop(chat, None)
        times = self._answered.get(chat, deque())
        while times and time_ms - times[0] >= self.per * 1000:
            times.popleft()
        if len(times) < self.limit:
            return True
        self._quiet[chat] = time_ms
        self._answered.pop(chat, None)
        return False

    def answered(self, chat: str, time_ms: int) -> None:
        """A message of that time was answered."""
        self._answered.setdefault(chat, deque(maxlen=self.limit)).append(time_ms)
        self._answered.move_to_end(chat)
        while len(self._answered) > MAX_CHATS:
            self._answered.popitem(last=False)
        while len(self._quiet) > MAX_CHATS:
            self._quiet.pop(next(iter(self._quiet)))
