"""Calls of a daemon, one JSON object a line: chatd on its socket, deltachat-rpc-server on its standard input."""

import json
import os
import select
import socket
import time

from .processes import Failed, rounds

# In seconds: for an answer, and for many of them.
PATIENCE = 60
PATIENCE_WITH_MANY = 300
READ_BYTES = 256 * 1024


class Line:
    """Calls, and what is said unasked. A subclass says how bytes are read and written, within PATIENCE."""

    def __init__(self, name):
        self.name, self.rest, self.number, self.heard = name, b"", 0, {}

    def encode(self, method, params):
        self.number += 1
        return json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}).encode() + b"\n"

    def lines(self):
        """The whole lines that one read brings. Messages that arrived are noted by their text, with the time."""
        got = self.read()
        if not got:
            raise Failed(f"{self.name} closed the connection")
        *whole, self.rest = (self.rest + got).split(b"\n")
        for line in whole:
            if said_unasked(line) and b'"message.new"' in line:
                message = json.loads(line)["params"]["data"]
                self.heard[message["text"]] = time.perf_counter()
        return whole

    def call(self, method, params=None):
        self.write(self.encode(method, {} if params is None else params))
        wanted = self.number
        for _ in rounds(PATIENCE, f"{self.name}: no answer to {method}"):
            for line in self.lines():
                answer = json.loads(line)
                if answer.get("id") == wanted:
                    if "error" in answer:
                        raise Failed(f"{method}: {answer['error']}")
                    return answer["result"]

    def answers(self, lines):
        """How many of these lines are answers; raises if one is an error."""
        found = [line for line in lines if not said_unasked(line)]
        if any(b'"error"' in line[:60] for line in found):
            raise Failed(f"a call failed: {next(line for line in found if b'error' in line)[:300]!r}")
        return len(found)

    def pipeline(self, method, params, window):
        """Calls with so many in flight; the seconds it took."""
        asked = done = 0
        began = time.perf_counter()
        for _ in rounds(PATIENCE_WITH_MANY, f"{self.name}: not all of {len(params)} answers to {method}"):
            if done == len(params):
                return time.perf_counter() - began
            if asked < len(params) and asked - done <= window // 2:
                more = params[asked : asked + window - (asked - done)]
                self.write(b"".join(self.encode(method, each) for each in more))
                asked += len(more)
            done += self.answers(self.lines())

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
        super().__init__(path)
        for _ in rounds(PATIENCE, f"{path}: nobody listens"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            try:
                self.socket.connect(path)
                return
            except OSError:
                self.socket.close()
                time.sleep(0.0005)

    def fileno(self):
        return self.socket.fileno()

    def read(self):
        try:
            return self.socket.recv(READ_BYTES)
        except socket.timeout:
            raise silent(self) from None

    def write(self, data):
        try:
            self.socket.sendall(data)
        except socket.timeout:
            raise full(self) from None


class PipeLine(Line):
    """Standard input and output of a process."""

    def __init__(self, name, process):
        super().__init__(name)
        self.to, self.of = process.stdin.fileno(), process.stdout.fileno()

    def fileno(self):
        return self.of

    def read(self):
        if not ready([self], PATIENCE):
            raise silent(self)
        return os.read(self.of, READ_BYTES)

    def write(self, data):
        # so much is taken at once by a pipe that can be written to
        for at in range(0, len(data), select.PIPE_BUF):
            if not select.select([], [self.to], [], PATIENCE)[1]:
                raise full(self)
            os.write(self.to, data[at : at + select.PIPE_BUF])


def said_unasked(line):
    return b'"method"' in line[:60]


def silent(line):
    return Failed(f"{line.name} said nothing for {PATIENCE} s")


def full(line):
    return Failed(f"{line.name} read nothing for {PATIENCE} s")


def ready(lines, seconds):
    """Those of the lines that have something to read."""
    return select.select(lines, [], [], max(0, seconds))[0]


def quantile(values, part):
    """The value below which that part of all lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
