#!/usr/bin/env python3
"""Deploys when somebody who may says so, and says so again.

    deploy_bot.py SETTINGS.json

    {"allow": ["alice"], "expires_s": 60, "timeout_s": 900,
     "targets": {"web": ["/usr/local/bin/deploy", "web"]}}

`/deploy TARGET` asks back; `yes` within `expires_s` runs the target's command, as it stands in the settings: what is
written in the chat chooses one of them and is never part of a command, nor seen by a shell. Its output comes as
messages while it runs, and its outcome at the end.

A deployment runs at most once. The bot notes in the daemon that it begins before it does, so a bot that was killed in
the midst of it says that it does not know the outcome, and does not begin again.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

from chatd_bot import Bot, Conflict, UsageError

#: Output is sent in pieces: so many seconds and characters each, so many pieces at most.
PIECE_S, PIECE_CHARS, PIECES = 3.0, 4_000, 30


class Settings:
    """What the file says. Raises ValueError for what it should not say."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
        unknown = set(said) - {"allow", "expires_s", "timeout_s", "targets"}
        if unknown:
            raise ValueError(f"{path}: unknown setting `{unknown.pop()}`")
        self.allow = said["allow"]
        self.targets = said["targets"]
        self.expires_s = said.get("expires_s", 60)
        self.timeout_s = said.get("timeout_s", 900)
        for name, command in self.targets.items():
            if not (isinstance(command, list) and command and all(isinstance(word, str) for word in command)):
                raise ValueError(f"{path}: the command of `{name}` must be a list of words")


class Output:
    """What a command says, gathered by a thread beside it."""

    def __init__(self, stream):
        self._held, self._lock = bytearray(), threading.Lock()
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream):
        while data := os.read(stream.fileno(), 65_536):
            with self._lock:
                self._held += data
                # only the end of a flood is of interest, and memory has one
                del self._held[: -4 * PIECE_CHARS]

    def take(self):
        """What came since the last time, its end if it is long."""
        with self._lock:
            data, self._held = bytes(self._held), bytearray()
        text = data.decode(errors="replace").strip()
        return text if len(text) <= PIECE_CHARS else "[…] " + text[-PIECE_CHARS:]

    def rest(self):
        """The last words: a process the command left behind may hold the pipe, and is not waited for."""
        self._reader.join(1)
        return self.take()


def run(command, timeout_s, say):
    """Runs a command, hands its output to `say` as it comes, and returns how it ended."""
    began = time.monotonic()
    try:
        # a session of its own, so that what it started can be ended with it
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"failed: it could not be started: {error.strerror}"
    with process:
        output = Output(process.stdout)
        for _ in range(PIECES):
            left = timeout_s - (time.monotonic() - began)
            if ended(process, min(PIECE_S, left)) or left <= PIECE_S:
                break
            if text := output.take():
                say(text)
        in_time = ended(process, max(timeout_s - (time.monotonic() - began), 0))
        if not in_time:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if text := output.rest():
            say(text)
    took = f"after {time.monotonic() - began:.0f} s"
    if not in_time:
        return f"failed: it was ended {took}, which is all it may take"
    return f"done {took}" if process.returncode == 0 else f"failed {took}, exit code {process.returncode}"


def ended(process, seconds):
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def build(settings):
    """The bot."""
    bot = Bot("deploy")
    allowed = settings.allow

    @bot.on(command="/deploy", user=allowed)
    def ask(message, target):
        """Deploys, after you said yes."""
        if target not in settings.targets:
            raise UsageError(f"there is no target {target}; there are: {', '.join(settings.targets)}")
        until = message.event.time_ms / 1000 + settings.expires_s
        bot.kv.set(message.sender, {"state": "asked", "target": target, "until": until})
        message.reply(f"reply yes to deploy {target}, it expires in {settings.expires_s} s")

    @bot.on(command="/deploy")
    def refuse(message):
        message.reply("you are not allowed to deploy")

    @bot.on(matches="yes", user=allowed)
    def confirm(message):
        found = bot.kv.look(message.sender)
        request = found.value or {"state": "none"}
        if request.get("yes") == message.id:
            # this bot, or the one before it, was here already
            if request["state"] == "running":
                message.reply(f"{request['target']}: I was interrupted and do not know the outcome", key="outcome")
        elif request["state"] != "asked":
            message.reply("there is nothing to confirm")
        elif time.time() > request["until"]:
            message.reply(f"too late: ask again with /deploy {request['target']}")
        else:
            deploy(message, request, found.version)

    @bot.on(matches="no", user=allowed)
    def cancel(message):
        found = bot.kv.look(message.sender)
        if found.value and found.value["state"] == "asked":
            bot.kv.set(message.sender, {"state": "done"})
            message.reply(f"{found.value['target']} is not deployed")

    def deploy(message, request, version):
        target, owner = request["target"], message.sender
        running = {"state": "running", "target": target, "yes": message.id}
        try:
            version = bot.kv.set(owner, running, if_version=version)
        except Conflict:
            message.reply("something changed meanwhile: ask again")
            return
        message.reply(f"deploying {target}", key="begins")
        outcome = run(settings.targets[target], settings.timeout_s, message.reply)
        message.reply(f"{target}: {outcome}", key="outcome")
        bot.kv.set(owner, {**running, "state": "done"})

    return bot


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        settings = Settings(sys.argv[1])
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"deploy_bot.py: {error!r}" if isinstance(error, (KeyError, TypeError)) else f"deploy_bot.py: {error}")
    build(settings).run()


if __name__ == "__main__":
    main()
