"""A bot in a few lines: declare handlers, run.

Reads the event log under its name, one event at a time and in order, and acknowledges each when its handler returned.
Killed at any moment, it goes on with the event it had in hand; what it had answered is not sent again.
"""

from __future__ import annotations

import contextlib
import signal
import socket as sockets
import threading
from collections.abc import Iterator
from typing import Any

from .client import Client, Namespace, Events
from .connection import readable
from .data import Event, Sent
from .declared import SIGNALS, Backoff, Declared, final, speak
from .errors import Disconnected, NoAnswer, Refused, SubscriptionEnded
from .handling import Pause, Run, Step, Steps, log
from .incoming import Incoming, base
from .routes import Trigger


class Bot(Declared):
    """A bot whose handlers are plain functions.

    ``name``: under which the daemon remembers what was handled; a second bot with it ends the first. A new name begins
    with what happens from now on, or at ``begin``. ``client``: how the daemon is reached; found as by
    :func:`~chatd_bot.socket_path` if not given.

    A handler that raises is run again, ``attempts`` times in all, ``retry_pause`` seconds apart and then twice that
    each time. Then, or at once for what the daemon refuses for good, the event is logged, told to
    :meth:`~Declared.on_failure`, and acknowledged: one bad message stops no bot. An event with which the bot was
    started ``crashes`` times without getting behind it is given up as well.

    ``guard`` ends conversations with other bots; ``guarded=False`` does without.
    """

    def __init__(self, name: str, client: Client | None = None, **rules: Any) -> None:
        super().__init__(name, **rules)
        self.client = client or Client()
        self._stopping = threading.Event()
        self._wake, self._waker = sockets.socketpair()
        self._waker.setblocking(False)

    @property
    def kv(self) -> Namespace:
        """The bot's own namespace of values, which the daemon keeps."""
        return self.client.kv(self.name)

    def send(self, to: str, text: str, **more: Any) -> Sent:
        """As :meth:`Client.send`. In a handler, :meth:`Incoming.send` and its ``reply`` are better: they send once."""
        return self.client.send(to, text, **more)

    def stop(self) -> None:
        """Ends :meth:`run` once the event in hand is handled; from any thread, or a handler."""
        self._stopping.set()
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"!")

    def run(self) -> None:
        """Runs until :meth:`stop`, SIGTERM or SIGINT; a second signal does not wait for the event in hand.

        Waits for the daemon when it is away, and connects again when it was. Raises
        :class:`~chatd_bot.SubscriptionEnded` when another bot took the name, and :class:`~chatd_bot.Refused` when the
        daemon does not let it subscribe.
        """
        speak()
        try:
            with self._signals():
                self._serve()
        finally:
            self.client.close()
        log.info("%s stopped", self.name)

    def _serve(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                self._session(backoff)
            except (Disconnected, NoAnswer, SubscriptionEnded, Refused) as end:
                if final(end):
                    raise
                self._rest(backoff.next(end))

    def _session(self, backoff: Backoff) -> None:
        backoff.begins()
        types, silence = self._router.types(), self._silence
        with self.client.events(self.name, begin=self._begin, types=types, own=False, silence=silence) as events:
            self._handling.me = self.client.me()
            self._start()
            log.info("%s listens as %s on %s", self.name, self.me or "nobody yet", self.client.path)
            while not self._stopping.is_set():
                self._turn(events, backoff)

    def _start(self) -> None:
        if not self._started:
            for hook in self._start_hooks:
                hook(self)
            self._started = True

    def _turn(self, events: Events, backoff: Backoff) -> None:
        event = events.next(wake=self._wake)
        if event is not None:
            self._carry_out(self._handling.event(event))
            backoff.progressed()

    def _carry_out(self, steps: Steps) -> None:
        outcome: Any = None
        error: Exception | None = None
        while True:
            try:
                step = steps.throw(error) if error else steps.send(outcome)
            except StopIteration:
                return
            outcome = error = None
            try:
                outcome = self._do(step)
            except Exception as raised:
                error = raised

    def _do(self, step: Step) -> Any:
        if isinstance(step, Run):
            return step.function(*step.arguments)
        if isinstance(step, Pause):
            return self._rest(step.seconds)
        return self.client.ask(step)

    def _rest(self, seconds: float) -> bool:
        """Waits; whether the bot is to stop."""
        readable([self._wake], seconds)
        return self._stopping.is_set()

    def _present(self, event: Event, trigger: Trigger, suffix: str) -> Incoming:
        incoming = Incoming(self.name, event, trigger, self._answered, base(event) + suffix)
        incoming.client = self.client
        return incoming

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals stop the bot, where Python lets us: in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def end(*_: Any) -> None:
            # nothing is logged here: the signal may have come while the log was being written
            restore()
            self.stop()

        for number in SIGNALS:
            signal.signal(number, end)
        try:
            yield
        finally:
            restore()
