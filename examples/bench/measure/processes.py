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
# In seconds: for a command that ends by itself, or a program to be ready; for one that was told to end.
PATIENCE = 60
ENDS_WITHIN = 15
LOOK_EVERY = 0.02


class Failed(Exception):
    """Something could not be run, and why."""


def program(name):
    """The path of an installed program, or None."""
    return shutil.which(name, path=PATH)


def rounds(seconds, what):
    """Goes round until the caller leaves; `Failed` if that takes longer than so many seconds, and `what` did not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
    raise Failed(f"{what} within {seconds} s")


def ran(words, seconds=PATIENCE, **more):
    """A command that ended within so many seconds: its code and what it printed. Else it is killed, with what it started."""
    command = " ".join(map(str, words[:3]))
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(list(map(str, words)), env={**os.environ, "PATH": PATH}, **piped, **more) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{command} … did not end within {seconds} s") from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def output(words, seconds=PATIENCE, **more):
    """What a command prints; `Failed` with its complaint if it fails or does not end within so many seconds."""
    done = ran(words, seconds, **more)
    if done.returncode:
        command, said = " ".join(map(str, words[:3])), (done.stderr or done.stdout).strip()
        raise Failed(f"{command} … ended with {done.returncode}: {said[-600:]}")
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
    """CPU a process used, user and system, all threads, in seconds; its clock has nanoseconds' resolution."""
    # as clock_getcpuclockid(3) makes it
    return time.clock_gettime(~pid << 3 | 2)


class Processes:
    """What runs now; leaving the `with` ends all of it."""

    def __init__(self, logs):
        self.logs = logs
        self.running = {}
        os.makedirs(logs, mode=0o700, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_all()

    def stop_all(self):
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
        for end in (process.terminate, process.kill):
            end()
            try:
                process.wait(ENDS_WITHIN)
                return
            except subprocess.TimeoutExpired:
                continue
        raise Failed(f"{name} does not end, even when it is killed")

    def said(self, name):
        with open(self.log(name), errors="replace") as log:
            return log.read()

    def until(self, name, ready, what):
        """Waits until `ready()` while the process lives."""
        try:
            for _ in rounds(PATIENCE, "not"):
                if ready():
                    return
                if self.running[name].poll() is not None:
                    raise Failed("it ended")
                time.sleep(LOOK_EVERY)
        except Failed as failed:
            raise Failed(f"{name}: {what} never came, {failed}; its log ends: {self.said(name)[-600:]}") from None

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
