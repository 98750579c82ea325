"""The same places as in protocol/src/rpc/paths.rs."""

import unittest

from chatwindow.paths import NoPlace, find

HOME = {"HOME": "/home/alice", "XDG_RUNTIME_DIR": "/run/user/1000"}


class Places(unittest.TestCase):
    def test_a_profile_has_its_socket(self):
        self.assertEqual(find(HOME).socket, "/run/user/1000/chatd/default.sock")
        self.assertEqual(find(HOME, profile="bob").socket, "/run/user/1000/chatd/bob.sock")
        self.assertEqual(find({**HOME, "CHATD_PROFILE": "bob"}).socket, "/run/user/1000/chatd/bob.sock")

    def test_without_a_runtime_directory_the_socket_is_with_the_data(self):
        for runtime in ({}, {"XDG_RUNTIME_DIR": "relative"}, {"XDG_RUNTIME_DIR": ""}):
            found = find({"HOME": "/home/alice", **runtime})
            self.assertEqual(found.socket, "/home/alice/.local/share/chatd/default/chat.sock")
        moved = {"HOME": "/home/alice", "XDG_DATA_HOME": "/data"}
        self.assertEqual(find(moved).socket, "/data/chatd/default/chat.sock")

    def test_a_named_data_directory_keeps_its_socket(self):
        self.assertEqual(find(HOME, data_dir="/srv/bot").socket, "/srv/bot/chat.sock")
        self.assertEqual(find({**HOME, "CHATD_DATA_DIR": "/srv/bot"}).socket, "/srv/bot/chat.sock")

    def test_a_named_socket_is_that_socket(self):
        self.assertEqual(find({**HOME, "CHATD_SOCKET": "/tmp/x"}, data_dir="/srv/bot").socket, "/tmp/x")

    def test_a_profile_is_never_a_path(self):
        for hostile in ("..", "a/b", "a\0b", "-\n", "a\n", "a" * 33):
            with self.assertRaises(NoPlace, msg=repr(hostile)):
                find(HOME, profile=hostile)

    def test_the_command_starts_the_daemon_that_is_looked_for(self):
        self.assertEqual(find(HOME).start, "chatd")
        self.assertEqual(find(HOME, profile="bob").start, "chatd --profile bob")
        self.assertEqual(find(HOME, data_dir="/srv/my bot").start, "chatd --data-dir '/srv/my bot'")

    def test_nowhere_is_said(self):
        with self.assertRaises(NoPlace):
            find({})


if __name__ == "__main__":
    unittest.main()
