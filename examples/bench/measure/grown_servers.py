"""What chat-server costs as there is more of something; ours alone."""

import functools

from .results import judge_load
from .server import OurServer
from .workloads import Workloads


class GrownServers(Workloads):
    def members(self):
        def work(server, pids):
            for members in self.scale.growth["members"]:
                asked = ["room", "--members", members, "--window", 64]
                self.measure(f"growth/members/{members}", server, pids, *asked)

        self.each([self.ours], work)

    def connections(self):
        for connections in self.scale.growth["connections"]:
            self.afresh(self.ours, f"growth/connections/{connections}", "idle", "--connections", connections)

    def waiting(self):
        """Messages in one mailbox."""
        for waiting in self.scale.growth["waiting"]:
            asked = ["store", "--messages", waiting, "--window", 100, "--users", 1, "--first", self.run.users - 1]
            self.afresh(self.ours, f"growth/waiting/{waiting}", *asked)

    def accounts(self):
        """Registered, and away but for the first few, who write to each other and into the room. At last all there are."""
        sizes = self.scale.growth["accounts"]
        few = min(50, *sizes)
        place = (self.run.programs, self.run.generator, self.run.state)
        servers = {accounts: OurServer(*place, f"ours-of-{accounts}") for accounts in sizes}

        def work(server, pids, step):
            self.measure(step, server, pids, "pairs", "--pairs", few // 2, "--window", 32)
            room = self.generate("room", server, pids, "--members", few, "--window", 64)
            judge_load(self.results, step, server.name, room)
            self.results.add(step, server.name, {"room_cpu_us": room["cpu_us"]})

        for accounts, server in {**servers, self.ours.registered(): self.ours}.items():
            server.prepare(self.run.processes, accounts, self.run.cpus)
            self.each([server], functools.partial(work, step=f"growth/accounts/{accounts}"))

    def afresh(self, server, step, *asked):
        """One measurement of a server that was started for it."""
        self.each([server], lambda server, pids: self.measure(step, server, pids, *asked))
