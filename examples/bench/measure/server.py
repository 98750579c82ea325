"""chat-server under test, with accounts that were registered once and are kept between runs."""

import os
import re
import shutil
import sqlite3
import subprocess

from .peers import CONFIGS
from .processes import PATIENCE, Failed, free_port, output, pinned, ran

# Who writes to those who are offline; the generator's own number for it.
AUTHOR = 999_999
# An account takes some 0.02 s; of a program built for tests, on a machine that is busy, much more.
SECONDS_AN_ACCOUNT = 1
UNKNOWN_KEY = re.compile(r"server\.toml, line (\d+): unknown key `([^`]+)`")


def private(path, flags):
    """Opens a file that is its owner's alone, as the server wants it."""
    return os.open(path, flags, 0o600)


def forget(lines, at):
    """Empties a line, since what is said next counts them too; with a section's name everything in it."""
    section = lines[at].startswith("[")
    lines[at] = ""
    while section and at + 1 < len(lines) and not lines[at + 1].startswith("["):
        at += 1
        lines[at] = ""


class OurServer:
    """A data directory, the invite and the devices that belong to it, and an address."""

    def __init__(self, programs, generator, state, name="ours"):
        self.name, self.port = name, free_port()
        self.program = os.path.join(programs, "chat-server")
        self.generator = generator
        self.template = os.path.join(state, name + ".template")
        self.data = os.path.join(state, name)
        self.invite = os.path.join(state, name + ".invite")
        self.devices = os.path.join(state, name + ".devices")
        self.protocol = "ours"
        self.unknown = []  # keys of configs/server.toml that this build does not know

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def keys(self):
        return ["--invite", self.invite, "--devices", self.devices]

    def init(self, data):
        shutil.rmtree(data, ignore_errors=True)
        invite = output([self.program, "init", "--data", data, "--listen", self.address, "--public", self.address])
        with open(self.invite, "w") as file:
            file.write(invite)

    def configure(self, data):
        """Gives it configs/server.toml without what it does not know, which it is asked: another build may be an older one."""
        with open(os.path.join(CONFIGS, "server.toml")) as file:
            lines = file.read().split("\n")
        self.unknown = []
        while True:
            with open(os.path.join(data, "server.toml"), "w", opener=private) as file:
                file.write("\n".join(lines))
            asked = ran([self.program, "config", "--data", data])
            if asked.returncode == 0:
                return
            found = UNKNOWN_KEY.search(asked.stderr)
            if not found or not lines[int(found[1]) - 1]:
                raise Failed(f"{self.name} does not take configs/server.toml: {asked.stderr.strip()[-600:]}")
            self.unknown.append(found[2])
            forget(lines, int(found[1]) - 1)

    def run(self, processes, data, cpu, more=()):
        self.configure(data)
        pid = processes.start(self.name, [self.program, "run", "--data", data, "--listen", self.address, *more], cpu)
        processes.until_said(self.name, "listening on")
        return pid

    def start(self, processes, cpu):
        """Starts it on a copy of what was registered; its process id."""
        shutil.rmtree(self.data, ignore_errors=True)
        shutil.copytree(self.template, self.data, ignore=shutil.ignore_patterns("server.lock"))
        return self.run(processes, self.data, cpu)

    def prepare(self, processes, users, cpus):
        """Registers what is missing of so many users, once; the first time, and after one that was broken off, everybody."""
        have = self.registered()
        if have >= users:
            return
        if not have:
            self.init(self.template)
        self.run(processes, self.template, cpus[0])
        try:
            devices = self.register(range(have, users), cpus)
            if not have:
                devices += self.register(range(AUTHOR, AUTHOR + 1), cpus)
        except Failed:
            shutil.rmtree(self.template)
            raise
        finally:
            processes.stop(self.name)
        with open(self.devices, "a" if have else "w") as file:
            file.write(devices)
        self.forget_logins()

    def registered(self):
        """How many users there are: they are numbered from 0."""
        if not os.path.exists(self.devices) or not os.path.exists(os.path.join(self.template, "chat.db")):
            return 0
        with open(self.devices) as file:
            return (
                max((number for number in (int(line.split()[0]) for line in file) if number != AUTHOR), default=-1) + 1
            )

    def register(self, users, cpus):
        """Registers them at the running server from two processes; the lines that name their devices."""
        asked = [
            self.generator,
            "register",
            "--protocol",
            "ours",
            "--address",
            self.address,
            *self.keys(),
            "--step",
            "2",
        ]
        parts = []
        for first in (users.start, users.start + 1):
            words = [*asked, "--from", str(first), "--to", str(users.stop)]
            # whichever CPU is free: the caller has left all but one
            free = pinned(*cpus)
            parts.append(subprocess.Popen(words, text=True, stdout=subprocess.PIPE, preexec_fn=free))
        seconds = PATIENCE + SECONDS_AN_ACCOUNT * len(users)
        try:
            lines = [part.communicate(timeout=seconds)[0] for part in parts]
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name}: {len(users)} accounts were not registered within {seconds} s") from None
        finally:
            for part in parts:
                part.kill()
        if any(part.returncode for part in parts):
            raise Failed(f"{self.name}: accounts could not be registered")
        return "".join(lines)

    def forget_logins(self):
        """Whether a device was there lately would depend on when it was registered: nobody was."""
        with sqlite3.connect(os.path.join(self.template, "chat.db")) as db:
            db.execute("UPDATE device SET last_login_ms = 0")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
