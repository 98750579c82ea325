"""The same places as in protocol/src/rpc/paths.rs."""

import os
import socket
import tempfile
import unittest
from unittest import mock

from chatwindow import paths
from chatwindow.paths import Given, NoPlace, find

RUN = tempfile.TemporaryDirectory()
HOME = {"HOME": "/home/alice", "XDG_RUNTIME_DIR": RUN.name}


def tearDownModule():
    RUN.cleanup()


class Places(unittest.TestCase):
    def test_a_profile_has_its_socket(self):
        self.assertEqual(find(HOME).socket, RUN.name + "/chatd/default.sock")
        self.assertEqual(find(HOME, Given(profile="bob")).socket, RUN.name + "/chatd/bob.sock")
        self.assertEqual(find({**HOME, "CHATD_PROFILE": "bob"}).socket, RUN.name + "/chatd/bob.sock")

    def test_without_a_runtime_directory_the_socket_is_with_the_data(self):
        for runtime in ({}, *({"XDG_RUNTIME_DIR": said} for said in ("relative", "", "/nowhere", "/proc/1/nobodys"))):
            found = find({"HOME": "/home/alice", **runtime})
            self.assertEqual(found.socket, "/home/alice/.local/share/chatd/default/chat.sock")
        moved = {"HOME": "/home/alice", "XDG_DATA_HOME": "/data"}
        self.assertEqual(find(moved).socket, "/data/chatd/default/chat.sock")

    def test_a_named_data_directory_keeps_its_socket(self):
        self.assertEqual(find(HOME, Given(data_dir="/srv/bot")).socket, "/srv/bot/chat.sock")
        self.assertEqual(find({**HOME, "CHATD_DATA_DIR": "/srv/bot"}).socket, "/srv/bot/chat.sock")

    def test_a_runtime_directory_of_another_user_does_not_count(self):
        with mock.patch.object(os, "geteuid", return_value=os.geteuid() + 1):
            self.assertEqual(find(HOME).socket, "/home/alice/.local/share/chatd/default/chat.sock")

    def test_a_named_socket_is_that_socket(self):
        self.assertEqual(find({**HOME, "CHATD_SOCKET": "/tmp/x"}, Given(data_dir="/srv/bot")).socket, "/tmp/x")

    def test_a_profile_is_never_a_path(self):
        for hostile in ("..", "a/b", "a\0b", "-\n", "a\n", "a" * 33):
            with self.assertRaises(NoPlace, msg=repr(hostile)):
                find(HOME, Given(profile=hostile))

    def test_the_command_starts_the_daemon_that_is_looked_for(self):
        self.assertEqual(find(HOME).start, "chatd")
        self.assertEqual(find(HOME, Given(profile="bob")).start, "chatd --profile bob")
        self.assertEqual(find(HOME, Given(data_dir="/srv/my bot")).start, "chatd --data-dir '/srv/my bot'")

    def test_nowhere_is_said(self):
        with self.assertRaises(NoPlace):
            find({})


class Signs(unittest.TestCase):
    """The daemon that runs says where its socket is, to whoever does not share its environment."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.world = {"HOME": folder.name}
        self.data = os.path.join(folder.name, ".local/share/chatd/default")
        os.makedirs(self.data)
        self.sign, self.there = os.path.join(self.data, "socket"), os.path.join(folder.name, "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.there)
        self.addCleanup(listener.close)

    def found(self, text, mode=0o600):
        with open(self.sign, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.sign, mode)
        return find(self.world).socket

    def test_the_daemon_says_where_it_listens(self):
        self.assertEqual(self.found(self.there + "\n"), self.there)
        self.assertEqual(find({"HOME": "/nowhere"}, Given(data_dir=self.data)).socket, self.there)
        self.assertEqual(find(self.world, Given(socket="/s")).socket, "/s")

    def test_what_nobody_listens_on_and_what_others_may_say_does_not_count(self):
        usual = os.path.join(self.data, "chat.sock")
        for text in ("", self.there, "/nowhere\n", "s\n", self.there + "\n\n"):
            self.assertEqual(self.found(text), usual, text)
        self.assertEqual(self.found(self.there + "\n", 0o622), usual)


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.world = {**HOME, "XDG_CONFIG_HOME": folder.name}
        self.file = os.path.join(folder.name, "chatd", "bob.toml")
        os.mkdir(os.path.dirname(self.file))

    def says(self, text, mode=0o600):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file, mode)

    def socket(self, **given):
        return find(self.world, Given(profile="bob", **given)).socket

    @unittest.skipIf(paths.tomllib is None, "this Python reads no TOML")
    def test_the_profiles_file_says_where_it_lives(self):
        self.says('data_dir = "~/bob"\n[tokens]\nsocket = "/not/this"\n')
        self.assertEqual(self.socket(), "/home/alice/bob/chat.sock")
        self.says('data_dir = "~/bob"\nsocket = "/run/bob.sock"\n')
        self.assertEqual(self.socket(), "/run/bob.sock")
        self.assertEqual(self.socket(data_dir="/srv/bob"), "/srv/bob/chat.sock")
        self.assertEqual(find(HOME, Given(config=self.file)).socket, "/run/bob.sock")

    def test_a_file_others_may_change_is_refused(self):
        self.says('socket = "/run/bob.sock"\n', 0o666)
        with self.assertRaisesRegex(NoPlace, "chmod go-w"):
            self.socket()

    @unittest.skipIf(paths.tomllib is None, "this Python reads no TOML")
    def test_a_file_that_makes_no_sense_is_refused(self):
        for text in ("socket = [", 'socket = "run/bob.sock"'):
            self.says(text)
            with self.assertRaises(NoPlace, msg=text):
                self.socket()

    def test_a_python_that_cannot_read_it_does_not_guess(self):
        self.says('socket = "/run/bob.sock"\n')
        with mock.patch.object(paths, "tomllib", None), self.assertRaisesRegex(NoPlace, "--socket"):
            self.socket()
        self.says('log = "debug"\n')
        with mock.patch.object(paths, "tomllib", None):
            self.assertEqual(self.socket(), RUN.name + "/chatd/bob.sock")

    def test_a_named_file_has_to_be_there(self):
        with self.assertRaisesRegex(NoPlace, "not there"):
            find(HOME, Given(config="/nowhere/chatd.toml"))


if __name__ == "__main__":
    unittest.main()
