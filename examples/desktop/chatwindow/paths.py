"""Where chatd listens, found as chatctl finds it, and the command that starts it.

The rules are those of `protocol/src/rpc/paths.rs`; nothing here touches the disk.
"""

import os
import re
import shlex
from dataclasses import dataclass


class NoPlace(Exception):
    """There is no place for this profile; says why."""


@dataclass(frozen=True)
class Paths:
    """Where to connect, and what to tell a user whose daemon does not run."""

    socket: str
    start: str


def find(environment, profile=None, data_dir=None, socket=None):
    """The places for these options, and these variables where an option is absent. Raises `NoPlace`."""
    profile = profile or environment.get("CHATD_PROFILE") or None
    data_dir = data_dir or environment.get("CHATD_DATA_DIR") or None
    socket = socket or environment.get("CHATD_SOCKET") or None
    if profile and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", profile):
        raise NoPlace("profile name must be 1 to 32 letters, digits, `-` or `_`")
    return Paths(socket or _socket(environment, profile or "default", data_dir), _start(profile, data_dir))


def _socket(environment, profile, data_dir):
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if data_dir is None and os.path.isabs(runtime):
        return os.path.join(runtime, "chatd", profile + ".sock")
    return os.path.join(data_dir or _data_dir(environment, profile), "chat.sock")


def _data_dir(environment, profile):
    home = environment.get("XDG_DATA_HOME", "")
    if not os.path.isabs(home):
        home = os.path.join(environment.get("HOME", ""), ".local", "share")
    if not os.path.isabs(home):
        raise NoPlace("no home directory: name a data directory")
    return os.path.join(home, "chatd", profile)


def _start(profile, data_dir):
    if data_dir:
        return "chatd --data-dir " + shlex.quote(data_dir)
    return "chatd --profile " + profile if profile else "chatd"
