"""Nothing is waited for without end, and whoever waited in vain says for what."""

import os
import socket
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from measure import line, processes, server  # noqa: E402
from measure.processes import Failed, Processes  # noqa: E402


class Commands(unittest.TestCase):
    def test_one_that_does_not_end_is_killed_with_what_it_started(self):
        # whoever was started holds an end of the pipe, which is closed when the last of them has ended
        ended, held = os.pipe()
        with open(ended, "rb") as ended:
            with self.assertRaisesRegex(Failed, "sh .* did not end within 0.5 s"):
                processes.ran(["sh", "-c", "sleep 60 & wait"], 0.5, pass_fds=[held])
            os.close(held)
            self.assertEqual(line.ready([ended], 10), [ended], "the child does not end")
            self.assertEqual(ended.read(), b"")

    def test_one_that_fails_says_why(self):
        with self.assertRaisesRegex(Failed, "ended with 3: because"):
            processes.output(["sh", "-c", "echo because >&2; exit 3"])

    def test_a_program_that_is_never_ready_says_what_it_said(self):
        with tempfile.TemporaryDirectory() as logs, Processes(logs) as running:
            with mock.patch.object(processes, "PATIENCE", 0.2):
                running.start("idler", ["sh", "-c", "echo hm; sleep 60"], os.sched_getaffinity(0))
                with self.assertRaisesRegex(Failed, "idler: “ready” never came, .* within 0.2 s; its log ends: hm"):
                    running.until_said("idler", "ready")


@mock.patch.object(line, "PATIENCE", 0.2)
class Lines(unittest.TestCase):
    def test_a_socket_that_says_nothing_is_given_up(self):
        with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(directory, "s")
            listener.bind(path)
            listener.listen()
            with self.assertRaisesRegex(Failed, "/s said nothing for 0.2 s"):
                line.SocketLine(path).call("daemon.info")

    def test_a_socket_that_is_not_there_is_given_up(self):
        with self.assertRaisesRegex(Failed, "nobody listens within 0.2 s"):
            line.SocketLine("/nowhere/s")

    def test_a_pipe_is_given_up_as_well_whether_it_says_nothing_or_reads_nothing(self):
        with subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                pipe = line.PipeLine("sleep", process)
                with self.assertRaisesRegex(Failed, "sleep said nothing for 0.2 s"):
                    pipe.call("anything")
                with self.assertRaisesRegex(Failed, "sleep read nothing for 0.2 s"):
                    pipe.write(bytes(1 << 20))
            finally:
                process.kill()


# Knows two settings, and complains of others as chat-server does, about the first one.
OLDER = """#!/bin/sh
line=$(grep -nE '^(.novel|newer|newest)' "$3/server.toml" | head -1)
[ -z "$line" ] && exit 0
key=${line#*:}
echo "chat-server: $3/server.toml, line ${line%%:*}: unknown key \\`rates.${key%% *}\\`; did you mean" >&2
exit 78
"""


class OlderServers(unittest.TestCase):
    def configured(self, program, settings):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in (("chat-server", program), ("server.toml", settings)):
                with open(os.path.join(directory, name), "w") as file:
                    file.write(text)
            os.chmod(os.path.join(directory, "chat-server"), 0o700)
            data = os.path.join(directory, "data")
            os.mkdir(data)
            with mock.patch.object(server, "CONFIGS", directory):
                older = server.OurServer(directory, "generator", directory, "before")
                older.configure(data)
            with open(os.path.join(data, "server.toml")) as file:
                return older.unknown, file.read()

    def test_settings_that_an_older_build_does_not_know_are_dropped_and_named(self):
        unknown, kept = self.configured(OLDER, "[rates]\nnewer = 1\nold = 2\nnewest = 3\n")
        self.assertEqual(unknown, ["rates.newer", "rates.newest"])
        self.assertEqual(kept, "[rates]\n\nold = 2\n\n")

    def test_a_section_that_it_does_not_know_goes_with_all_that_is_in_it(self):
        unknown, kept = self.configured(OLDER, "[novel]\nold = 1\n\n[rates]\nold = 2\n")
        self.assertEqual(unknown, ["rates.[novel]"])
        self.assertEqual(kept, "\n\n\n[rates]\nold = 2\n")

    def test_one_that_refuses_for_another_reason_is_not_run(self):
        with self.assertRaisesRegex(Failed, "before does not take configs/server.toml: no such luck"):
            self.configured("#!/bin/sh\necho no such luck >&2; exit 78\n", "[rates]\n")


if __name__ == "__main__":
    unittest.main()
