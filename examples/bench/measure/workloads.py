"""The workloads of servers: ours and its peers in turn, of which only one runs at a time."""

import json
import os
import shutil

from . import inserts
from .mariadb import MariaDb
from .peers import JETSTREAM, MOSQUITTO, NATS, NGIRCD, certificate
from .processes import Failed, output, pinned
from .results import judge_load
from .server import AUTHOR, OurServer

IN_FLIGHT = (1, 64)
USERS = 10  # offline, in `store`
LOGINS_AT_ONCE = {"ngircd": 8}
# In seconds, of ours and of a peer: for one measurement; and the silence after which what did not arrive is lost. A peer
# that loses messages does not hold up the run.
PATIENCE, PATIENCE_WITH_PEERS = 300, 120
QUIET, QUIET_OF_PEERS = 15, 2


class Workloads:
    def __init__(self, run):
        self.run, self.scale, self.results = run, run.scale, run.results
        self.ours = OurServer(run.programs, run.generator, run.state)
        self.before = [OurServer(run.before, run.generator, run.state, "before")] if run.before else []
        self.tls = certificate(os.path.join(run.state, "tls"))
        self.peers = [peer for peer in (NATS, NGIRCD, MOSQUITTO) if self.there(peer)]

    def prepare(self, users):
        """Registers so many users, of ours and of how it was."""
        for server in [self.ours, *self.before]:
            server.prepare(self.run.processes, users, self.run.cpus)

    def there(self, peer):
        if self.run.alone:
            return False
        if not peer.installed:
            self.results.note(f"{peer.program} is not installed: nothing is measured beside it")
        return peer.installed

    def generate(self, what, server, pids, *more):
        """Runs the generator against a server; the figures it prints."""
        ours = server.protocol == "ours"
        words = [self.run.generator, what, "--protocol", server.protocol, "--address", server.address]
        words += server.keys() if ours else []
        words += ["--pid", ",".join(map(str, pids)), "--seconds", self.scale.seconds, "--warm", self.scale.warm]
        words += ["--quiet", QUIET if ours else QUIET_OF_PEERS]
        seconds = PATIENCE if ours else PATIENCE_WITH_PEERS
        return json.loads(output([*words, *more], seconds, preexec_fn=pinned(self.run.cpus[1])))

    def measure(self, step, server, pids, what, *more):
        figures = self.generate(what, server, pids, *more)
        self.results.add(step, server.name, figures)
        judge_load(self.results, step, server.name, figures)
        return figures

    def each(self, servers, work):
        """Starts each server, does the work with (server, process ids), and stops it. What fails of a peer is noted."""
        for server in servers:
            try:
                if isinstance(server, OurServer):
                    pid = server.start(self.run.processes, self.run.cpus[0])
                    for key in server.unknown:
                        self.results.note(f"{server.name} does not know the setting {key}, and runs without it")
                else:
                    pid = server.start(self.run.processes, self.run.state, self.tls, self.run.cpus[0])
                work(server, [pid])
            except Failed as failed:
                ours = server.name.startswith("ours")
                (self.results.fail if ours else self.results.note)(f"{server.name}: {failed}")
            finally:
                self.run.processes.stop(server.name)

    def fsync(self):
        figures = json.loads(output([self.run.generator, "fsync", "--directory", self.run.state]))
        self.results.add("fsync", "disk", figures)

    def rooms(self):
        for members in self.scale.rooms:

            def work(server, pids, members=members):
                for window in IN_FLIGHT:
                    self.measure(
                        f"room/{members}/{window}", server, pids, "room", "--members", members, "--window", window
                    )

            self.each([self.ours, *self.before, *self.peers], work)

    def pairs(self):
        def work(server, pids):
            asked = ["pairs", "--pairs", self.scale.pairs]
            self.measure("pairs/paced", server, pids, *asked, "--rate", 5)
            self.measure("pairs/pipelined", server, pids, *asked, "--window", 32)

        self.each([self.ours, *self.before, *self.peers], work)

    def idle(self):
        def work(server, pids):
            at_once = LOGINS_AT_ONCE.get(server.name, 32)
            figures = self.measure(
                "idle", server, pids, "idle", "--connections", self.scale.connections, "--at-once", at_once
            )
            figures["idle_share_of_10000"] = figures["idle_share"] * 10_000 / self.scale.connections
            self.results.rows[-1].update(figures)

        self.each([self.ours, *self.before, *self.peers], work)

    def store(self):
        def work(server, pids):
            for window, messages in self.scale.stored.items():
                first = self.run.users - (2 * USERS if window == 1 else USERS)
                asked = ["store", "--messages", messages, "--window", window, "--users", USERS, "--first", first]
                self.measure(f"store/{window}", server, pids, *asked)

        beside = [peer for peer in (JETSTREAM, MOSQUITTO) if self.there(peer)]
        self.each([self.ours, *self.before, *beside], work)
        self.plain_sqlite()
        if self.scale.stored_mariadb and MariaDb.installed():
            self.mariadb()
        elif self.scale.stored_mariadb:
            self.results.note("MariaDB is not installed: `make test-setup` does it")

    def plain_sqlite(self):
        copy = os.path.join(self.run.state, "plain")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.ours.template, copy)
        self.results.add(
            "inserts/sqlite",
            "plain client",
            {"per_second": inserts.sqlite(os.path.join(copy, "chat.db"), self.scale.inserts)},
        )

    def mariadb(self):
        database = MariaDb(self.run.state)
        server = OurServer(self.run.programs, self.run.generator, self.run.state, "ours-mariadb")
        processes, cpus = self.run.processes, self.run.cpus
        try:
            database_pid = database.start(processes, cpus[0])
            server.init(server.data)
            pid = server.run(processes, server.data, cpus[0], ["--database", database.url()])
            with open(server.devices, "w") as file:
                file.write(server.register(range(20), cpus) + server.register(range(AUTHOR, AUTHOR + 1), cpus))
            for first, (window, messages) in zip((0, USERS), self.scale.stored_mariadb.items()):
                self.measure(
                    f"store-mariadb/{window}",
                    server,
                    [pid, database_pid],
                    "store",
                    "--messages",
                    messages,
                    "--window",
                    window,
                    "--users",
                    USERS,
                    "--first",
                    first,
                )
            processes.stop(server.name)
            rate = inserts.mariadb(database, self.run.state, cpus[1], self.scale.inserts)
            self.results.add("inserts/mariadb", "plain client", {"per_second": rate})
        except Failed as failed:
            self.results.fail(f"on MariaDB: {failed}")
        finally:
            processes.stop(server.name)
            processes.stop(database.name)
