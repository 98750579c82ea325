#!/usr/bin/env python3
"""Answers every private message with its own text. Python's standard library is all it needs.

    echo_bot.py SOCKET [CONSUMER]

SOCKET is where chatd listens (`chatctl rpc daemon.info` says where). CONSUMER, `echo` when absent, is the name under
which chatd remembers the last event that was handled: stop the bot, the daemon, or the machine, and it goes on where
it was; no message is missed or answered twice.
Do not let two such bots meet: they are both very polite.
"""

import collections
import json
import socket
import sys
import time


class Daemon:
    """One connection to chatd: JSON-RPC 2.0, one message a line."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")
        self.waiting = collections.deque()  # events that came while an answer was awaited
        self.calls = 0

    def call(self, method, **params):
        """Asks, and returns the result. Raises RuntimeError with the daemon's words when it refuses."""
        self.calls += 1
        request = {"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self.read()
            if message.get("id") == self.calls:
                break
            self.waiting.append(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def events(self):
        """Everything that happens, for as long as the connection lasts."""
        while True:
            message = self.waiting.popleft() if self.waiting else self.read()
            if message.get("method") == "event":
                yield message["params"]

    def read(self):
        line = self.lines.readline()
        if not line:
            raise ConnectionError("chatd closed the connection")
        return json.loads(line)


def answer(daemon, event):
    message = event["data"]
    if event["type"] != "message.new" or message["outgoing"] or message["chat"] == "room:public":
        return
    # The same client_id never sends twice, even if we are killed between this line and the next.
    daemon.call("msg.send", to=message["chat"], text=message["text"], client_id="echo-" + message["id"])


def serve(path, consumer):
    daemon = Daemon(path)
    daemon.call("events.subscribe", consumer=consumer, types=["message.new"], include_self=False)
    print("listening", flush=True)
    for event in daemon.events():
        if event["type"] == "subscription.ended":
            sys.exit(f"the subscription ended: {event['data']['reason']}")
        try:
            answer(daemon, event)
        except RuntimeError as refused:
            print(refused, file=sys.stderr)
        if "seq" in event:
            daemon.call("events.ack", consumer=consumer, seq=event["seq"])


def main(path, consumer="echo"):
    pause = 1
    while True:
        started = time.monotonic()
        try:
            serve(path, consumer)
        except OSError as lost:
            if time.monotonic() - started > 60:
                pause = 1
            print(f"{lost}; trying again in {pause} s", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(pause * 2, 30)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
