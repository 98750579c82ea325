"""The connection to chatd: JSON-RPC 2.0, one object a line, on threads that never touch the window.

One thread connects, reads, and connects again after a pause; for each connection another one writes. What they learn
goes into a bounded queue, which the window's loop empties by `poll`, and every callback runs there. A window that is
slow makes the reader wait; chatd then reads on from its log, and nothing is lost.
"""

import itertools
import json
import queue
import socket
import threading
import time

from .paths import NoPlace

# Lines the window has not looked at yet.
INBOX_LINES = 256
# Seconds between attempts; the last one from then on.
PAUSES = (0.5, 1, 2, 4, 5)


class Refused(Exception):
    """What chatd answered instead of a result: its words, its kind, and its advice."""

    def __init__(self, message, kind="internal", hint=None):
        super().__init__(message)
        self.message, self.kind, self.hint = message, kind, hint

    @classmethod
    def from_wire(cls, error):
        data = error.get("data") or {}
        return cls(str(error.get("message", "chatd gave no reason")), data.get("kind", "internal"), data.get("hint"))


LOST = Refused("chatd went away before it answered", "disconnected", "it is tried again when chatd is back")


class Down:
    """There is no connection: why, and when the next attempt is made."""

    def __init__(self, why, retry_ms):
        self.why, self.retry_ms = why, retry_ms


class Client:
    """Calls and events for one owner, who calls everything here from one thread."""

    def __init__(self, find):
        # looked for with each connection: a daemon that was started anew may have another socket
        self.find = find
        self.on_up = self.on_down = self.on_event = lambda *_: None
        self._inbox = queue.Queue(maxsize=INBOX_LINES)
        self._outbox = None
        self._ids = itertools.count(1)
        self._waiting = {}
        self._hurry = threading.Event()
        self._closed = False

    def start(self):
        """Begins to connect, and goes on until the program ends."""
        threading.Thread(target=self._run, name="chatd", daemon=True).start()

    def close(self):
        """Connects no more."""
        self._closed = True
        self._hurry.set()

    def hurry(self):
        """Tries to connect now."""
        self._hurry.set()

    @property
    def up(self):
        """Whether calls go anywhere."""
        return self._outbox is not None

    def call(self, method, params=None, then=None, failed=None):
        """Asks; later `then(result)` or `failed(refused)` is called by `poll`."""
        then, failed = then or (lambda _: None), failed or (lambda _: None)
        if self._outbox is None:
            failed(LOST)
            return
        number = next(self._ids)
        self._waiting[number] = (then, failed)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        self._outbox.put(json.dumps(request).encode() + b"\n")

    def poll(self, budget_s=0.02):
        """Handles what came, for about so long. Returns whether there is more."""
        until = time.monotonic() + budget_s
        while time.monotonic() < until:
            try:
                what, news = self._inbox.get_nowait()
            except queue.Empty:
                return False
            self._handle(what, news)
        return True

    def _handle(self, what, news):
        if what == "up":
            self._outbox = news
            self.on_up()
        elif what == "down":
            self._outbox = None
            waiting, self._waiting = self._waiting, {}
            for _, failed in waiting.values():
                failed(LOST)
            self.on_down(news)
        elif "method" in news:
            self.on_event(news["params"])
        else:
            self._answer(news)

    def _answer(self, news):
        then, failed = self._waiting.pop(news.get("id"), (None, None))
        if then is None:
            return
        if "error" in news:
            failed(Refused.from_wire(news["error"]))
        else:
            then(news.get("result"))

    def _run(self):
        pauses = iter(PAUSES)
        while not self._closed:
            try:
                self._serve()
                pauses, why = iter(PAUSES), "it closed the connection"
            except (OSError, NoPlace) as error:
                why = getattr(error, "strerror", None) or str(error)
            pause = next(pauses, PAUSES[-1])
            self._inbox.put(("down", Down(why[:1].lower() + why[1:], int((time.time() + pause) * 1000))))
            self._hurry.wait(pause)
            self._hurry.clear()

    def _serve(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as chat:
            chat.connect(self.find())
            outbox = queue.SimpleQueue()
            threading.Thread(target=_write, args=(chat, outbox), daemon=True).start()
            self._inbox.put(("up", outbox))
            try:
                self._read(chat)
            except OSError:
                pass  # what ends a connection that stood is told in one way
            finally:
                outbox.put(None)

    def _read(self, chat):
        with chat.makefile("rb") as lines:
            for text in lines:
                try:
                    self._inbox.put(("line", json.loads(text)))
                except ValueError:
                    return  # half a line: the daemon ended while it wrote


def _write(chat, outbox):
    try:
        for text in iter(outbox.get, None):
            chat.sendall(text)
    except OSError:
        pass  # the reader sees it too, and tells
