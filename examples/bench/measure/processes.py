"""Processes of a run: pinned, private, and ended by their own ids."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

# Where Debian puts servers, which is not on everybody's search path.
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
PATIENCE = 60
LOOK_EVERY = 0.02


class Failed(Exception):
    """Something could not be run, and why."""


def program(name):
    """The path of an installed program, or None."""
    return shutil.which(name, path=PATH)


def output(words, **more):
    """What a command prints; `Failed` with its complaint if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": PATH}, **more)
    if done.returncode:
        raise Failed(
            f"{' '.join(map(str, words[:3]))} … ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}"
        )
    return done.stdout


def cpus(apart=True):
    """(CPUs of the server, CPUs of the generator): one each, as far as this process has two, or for both whatever it has."""
    mine = sorted(os.sched_getaffinity(0))
    return (mine[:1], mine[1:2] or mine[:1]) if apart else (mine, mine)


def pinned(*groups):
    """What a child does before it runs: it stays on these CPUs."""
    return lambda: os.sched_setaffinity(0, {cpu for group in groups for cpu in group})


def pinning(found):
    """Who runs where, in words."""
    server, generator = (", ".join(map(str, group)) for group in found)
    return f"server on CPU {server}, generator on CPU {generator}" + (": the same" if server == generator else "")


def memory(pid):
    """Resident memory of a process in KiB: what belongs to it alone (`RssAnon`), and its share of everything (`Pss`)."""

    def fields(path):
        with open(path) as file:
            return dict(line.split(":", 1) for line in file if ":" in line)

    def kib(text):
        return int(text.split()[0])

    return {
        "anon_kib": kib(fields(f"/proc/{pid}/status")["RssAnon"]),
        "pss_kib": kib(fields(f"/proc/{pid}/smaps_rollup")["Pss"]),
    }


def cpu_seconds(pid):
    """CPU a process used, in seconds; its clock ticks a hundred times a second."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Processes:
    """What runs now; leaving the `with` ends all of it."""

    def __init__(self, logs):
        self.logs = logs
        self.running = {}
        os.makedirs(logs, mode=0o700, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self.running):
            self.stop(name)

    def log(self, name):
        return os.path.join(self.logs, name + ".log")

    def start(self, name, words, cpu, env=None, directory=None):
        """Starts a program on a CPU; its output goes to a log of its name, which begins anew."""
        with open(self.log(name), "wb") as log:
            started = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=pinned(cpu),
                env=env or {**os.environ, "PATH": PATH},
                cwd=directory,
            )
        self.running[name] = started
        return started.pid

    def stop(self, name):
        process = self.running.pop(name, None)
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def said(self, name):
        with open(self.log(name), errors="replace") as log:
            return log.read()

    def until(self, name, ready, what):
        """Waits until `ready()` while the process lives."""
        end = time.monotonic() + PATIENCE
        while not ready():
            if self.running[name].poll() is not None or time.monotonic() > end:
                raise Failed(f"{name}: {what} never came; its log ends: {self.said(name)[-600:]}")
            time.sleep(LOOK_EVERY)

    def until_said(self, name, words):
        self.until(name, lambda: words in self.said(name), f"“{words}”")

    def until_listening(self, name, port):
        self.until(name, lambda: listening(port), f"a listener on port {port}")


def free_port():
    """A port on the loopback address that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listening(port):
    """Whether somebody listens there on IPv4; nobody is connected to."""
    with open("/proc/net/tcp") as file:
        return re.search(rf":{port:04X} \S+ 0A ", file.read()) is not None
