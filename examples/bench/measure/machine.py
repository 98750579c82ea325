"""What a run ran on: the machine, and the versions of everything."""

import os
import platform
import re
import sqlite3
import time

from . import deltachat
from .mariadb import MariaDb
from .peers import PEERS
from .processes import output, pinning, program, ran


def first(pattern, path):
    with open(path) as file:
        found = re.search(pattern, file.read(), re.M)
    return found[1].strip() if found else "unknown"


def commit():
    """Which commit is measured, if this is a repository."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        return ran(["git", "-C", here, "describe", "--always", "--dirty"]).stdout.strip() or "unknown"
    except OSError:
        return "unknown"


def describe(programs, cpus):
    """Names and values, for the head of a report."""
    versions = [peer.says_version() for peer in PEERS if peer.installed and peer.name != "jetstream"]
    if MariaDb.installed():
        versions.append("MariaDB " + output([program("mariadbd"), "--version"]).split("Ver ")[-1].split(" for ")[0])
    if deltachat.program():
        versions.append(deltachat.version())
    model = first(r"^model name\s*:(.*)$", "/proc/cpuinfo")
    distribution = first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release")
    kib = int(first(r"^MemTotal:\s+(\d+)", "/proc/meminfo"))
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{os.cpu_count()} × {model}, {kib / 2**20:.1f} GiB; {pinning(cpus)}",
        "system": f"{distribution}, Linux {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "ours": f"{output([os.path.join(programs, 'chat-server'), '--version']).strip()}, commit {commit()}",
        "beside": "; ".join(versions),
        "plain client": f"SQLite {sqlite3.sqlite_version} by Python {platform.python_version()}",
    }
