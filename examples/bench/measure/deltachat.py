"""deltachat-rpc-server, the daemon that chatd is measured beside: start, memory and calls."""

import os
import shutil
import statistics
import subprocess
import time

from .chatd import IN_FLIGHT
from .line import PipeLine, quantile
from .processes import memory, pinned, ran

CALL = "get_system_info"
NAME = "deltachat-rpc-server"


def program():
    """Where `make bench` installed it; None if it did not."""
    path = os.path.join(
        os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
        "target",
        "bench",
        "python",
        "bin",
        NAME,
    )
    return path if os.path.exists(path) else shutil.which(NAME)


def version():
    done = ran([program(), "--version"])
    return f"{NAME} {(done.stdout + done.stderr).strip()}"


def measure(run):
    accounts = os.path.join(run.state, "deltachat")
    shutil.rmtree(accounts, ignore_errors=True)
    figures = one(run, accounts, calls=True)
    starts = [one(run, accounts, calls=False)["start_ms"] for _ in range(run.scale.starts)]
    run.results.add(
        "deltachat", NAME, {**figures, "fresh_ms": figures["start_ms"], "start_ms": statistics.median(starts)}
    )


def one(run, accounts, calls):
    env = {**os.environ, "DC_ACCOUNTS_PATH": accounts, "RUST_LOG": "error"}
    began = time.perf_counter()
    with subprocess.Popen(
        [program()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env,
        preexec_fn=pinned(run.cpus[0]),
    ) as process:
        try:
            line = PipeLine(NAME, process)
            line.call(CALL, [])
            figures = {"start_ms": (time.perf_counter() - began) * 1e3}
            if calls:
                line.call("add_account", [])
                time.sleep(run.scale.settle)
                figures.update(memory(process.pid))
                line.times(CALL, [[]] * 100)
                took = line.times(CALL, [[]] * run.scale.calls)
                seconds = line.pipeline(CALL, [[]] * run.scale.calls * 2, IN_FLIGHT)
                figures.update(
                    p50_us=quantile(took, 0.5) * 1e6,
                    p99_us=quantile(took, 0.99) * 1e6,
                    per_second=run.scale.calls * 2 / seconds,
                )
            return figures
        finally:
            process.kill()
