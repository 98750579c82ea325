"""The same bot for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
from collections.abc import Iterator
from typing import Any

from .aio import AsyncClient, AsyncNamespace, AsyncEvents
from .data import Event, Sent
from .declared import SIGNALS, Backoff, Declared, final, speak
from .errors import Disconnected, NoAnswer, Refused, SubscriptionEnded
from .handling import Pause, Run, Step, Steps, log
from .incoming import AsyncIncoming, base
from .routes import Trigger


class AsyncBot(Declared):
    """A bot whose handlers are coroutine functions (or plain ones that return at once); see :class:`~chatd_bot.Bot`.

    It too handles one event after the other; what takes long and may be lost belongs into a task of its own.
    """

    _takes_coroutines = True

    def __init__(self, name: str, client: AsyncClient | None = None, **rules: Any) -> None:
        super().__init__(name, **rules)
        self.client = client or AsyncClient()
        self._stopping = False
        self._stop: asyncio.Future[None] | None = None

    @property
    def kv(self) -> AsyncNamespace:
        """The bot's own namespace of values, which the daemon keeps."""
        return self.client.kv(self.name)

    async def send(self, to: str, text: str, **more: Any) -> Sent:
        """As :meth:`AsyncClient.send`."""
        return await self.client.send(to, text, **more)

    def stop(self) -> None:
        """Ends the bot once the event in hand is handled; from any thread, or a handler."""
        self._stopping = True
        if self._stop is not None:
            # a loop that is closed has ended the bot already
            with contextlib.suppress(RuntimeError):
                self._stop.get_loop().call_soon_threadsafe(self._stopped)

    def _stopped(self) -> None:
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(None)

    def run(self) -> None:
        """Runs in a loop of its own until SIGTERM, SIGINT or :meth:`stop`."""
        asyncio.run(self.serve())

    async def serve(self) -> None:
        """Runs in the loop there is; see :meth:`chatd_bot.Bot.run`."""
        speak()
        self._stop = asyncio.get_running_loop().create_future()
        try:
            with self._signals():
                await self._serve()
        finally:
            self.client.close()
            # a turn of the loop, in which what was closed ends
            await asyncio.sleep(0)
        log.info("%s stopped", self.name)

    async def _serve(self) -> None:
        backoff = Backoff()
        while not self._stopping:
            try:
                await self._session(backoff)
            except (Disconnected, NoAnswer, SubscriptionEnded, Refused) as end:
                if final(end):
                    raise
                await self._rest(backoff.next(end))

    async def _session(self, backoff: Backoff) -> None:
        backoff.begins()
        types, silence = self._router.types(), self._silence
        subscribing = self.client.events(self.name, begin=self._begin, types=types, own=False, silence=silence)
        async with await subscribing as events:
            self._handling.me = await self.client.me()
            await self._start()
            log.info("%s listens as %s on %s", self.name, self.me or "nobody yet", self.client.path)
            while not self._stopping:
                event = await self._next(events)
                if event is not None:
                    await self._carry_out(self._handling.event(event))
                    backoff.progressed()

    async def _start(self) -> None:
        if not self._started:
            for hook in self._start_hooks:
                await _awaited(hook(self))
            self._started = True

    async def _next(self, events: AsyncEvents) -> Event | None:
        """The next event, or nothing when the bot is to stop."""
        assert self._stop is not None
        coming = asyncio.ensure_future(events.next())
        try:
            both: set[asyncio.Future[Any]] = {coming, self._stop}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return None if self._stopping else await coming
        finally:
            coming.cancel()

    async def _carry_out(self, steps: Steps) -> None:
        outcome: Any = None
        error: Exception | None = None
        while True:
            try:
                step = steps.throw(error) if error else steps.send(outcome)
            except StopIteration:
                return
            outcome = error = None
            try:
                outcome = await self._do(step)
            except Exception as raised:
                error = raised

    async def _do(self, step: Step) -> Any:
        if isinstance(step, Run):
            return await _awaited(step.function(*step.arguments))
        if isinstance(step, Pause):
            return await self._rest(step.seconds)
        return await self.client.ask(step)

    async def _rest(self, seconds: float) -> bool:
        """Waits; whether the bot is to stop."""
        assert self._stop is not None
        await asyncio.wait({self._stop}, timeout=seconds)
        return self._stopping

    def _present(self, event: Event, trigger: Trigger, suffix: str) -> AsyncIncoming:
        incoming = AsyncIncoming(self.name, event, trigger, self._answered, base(event) + suffix)
        incoming.client = self.client
        return incoming

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Signals stop the bot, where asyncio lets us: in the main thread."""
        loop = asyncio.get_running_loop()
        taken: list[signal.Signals] = []

        def end() -> None:
            release()
            self.stop()

        def release() -> None:
            while taken:
                loop.remove_signal_handler(taken.pop())

        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in SIGNALS:
                loop.add_signal_handler(number, end)
                taken.append(number)
        try:
            yield
        finally:
            release()


async def _awaited(outcome: Any) -> Any:
    return await outcome if inspect.isawaitable(outcome) else outcome
