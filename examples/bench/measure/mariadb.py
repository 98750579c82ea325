"""A MariaDB of our own with the settings of its package: on a socket, without network, every commit synced."""

import getpass
import os
import shutil

from .processes import output, program

DATABASE = "chat"


class MariaDb:
    name = "mariadb"

    def __init__(self, state):
        self.data = os.path.join(state, "mariadb")
        self.empty = os.path.join(state, "mariadb.empty")
        # short: a socket's path ends at 107 bytes
        self.socket = os.path.join(state, "m.sock")
        self.user = getpass.getuser()

    @staticmethod
    def installed():
        return program("mariadbd") is not None and program("mariadb-install-db") is not None

    def url(self):
        return f"mysql://root@localhost/{DATABASE}?socket={self.socket}"

    def client(self, *more):
        return [program("mariadb"), "--no-defaults", "--user=root", f"--socket={self.socket}", *more]

    def start(self, processes, cpu):
        """Starts it empty; its process id."""
        if not os.path.exists(self.empty):
            output(
                [
                    program("mariadb-install-db"),
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--force",
                    f"--user={self.user}",
                    f"--datadir={self.empty}",
                ]
            )
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(self.empty, self.data)
        pid = processes.start(
            self.name,
            [
                program("mariadbd"),
                "--no-defaults",
                f"--user={self.user}",
                f"--datadir={self.data}",
                f"--socket={self.socket}",
                f"--pid-file={self.data}/pid",
                "--skip-networking",
                "--skip-log-bin",
                "--innodb-flush-log-at-trx-commit=1",
            ],
            cpu,
        )
        processes.until_said(self.name, "ready for connections")
        output(self.client("-e", f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4"))
        return pid
