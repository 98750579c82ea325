"""Lines, however they arrive; where the socket is; what errors say."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from chatd_bot import ChatdError, Disconnected, NoSocket, NotFound, Refused, socket_path, wire
from chatd_bot.errors import refused


class LinesTest(unittest.TestCase):
    def test_lines_are_the_same_however_they_are_cut(self) -> None:
        stream = b'{"id":1}\n\r\n  \n{"text":"\xc3\xa4 \\n"}\n{"id":3}\n'
        for size in range(1, len(stream) + 1):
            lines, found = wire.Lines(), []
            for at in range(0, len(stream), size):
                found += lines.feed(stream[at : at + size])
            self.assertEqual(found, [{"id": 1}, {"text": "ä \n"}, {"id": 3}], f"pieces of {size}")

    def test_an_end_within_a_line_is_a_loss_and_never_half_an_object(self) -> None:
        lines = wire.Lines()
        self.assertEqual(lines.feed(b'{"id":1}\n{"id":2'), [{"id": 1}])
        with self.assertRaisesRegex(Disconnected, "within a line"):
            lines.feed(b"")

    def test_what_is_no_object_ends_the_connection(self) -> None:
        for broken in (b"nonsense\n", b"[1]\n", b"\xff\xfe\n", b'{"id":\n', b"17\n"):
            with self.assertRaises(Disconnected, msg=repr(broken)):
                wire.Lines().feed(broken)

    def test_an_endless_line_is_not_kept(self) -> None:
        lines = wire.Lines(limit=10)
        lines.feed(b"x" * 10)
        with self.assertRaisesRegex(Disconnected, "more than 10 bytes"):
            lines.feed(b"x")

    def test_a_request_is_one_line_with_whatever_text(self) -> None:
        line = wire.request(7, "msg.send", {"text": "a\nb\u2028ü"})
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(json.loads(line)["params"]["text"], "a\nb\u2028ü")
        with self.assertRaises(ValueError):
            wire.request(7, "msg.send", {"text": "\ud800"})


class PathTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.run_dir = folder.name
        self.HOME = {"HOME": "/nowhere/alice", "XDG_RUNTIME_DIR": folder.name}

    def test_the_socket_is_where_chatctl_looks(self) -> None:
        runtime = self.run_dir + "/chatd/"
        cases = [
            ({}, {}, runtime + "default.sock"),
            ({"CHATD_PROFILE": "bot"}, {}, runtime + "bot.sock"),
            ({"CHATD_DATA_DIR": "/srv/bot", "CHATD_PROFILE": "bot"}, {}, "/srv/bot/chat.sock"),
            ({"CHATD_DATA_DIR": "/srv/bot", "CHATD_SOCKET": "/s"}, {}, "/s"),
            ({"CHATD_PROFILE": "bot"}, {"profile": "other"}, runtime + "other.sock"),
            ({"CHATD_SOCKET": "/s"}, {"socket": "/t"}, "/t"),
        ]
        for said, given, expected in cases:
            self.assertEqual(socket_path(environment={**self.HOME, **said}, **given), expected, (said, given))

    def test_without_a_runtime_directory_the_socket_is_with_the_data(self) -> None:
        for runtime in ("", "relative", "/nowhere/run"):
            env = {"HOME": "/nowhere/alice", "XDG_RUNTIME_DIR": runtime, "XDG_DATA_HOME": "/data"}
            self.assertEqual(socket_path(environment=env), "/data/chatd/default/chat.sock")
        env = {"HOME": "/nowhere/alice", "XDG_DATA_HOME": "relative"}
        self.assertEqual(socket_path(environment=env), "/nowhere/alice/.local/share/chatd/default/chat.sock")

    def test_a_runtime_directory_of_another_user_does_not_count(self) -> None:
        with mock.patch.object(os, "geteuid", return_value=os.geteuid() + 1):
            found = socket_path(environment=self.HOME)
        self.assertEqual(found, "/nowhere/alice/.local/share/chatd/default/chat.sock")

    def test_the_daemon_says_where_it_listens_to_whoever_does_not_share_its_environment(self) -> None:
        with tempfile.TemporaryDirectory() as home, socket.socket(socket.AF_UNIX) as listener:
            env, there = {"HOME": home}, home + "/s"
            data = Path(home, ".local/share/chatd/default")
            data.mkdir(parents=True)
            listener.bind(there)

            def found(text: str, mode: int = 0o600) -> str:
                sign = data / "socket"
                sign.write_text(text)
                sign.chmod(mode)
                return socket_path(environment=env)

            self.assertEqual(found(there + "\n"), there)
            self.assertEqual(socket_path(data_dir=str(data), environment={"HOME": "/nowhere"}), there)
            self.assertEqual(socket_path("/s", environment=env), "/s")
            usual = str(data / "chat.sock")
            for text in ("", there, "/nowhere\n", "s\n", there + "\n\n"):
                self.assertEqual(found(text), usual, text)
            self.assertEqual(found(there + "\n", 0o622), usual, "others could say it")

    def test_a_profile_is_never_a_path_and_an_empty_variable_never_another_account(self) -> None:
        for hostile in ("..", "a/b", "a\0b", "a\n", "a" * 33):
            with self.assertRaises(NoSocket, msg=repr(hostile)):
                socket_path(profile=hostile, environment=self.HOME)
        for name in ("CHATD_SOCKET", "CHATD_DATA_DIR", "CHATD_PROFILE"):
            with self.assertRaises(NoSocket, msg=name):
                socket_path(environment={**self.HOME, name: ""})

    def test_a_configuration_file_may_name_the_place(self) -> None:
        with tempfile.TemporaryDirectory() as home:
            file = Path(home, ".config", "chatd", "bot.toml")
            file.parent.mkdir(parents=True)
            env = {"HOME": home, "XDG_RUNTIME_DIR": self.run_dir, "CHATD_PROFILE": "bot"}

            def found(text: str, **more: str) -> str:
                file.write_text(text)
                file.chmod(0o600)
                return socket_path(environment={**env, **more})

            self.assertEqual(found('log = "info"\nsocket = "/s" # there\n[limits]\nsocket = "/other"\n'), "/s")
            self.assertEqual(found("data_dir = '~/data'"), f"{home}/data/chat.sock")
            self.assertEqual(found("[limits]\nsocket = '/s'"), self.run_dir + "/chatd/bot.sock")
            self.assertEqual(found("socket = '/s'", CHATD_DATA_DIR="/d"), "/d/chat.sock")
            self.assertEqual(found("socket = '/s'", CHATD_PROFILE="other", CHATD_CONFIG=str(file)), "/s")
            for wrong in ("socket = 'relative'", 'socket = "a\\\\b"', "socket = 7"):
                with self.assertRaises(NoSocket, msg=wrong):
                    found(wrong)
            with self.assertRaises(NoSocket):
                found("", CHATD_CONFIG=home + "/none")
            file.chmod(0o622)
            with self.assertRaisesRegex(NoSocket, "chmod go-w"):
                socket_path(environment=env)


class ErrorTest(unittest.TestCase):
    def test_an_error_carries_what_the_daemon_said(self) -> None:
        data = {"kind": "not_found", "retryable": False, "path": "to", "hint": "say @bob", "candidates": ["@bob"]}
        error = refused("msg.send", {"code": 1010, "message": "no such user", "data": data})
        self.assertIsInstance(error, NotFound)
        self.assertEqual(str(error), "msg.send: no such user (say @bob)", "who prints it reads what helps")
        self.assertEqual((error.code, error.kind, error.retryable), (1010, "not_found", False))
        self.assertEqual((error.path, error.hint, error.candidates), ("to", "say @bob", ["@bob"]))
        self.assertIsNone(error.retry_after_ms)

    def test_kinds_of_tomorrow_and_errors_without_data_are_survived(self) -> None:
        newer = refused("x", {"code": 1999, "message": "hm", "data": {"kind": "of_tomorrow", "retryable": True}})
        self.assertEqual((type(newer), newer.kind, newer.retryable), (Refused, "of_tomorrow", True))
        for broken in ({"code": 1, "message": "m"}, {}, None, {"data": 7}):
            self.assertIsInstance(refused("x", broken), ChatdError)


if __name__ == "__main__":
    unittest.main()
