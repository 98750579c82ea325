"""One connection to the daemon, and a few of them kept for calls from any thread.

A connection is used by one thread at a time and carries either calls, each answered before the next, or one
subscription. So there is no thread in the background, an event that nobody reads delays no call, and what waits is
the socket: the daemon keeps the rest in its log.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from . import wire
from .errors import Disconnected, NoAnswer, NoSocket, NotRunning, Refused
from .wire import Json

#: Most calls of one client at the same time; the daemon takes 256 connections in all.
MAX_CALLS = 16
#: Most that is read at once.
READ_BYTES = 256 * 1024


class Woken(Exception):
    """Somebody wants the thread that waits for the daemon."""


def clock() -> float:
    """Time for deadlines, in seconds."""
    return time.monotonic()


class Connection:
    """A connection that has said hello. Not for several threads at once."""

    def __init__(self, path: str, timeout: float) -> None:
        self._lines = wire.Lines()
        self._ready: deque[Json] = deque()
        self._calls = 0
        self._socket = _connect(path, timeout)
        try:
            self.call("hello", {"api": wire.API, "client": wire.CLIENT}, timeout)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends it; once more does nothing."""
        self._socket.close()

    def call(self, method: str, params: Json, timeout: float) -> Any:
        """Calls and waits. After anything but an answer the connection must be closed: its answer may still come."""
        self._calls += 1
        self._write(wire.request(self._calls, method, params), timeout)
        until = clock() + timeout
        skipped: list[Json] = []
        try:
            while True:
                message = self.read(until - clock())
                if message is None:
                    raise NoAnswer(f"{method}: no answer from chatd within {timeout:g} s")
                # an error without an id is about a line that could not be read: ours, for there is no other
                if message.get("id") == self._calls or ("error" in message and message.get("id") is None):
                    return wire.result(method, message)
                if "method" in message:
                    skipped.append(message)
        finally:
            self._ready.extendleft(reversed(skipped))

    def read(self, timeout: float, wake: socket.socket | None = None) -> Json | None:
        """The next object; ``None`` after ``timeout`` seconds without one. Raises :class:`Woken` by ``wake``."""
        until = clock() + timeout
        while not self._ready:
            data = self._receive(until - clock(), wake)
            if data is None:
                return None
            self._ready.extend(self._lines.feed(data))
        return self._ready.popleft()

    def alive(self) -> bool:
        """Whether an idle connection still stands, as far as one can see from here."""
        return not readable([self._socket], 0) and not self._ready

    def _write(self, line: bytes, timeout: float) -> None:
        try:
            self._socket.settimeout(max(timeout, 0.001))
            self._socket.sendall(line)
        except socket.timeout as late:
            raise NoAnswer("chatd does not read what it is sent") from late
        except OSError as lost:
            raise Disconnected(f"chatd is gone: {lost}") from lost

    def _receive(self, timeout: float, wake: socket.socket | None) -> bytes | None:
        sources = [self._socket] if wake is None else [self._socket, wake]
        ready = readable(sources, timeout)
        if wake in ready:
            raise Woken
        if not ready:
            return None
        try:
            return self._socket.recv(READ_BYTES)
        except OSError as lost:
            raise Disconnected(f"chatd is gone: {lost}") from lost


def readable(sources: list[socket.socket], timeout: float) -> list[socket.socket]:
    """Waits until some of them can be read, at most so many seconds; returns those."""
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    found = {number for number, _ in poll.poll(max(timeout, 0) * 1000)}
    return [source for source in sources if source.fileno() in found]


def _connect(path: str, timeout: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.connect(path)
        return made
    except OSError as refused:
        made.close()
        raise trouble(path, refused) from refused


def trouble(path: str, error: OSError) -> Exception:
    """What it means that a socket cannot be connected to."""
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return NotRunning(f"chatd is not running: {path}: {error.strerror}")
    if error.errno is None and not isinstance(error, socket.timeout):
        return NoSocket(f"{path}: {error}")
    return Disconnected(f"{path}: {error.strerror or error}")


class Pool:
    """Connections for calls: taken by one thread each, made when there is none, and kept."""

    def __init__(self, find: Callable[[], str]) -> None:
        self._find = find
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(MAX_CALLS)

    def call(self, method: str, params: Json, timeout: float) -> Any:
        """Calls on a free connection."""
        if not self._places.acquire(timeout=timeout):
            raise NoAnswer(f"{method}: {MAX_CALLS} other calls are under way")
        try:
            return self._call(method, params, timeout)
        finally:
            self._places.release()

    def _call(self, method: str, params: Json, timeout: float) -> Any:
        connection = self._take() or Connection(self._find(), timeout)
        sound = False
        try:
            answer = connection.call(method, params, timeout)
            sound = True
            return answer
        except Refused:
            sound = True
            raise
        finally:
            self._give(connection) if sound else connection.close()

    def _take(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.alive():
                return connection
            connection.close()

    def _give(self, connection: Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        """Closes those that are idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
