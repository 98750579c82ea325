"""Measures chat-server and chatd beside others: `make bench`; BENCHMARKS.md explains it."""

import argparse
import functools
import json
import os
import resource
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from measure import deltachat, machine, report  # noqa: E402
from measure.chatd import Conversation  # noqa: E402
from measure.grown_daemons import GrownDaemons  # noqa: E402
from measure.grown_servers import GrownServers  # noqa: E402
from measure.processes import Failed, Processes, cpus, pinned, ran  # noqa: E402
from measure.results import Results, judge_load  # noqa: E402
from measure.scale import SCALES  # noqa: E402
from measure.workloads import Workloads  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


# Of a backlog, in seconds, and besides for so many messages; a slow machine writes some 500 a second and drains 1,000.
PATIENCE, DRAINED_A_SECOND = 120, 100


class Run:
    """What the steps of a run share."""

    def __init__(self, options):
        self.scale = SCALES[options.scale]
        self.users = self.scale.users(options.growth)
        self.programs, self.out, self.state = (
            os.path.abspath(path) for path in (options.programs, options.out, options.state)
        )
        self.generator = os.path.join(self.programs, "chat-bench")
        self.results, self.alone = Results(), options.alone
        # a run that measures nothing may be one of many tests that share the machine
        self.cpus = cpus(apart=options.scale != "smoke")
        self.before = options.before and os.path.abspath(options.before)
        for directory in (self.out, self.state):
            os.makedirs(directory, exist_ok=True)
        self.about = machine.describe(self.programs, self.cpus)
        self.final = options.scale == "full"
        self.processes = Processes(os.path.join(self.state, "logs"))

    def step(self, name, work):
        """Does it and says how long it took; what goes wrong fails the run, and the others go on."""
        began = time.monotonic()
        try:
            work()
        except (Failed, OSError, sqlite3.Error) as failed:
            self.results.fail(f"{name}: {failed}")
        # a run that is broken off leaves what it had
        self.report()
        say(f"{name}: {time.monotonic() - began:.0f} s")

    def report(self):
        return report.write(self.results, self.about, self.out, self.final)


def say(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def daemons(run, of, measure):
    try:
        measure(of(run))
    finally:
        run.processes.stop_all()


def peer_daemon(run):
    if deltachat.program() and not run.alone:
        deltachat.measure(run)
    elif not run.alone:
        run.results.note("deltachat-rpc-server is not installed: chatd is measured alone")


def drained(run):
    """A device that was away: `make backlog` does it, and tells its figures."""
    words = [os.path.join(run.programs, "backlog"), "--json", "--messages", run.scale.drained]
    seconds = PATIENCE + run.scale.drained // DRAINED_A_SECOND
    done = ran(words, seconds, preexec_fn=pinned(run.cpus[0]))
    if not done.stdout.startswith("{"):
        raise Failed(f"backlog: {done.stderr.strip()[-400:]}")
    figures = json.loads(done.stdout)
    run.results.add("drained", "chatd", figures)
    judge_load(run.results, "drained", "ours", figures)


def measure(run, options):
    loads = Workloads(run)
    run.step("accounts", lambda: loads.prepare(run.users))
    steps = {
        "fsync": loads.fsync,
        "rooms": loads.rooms,
        "pairs": loads.pairs,
        "idle": loads.idle,
        "store": loads.store,
        "daemons": lambda: daemons(run, Conversation, Conversation.measure),
        "deltachat": lambda: peer_daemon(run),
    }
    repetitions = options.repetitions or run.scale.repetitions
    for repetition in range(repetitions):
        for name, work in steps.items():
            if not options.only or name in options.only:
                run.step(f"{repetition + 1}/{repetitions} {name}", work)
    if not options.only or "drained" in options.only:
        run.step("drained", lambda: drained(run))
    if options.growth:
        grow(run, options.only)


def grow(run, only):
    """What things cost as there are more of them; once, since each is measured at several sizes."""
    servers = GrownServers(run)
    for kind in run.scale.growth:
        if hasattr(servers, kind):
            work = getattr(servers, kind)
        else:
            work = functools.partial(daemons, run, GrownDaemons, getattr(GrownDaemons, kind))
        if not only or kind in only or "growth" in only:
            run.step(f"growth by {kind}", work)


def main():
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--scale", choices=SCALES, default="full", help="how much of everything is done")
    parser.add_argument(
        "--programs",
        default=os.path.join(TOP, "target", "release"),
        help="where chat-server, chatd, backlog and chat-bench are",
    )
    parser.add_argument("--out", default=os.path.join(TOP, "target", "bench"), help="where the report goes")
    parser.add_argument(
        "--state", default=os.path.join(TOP, "target", "bench", "state"), help="what is kept between runs; a short path"
    )
    parser.add_argument("--repetitions", type=int, help="instead of the scale's own")
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        help="steps: fsync,rooms,pairs,idle,store,daemons,deltachat,drained; with --growth also growth, or some of "
        + ",".join(SCALES["full"].growth),
    )
    parser.add_argument("--alone", action="store_true", help="measure ours, and nothing beside it")
    parser.add_argument("--before", help="where another build of chat-server is, measured in turn with ours")
    parser.add_argument("--growth", action="store_true", help="also what things cost as there are more of them")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run = Run(options)
    except Failed as failed:
        parser.exit(1, f"bench: {failed}\n")
    os.sched_setaffinity(0, run.cpus[1])
    with run.processes:
        measure(run, options)
    path = run.report()
    say(f"report: {path}")
    for failure in run.results.broken:
        say(f"FAILED: {failure}")
    return 1 if run.results.broken else 0


if __name__ == "__main__":
    sys.exit(main())
