"""Bots as processes: killed where it hurts, and asked to end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path
from typing import Any

from .fake import DEADLINE_S, FakeDaemon, after, kill

SYNC = """
from chatd_bot import Bot
bot = Bot("bot")

@bot.on()
def echo(message):
    for part in message.text.split():
        message.reply(part)

bot.run()
"""

ASYNC = """
from chatd_bot import AsyncBot
bot = AsyncBot("bot")

@bot.on()
async def echo(message):
    for part in message.text.split():
        await message.reply(part)

bot.run()
"""

PACKAGE = Path(__file__).parent.parent


def environment(daemon: FakeDaemon) -> "dict[str, str]":
    """What a script needs to find the package and the daemon, and nothing of the tester's own."""
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(PACKAGE), "CHATD_SOCKET": daemon.path}


class ProcessTests:
    script: str

    def start(self: Any) -> "subprocess.Popen[str]":
        env = environment(self.daemon)
        process = subprocess.Popen([sys.executable, "-c", self.script], env=env, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.reap, process)
        return process

    @staticmethod
    def reap(process: "subprocess.Popen[str]") -> None:
        process.kill()
        process.communicate()

    def test_killed_between_answer_and_ack_it_answers_nothing_twice(self: Any) -> None:
        at_the_worst = [
            ("msg.send", kill),
            ("msg.send", after(self.daemon, "msg.send", kill)),
            ("events.ack", kill),
            ("events.ack", after(self.daemon, "events.ack", kill)),
        ]
        for number, (method, fault) in enumerate(at_the_worst, 1):
            first = self.start()
            self.daemon.listening()
            self.daemon.fault(method, fault)
            self.daemon.hear(f"{number}a {number}b")
            self.assertEqual(first.wait(DEADLINE_S), -signal.SIGKILL, method)
            self.daemon.wait_for("its end", lambda: "bot" not in self.daemon.subscribers)
            second = self.start()
            self.daemon.handled(number)
            second.kill()
            self.daemon.wait_for("its end", lambda: "bot" not in self.daemon.subscribers)
        self.assertEqual(self.daemon.texts(), [f"{number}{part}" for number in range(1, 5) for part in "ab"])

    def test_killed_by_each_start_it_gives_the_message_up(self: Any) -> None:
        self.start()
        self.daemon.listening()
        for _ in range(6):
            self.daemon.fault("msg.send", kill)
        self.daemon.hear("deadly")
        self.daemon.hear("fine")
        for starts in range(2, 8):
            self.daemon.wait_for("its end", lambda: "bot" not in self.daemon.subscribers)
            self.start()
            self.daemon.wait_for("another start", lambda: len(self.daemon.called("events.subscribe")) >= starts)  # noqa: B023
        self.daemon.handled(2)
        self.assertEqual(self.daemon.texts(), ["fine"])

    def test_a_signal_lets_it_finish_the_event_in_hand(self: Any) -> None:
        for number, name in enumerate((signal.SIGTERM, signal.SIGINT), 1):
            process = self.start()
            self.daemon.listening()

            def fault(peer: Any, params: Any) -> Any:
                process.send_signal(name)  # noqa: B023
                return self.daemon.on_msg_send(peer, params)

            self.daemon.fault("msg.send", fault)
            self.daemon.hear(f"{number}a {number}b")
            self.assertEqual(process.wait(DEADLINE_S), 0, process.stderr.read())
            self.assertEqual(self.daemon.acked["bot"], number)
            self.daemon.wait_for("its end", lambda: "bot" not in self.daemon.subscribers)
        self.assertEqual(self.daemon.texts(), ["1a", "1b", "2a", "2b"])

    def test_a_signal_ends_a_bot_that_waits_for_its_daemon(self: Any) -> None:
        self.daemon.stop()
        process = self.start()
        said = process.stderr.readline()
        self.assertIn("chatd is not running", said)
        self.assertIn("start it with `chatd`", said)
        process.terminate()
        self.assertEqual(process.wait(DEADLINE_S), 0)

    def test_a_second_signal_does_not_wait(self: Any) -> None:
        process = self.start()
        self.daemon.listening()

        def never(peer: Any, params: Any) -> Any:
            process.terminate()

        self.daemon.fault("msg.send", never)
        self.daemon.hear("x")
        self.daemon.wait_for("the answer", lambda: self.daemon.called("msg.send"))
        until = time.monotonic() + 15
        while process.poll() is None and time.monotonic() < until:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        self.assertNotIn(process.poll(), (None, 0))
        self.assertEqual(self.daemon.acked["bot"], 0)


class SyncProcessTest(ProcessTests, unittest.TestCase):
    script = SYNC

    def setUp(self) -> None:
        self.daemon = FakeDaemon()
        self.daemon.start()
        self.addCleanup(self.daemon.__exit__)


class AsyncProcessTest(SyncProcessTest):
    script = ASYNC


if __name__ == "__main__":
    unittest.main()
