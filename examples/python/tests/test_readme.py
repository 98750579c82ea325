"""Every snippet of the README runs, and the conversation under it happens."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from typing import Any

from .fake import DEADLINE_S, FakeDaemon
from .test_process import PACKAGE, environment

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


class ReadmeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.daemon = FakeDaemon()
        self.daemon.start()
        self.addCleanup(self.daemon.__exit__)

    def start(self, snippet: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", snippet]
        pipe: Any = subprocess.PIPE
        return subprocess.Popen(command, env=environment(self.daemon), stdout=pipe, stderr=pipe, text=True)

    def converse(self, conversation: str) -> None:
        """Says what others say, and waits for what the bot says in between."""
        expected: list[str] = []
        for line in conversation.splitlines():
            who, text = line.split(": ", 1)
            text = text.replace("\\n", "\n")
            if who != "bot":
                self.daemon.hear(text, sender=who)
                continue
            expected.append(text)
            self.daemon.wait_for(f"`{text}`", lambda: len(self.daemon.sent) >= len(expected))
            self.assertEqual(self.daemon.texts(), expected)
        self.daemon.wait_for("the last ack", lambda: list(self.daemon.acked.values()) == [len(self.daemon.log)])
        self.assertEqual(self.daemon.texts(), expected)

    def check(self, snippet: str, conversation: str) -> None:
        process = self.start(snippet)
        try:
            if conversation:
                self.daemon.wait_for("a bot", lambda: self.daemon.subscribers)
                self.converse(conversation)
                process.terminate()
            _, errors = process.communicate(timeout=DEADLINE_S)
            self.assertEqual(process.returncode, 0, errors)
        finally:
            process.kill()
            process.communicate()


def add(number: int, snippet: str, conversation: str) -> None:
    """One test for each snippet, so that a report names it."""

    def test(self: ReadmeTest) -> None:
        self.assertEqual("bot.run()" in snippet, bool(conversation), "a bot has a conversation, a script has none")
        self.check(snippet, conversation)

    setattr(ReadmeTest, f"test_snippet_{number}", test)


for number, block in enumerate(BLOCK.finditer((PACKAGE / "README.md").read_text(encoding="utf-8")), 1):
    add(number, block[1], block[2] or "")


class TopTest(unittest.TestCase):
    def test_the_top_readme_shows_what_is_tried_here(self) -> None:
        tried = (PACKAGE / "README.md").read_text(encoding="utf-8")
        top = (PACKAGE.parent.parent / "README.md").read_text(encoding="utf-8")
        shown = [block[1] for block in BLOCK.finditer(top) if "chatd_bot" in block[1]]
        self.assertTrue(shown)
        for snippet in shown:
            self.assertIn(snippet, tried)


if __name__ == "__main__":
    unittest.main()
