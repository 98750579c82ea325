"""What a user's own machine pays: chatd, with a chat-server on the same machine.

Server and daemons share the servers' CPU; the client is this program, on the generator's. Its own 30 to 50 µs are in each
round trip, as they are for deltachat-rpc-server.
"""

import os
import shutil
import statistics
import time

from .line import SocketLine, quantile, ready
from .processes import cpu_seconds, memory, rounds
from .server import OurServer

PASSWORD = "correct horse battery"
PATIENCE = 300
IN_FLIGHT = 32
A_SECOND = 20  # messages, where they are paced


def text(number, size=200):
    """A text with a few words that are rare, and many that are not."""
    rare = f"number {number} batch{number // 100} colour{number % 7}"
    return (rare + " the quick brown fox jumps over the lazy dog and runs away" + " lorem ipsum dolor sit amet" * 8)[
        :size
    ]


class Daemon:
    """One chatd with its line."""

    def __init__(self, run, folder, name):
        self.run, self.name = run, name
        self.data = os.path.join(folder, name)
        self.start()

    def start(self):
        """Starts it; `started` is the time to its first answer in milliseconds."""
        began = time.perf_counter()
        words = [os.path.join(self.run.programs, "chatd"), "--data-dir", self.data, "--log", "warn"]
        env = {"HOME": os.path.dirname(self.data), "PATH": os.environ.get("PATH", "")}
        self.pid = self.run.processes.start(self.name, words, self.run.cpus[0], env)
        self.line = SocketLine(os.path.join(self.data, "chat.sock"))
        self.line.call("daemon.info")
        self.started = (time.perf_counter() - began) * 1e3

    def stop(self):
        self.run.processes.stop(self.name)

    def state(self):
        return self.line.call("daemon.health")["connection"]["state"]

    def until(self, done, what):
        for _ in rounds(PATIENCE, f"{self.name} {what}"):
            if done():
                return
            time.sleep(0.02)

    def online(self):
        self.until(lambda: self.state() == "online", "does not get online")

    def hears(self):
        """Subscribes to what others write from now on."""
        self.line.call("events.subscribe", {"from": "now", "types": ["message.new"], "include_self": False})

    def until_heard(self, texts):
        for _ in rounds(PATIENCE, f"{self.name} does not hear all of {len(texts)} messages"):
            if all(text in self.line.heard for text in texts):
                return
            if ready([self.line], 0.5):
                self.line.lines()

    def cpu(self):
        return cpu_seconds(self.pid)

    def commits(self):
        """Transactions so far."""
        lines = self.line.call("daemon.metrics")["text"].splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith("chatd_commit_duration_seconds_count"))


class Conversation:
    """Alice writes to Bob, whose subscriber hears it."""

    def __init__(self, run):
        self.run, self.scale, self.results = run, run.scale, run.results
        self.folder = os.path.join(run.state, "d")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, mode=0o700)
        self.server = OurServer(run.programs, run.generator, self.folder, "chat-server")
        self.server.init(self.server.data)
        self.serve()

    def serve(self):
        self.server_pid = self.server.run(self.run.processes, self.server.data, self.run.cpus[0])

    def member(self, name):
        with open(self.server.invite) as file:
            invite = file.read().strip()
        daemon = Daemon(self.run, self.folder, name)
        daemon.line.call("account.register", {"invite": invite, "user": name, "password": PASSWORD})
        daemon.online()
        return daemon

    def add(self, step, **figures):
        self.results.add(step, "chatd", figures)

    def measure(self):
        self.starts()
        self.bob = self.member("bob")
        self.calls()
        self.acquaint()
        self.paced()
        self.away()
        self.pipelined(self.scale.history)
        self.search()
        self.start_with_history("chatd/history")

    def starts(self):
        fresh, again = [], []
        for number in range(self.scale.starts):
            daemon = Daemon(self.run, self.folder, f"fresh{number}")
            fresh.append(daemon.started)
            daemon.stop()
        self.alice = self.member("alice")
        for _ in range(self.scale.starts):
            self.alice.stop()
            self.alice.start()
            again.append(self.alice.started)
            self.alice.online()
        time.sleep(self.scale.settle)
        self.add(
            "chatd/start",
            fresh_ms=statistics.median(fresh),
            start_ms=statistics.median(again),
            **memory(self.alice.pid),
        )

    def calls(self):
        line, count = self.alice.line, self.scale.calls
        line.times("daemon.info", [{}] * 100)
        took = line.times("daemon.info", [{}] * count)
        seconds = line.pipeline("daemon.info", [{}] * count * 2, IN_FLIGHT)
        self.add(
            "chatd/call",
            p50_us=quantile(took, 0.5) * 1e6,
            p99_us=quantile(took, 0.99) * 1e6,
            per_second=count * 2 / seconds,
        )

    def acquaint(self):
        """So that no session begins within what is measured."""
        self.bob.hears()
        self.alice.line.call("msg.send", {"to": "@bob", "text": "hello"})
        self.bob.until_heard(["hello"])
        self.bob.line.call("msg.send", {"to": "@alice", "text": "hello yourself"})
        self.warm([self.bob])

    def warm(self, readers):
        """Some messages that are to be heard by all of Bob's devices."""
        texts = [f"warm {len(readers)} {number}" for number in range(5)]
        for words in texts:
            self.alice.line.call("msg.send", {"to": "@bob", "text": words})
        for reader in readers:
            reader.until_heard(texts)

    def used(self):
        """CPU seconds of alice's daemon, bob's, and the server; transactions of the daemons."""
        return (
            self.alice.cpu(),
            self.bob.cpu(),
            cpu_seconds(self.server_pid),
            self.alice.commits(),
            self.bob.commits(),
        )

    def costs(self, before, count):
        names = ("cpu_us_sender", "cpu_us_reader", "cpu_us_server", "commits_sender", "commits_reader")
        scales = (1e6, 1e6, 1e6, 1, 1)
        return {
            name: (now - then) / count * scale for name, now, then, scale in zip(names, self.used(), before, scales)
        }

    def paced(self):
        count, sent = int(self.scale.paced * A_SECOND), {}
        alice, bob, before = self.alice.line, self.bob.line, self.used()
        began = time.perf_counter() + 0.05
        while len(sent) < count:
            due = began + len(sent) / A_SECOND
            for line in ready([alice, bob], due - time.perf_counter()):
                line.lines()
            if time.perf_counter() >= due:
                words = text(len(sent))
                sent[words] = time.perf_counter()
                alice.write(alice.encode("msg.send", {"to": "@bob", "text": words}))
        self.bob.until_heard(sent)
        took = [bob.heard[words] - at for words, at in sent.items()]
        self.add(
            "chatd/paced",
            p50_us=quantile(took, 0.5) * 1e6,
            p99_us=quantile(took, 0.99) * 1e6,
            **self.costs(before, count),
        )

    def away(self):
        """Into the outbox while the server is away: durable, and nothing else happens."""
        self.run.processes.stop("chat-server")
        self.alice.until(lambda: self.alice.state() != "online", "does not notice that the server went")
        line, count = self.alice.line, self.scale.outbox
        took = line.times(
            "msg.send", [{"to": "@bob", "text": text(1_000_000 + number)} for number in range(count // 5)]
        )
        texts = [{"to": "@bob", "text": text(2_000_000 + number)} for number in range(count)]
        cpu, commits = self.alice.cpu(), self.alice.commits()
        seconds = line.pipeline("msg.send", texts, IN_FLIGHT)
        self.add(
            "chatd/send",
            p50_us=quantile(took, 0.5) * 1e6,
            p99_us=quantile(took, 0.99) * 1e6,
            per_second=count / seconds,
            cpu_us=(self.alice.cpu() - cpu) / count * 1e6,
            commits=(self.alice.commits() - commits) / count,
        )
        self.serve()
        for daemon in (self.alice, self.bob):
            daemon.line.call("net.kick")
            daemon.online()
        self.bob.until_heard([each["text"] for each in texts])

    def pipelined(self, count, step="chatd/pipelined", first=3_000_000):
        """From alice's calls to bob's subscriber, so many in flight."""
        texts = [text(first + number) for number in range(count)]
        alice, bob, before = self.alice.line, self.bob.line, self.used()
        begun, began, asked, done = len(bob.heard), time.perf_counter(), 0, 0
        for _ in rounds(PATIENCE, f"not all of {count} messages were sent and heard"):
            if len(bob.heard) - begun >= count and done == count:
                break
            if asked < count and asked - done <= IN_FLIGHT // 2:
                more = texts[asked : asked + IN_FLIGHT - (asked - done)]
                alice.write(b"".join(alice.encode("msg.send", {"to": "@bob", "text": words}) for words in more))
                asked += len(more)
            for line in ready([alice, bob], 1):
                found = line.lines()
                done += line.answers(found) if line is alice else 0
        self.bob.until_heard(texts)
        took = time.perf_counter() - began
        self.add(step, per_second=count / took, **self.costs(before, count))

    def search(self, step="chatd/search"):
        line = SocketLine(os.path.join(self.bob.data, "chat.sock"))
        first = line.times("msg.search", [{"query": "fox"}])[0]
        later = line.times("msg.search", [{"query": "quick brown"}] * 20)
        self.add(step, first_ms=first * 1e3, later_ms=statistics.median(later) * 1e3)

    def start_with_history(self, step):
        starts = []
        for _ in range(self.scale.starts):
            self.bob.stop()
            self.bob.start()
            starts.append(self.bob.started)
        self.bob.online()
        time.sleep(self.scale.settle)
        self.add(step, start_ms=statistics.median(starts), **memory(self.bob.pid))
        self.bob.hears()
