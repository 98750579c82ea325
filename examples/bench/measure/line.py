"""Calls of a daemon, one JSON object a line: chatd on its socket, deltachat-rpc-server on its standard input."""

import json
import select
import socket
import time

from .processes import Failed

PATIENCE = 60
READ_BYTES = 256 * 1024


class Line:
    """Calls, and what is said unasked. A subclass says how bytes are read and written."""

    def __init__(self):
        self.rest, self.number, self.heard = b"", 0, {}

    def encode(self, method, params):
        self.number += 1
        return json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}).encode() + b"\n"

    def lines(self):
        """The whole lines that one read brings. Messages that arrived are noted by their text, with the time."""
        got = self.read()
        if not got:
            raise Failed("the daemon closed the connection")
        *whole, self.rest = (self.rest + got).split(b"\n")
        for line in whole:
            if b'"message.new"' in line:
                message = json.loads(line)["params"]["data"]
                self.heard[message["text"]] = time.perf_counter()
        return whole

    def call(self, method, params=None):
        self.write(self.encode(method, {} if params is None else params))
        wanted = self.number
        while True:
            for line in self.lines():
                answer = json.loads(line)
                if answer.get("id") == wanted:
                    if "error" in answer:
                        raise Failed(f"{method}: {answer['error']}")
                    return answer["result"]

    def answers(self, lines):
        """How many of these lines are answers; raises if one is an error."""
        found = [line for line in lines if b'"method"' not in line[:60]]
        if any(b'"error"' in line[:60] for line in found):
            raise Failed(f"a call failed: {next(line for line in found if b'error' in line)[:300]!r}")
        return len(found)

    def pipeline(self, method, params, window):
        """Calls with so many in flight; the seconds it took."""
        asked = done = 0
        began = time.perf_counter()
        while done < len(params):
            if asked < len(params) and asked - done <= window // 2:
                more = params[asked : asked + window - (asked - done)]
                self.write(b"".join(self.encode(method, each) for each in more))
                asked += len(more)
            done += self.answers(self.lines())
        return time.perf_counter() - began

    def times(self, method, params):
        """Calls one after another; how long each took, in seconds."""
        took = []
        for each in params:
            began = time.perf_counter()
            self.call(method, each)
            took.append(time.perf_counter() - began)
        return took


class SocketLine(Line):
    """A Unix socket, which may not be there yet."""

    def __init__(self, path):
        super().__init__()
        end = time.monotonic() + PATIENCE
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                return
            except OSError as error:
                self.socket.close()
                if time.monotonic() > end:
                    raise Failed(f"{path}: {error}") from None
                time.sleep(0.0005)

    def fileno(self):
        return self.socket.fileno()

    def read(self):
        return self.socket.recv(READ_BYTES)

    def write(self, data):
        self.socket.sendall(data)


class PipeLine(Line):
    """Standard input and output of a process."""

    def __init__(self, process):
        super().__init__()
        self.process = process

    def read(self):
        return self.process.stdout.read1(READ_BYTES)

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()


def ready(lines, seconds):
    """Those of the lines that have something to read."""
    return select.select(lines, [], [], max(0, seconds))[0]


def quantile(values, part):
    """The value below which that part of all lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
