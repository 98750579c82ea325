"""Where chatd listens, found as chatctl finds it, and the command that starts it.

The rules are those of `protocol/src/rpc/paths.rs` and `chatctl/src/places.rs`: options, then variables, then the
configuration file of the profile, which nobody else may be able to change, and then where the daemon that runs says it is.
"""

import os
import re
import shlex
import stat
from dataclasses import dataclass

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

# Longest configuration file the daemon reads.
MAX_BYTES = 64 * 1024


class NoPlace(Exception):
    """There is no place for this profile; says why."""


@dataclass(frozen=True)
class Paths:
    """Where to connect, and what to tell a user whose daemon does not run."""

    socket: str
    start: str


@dataclass(frozen=True)
class Given:
    """What the command line says."""

    profile: str = None
    data_dir: str = None
    socket: str = None
    config: str = None

    def or_in(self, environment):
        """The same, with these variables where an option is absent."""
        said = {name: getattr(self, name) or environment.get("CHATD_" + name.upper()) or None for name in vars(self)}
        return Given(**said)


def find(environment, given=None):
    """The places for these options and these variables. Raises `NoPlace`."""
    given = (given or Given()).or_in(environment)
    if given.profile and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", given.profile):
        raise NoPlace("profile name must be 1 to 32 letters, digits, `-` or `_`")
    if given.socket:
        return Paths(given.socket, _start(given))
    places = {} if given.data_dir else _in_file(environment, given)
    named = given.data_dir or places.get("data_dir")
    data_dir = named or os.path.join(_data_home(environment), "chatd", given.profile or "default")
    socket = _told(data_dir) or places.get("socket") or _usual(environment, given, named, data_dir)
    return Paths(socket, _start(given))


def _usual(environment, given, named, data_dir):
    """Where a daemon that was started in this environment listens."""
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if named is None and os.path.isabs(runtime) and _is_own_directory(runtime):
        return os.path.join(runtime, "chatd", (given.profile or "default") + ".sock")
    return os.path.join(data_dir, "chat.sock")


def _is_own_directory(path):
    """`su` leaves the directory of another user behind, and a logout one that is no more."""
    try:
        about = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()


def _told(data_dir):
    """Where the daemon that runs on this data says it is; nobody else may be able to say it."""
    try:
        with open(os.path.join(data_dir, "socket"), encoding="utf-8") as sign:
            about = os.fstat(sign.fileno())
            if about.st_uid != os.geteuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
            path, end, rest = sign.read(4096).partition("\n")
        # one that a daemon left when it was killed leads nowhere
        there = end and not rest and os.path.isabs(path) and stat.S_ISSOCK(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return None
    return path if there else None


def _data_home(environment):
    home = _home(environment, "XDG_DATA_HOME", ".local/share")
    if home is None:
        raise NoPlace("no home directory: name a data directory")
    return home


def _home(environment, variable, usual):
    home = environment.get(variable, "")
    if not os.path.isabs(home):
        home = os.path.join(environment.get("HOME", ""), usual)
    return home if os.path.isabs(home) else None


def _in_file(environment, given):
    """What the configuration file says of the places."""
    home = _home(environment, "XDG_CONFIG_HOME", ".config")
    name = given.config or (home and os.path.join(home, "chatd", (given.profile or "default") + ".toml"))
    try:
        text = _read(name) if name else ""
    except FileNotFoundError:
        if given.config:
            raise NoPlace(f"{name} is not there: name another with --config") from None
        return {}
    except (OSError, ValueError) as error:
        raise NoPlace(f"{name} cannot be read: {error}") from error
    return {key: _whole(environment, name, key, path) for key, path in _parse(name, text).items()}


def _read(name):
    with open(name, encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise NoPlace(f"{name} can be changed by others; fix it with `chmod go-w {shlex.quote(name)}`")
        return file.read(MAX_BYTES)


def _parse(name, text):
    if tomllib is None:
        if re.search(r"^\s*(socket|data_dir)\s*=", text, re.MULTILINE):
            raise NoPlace(f"{name} says where chatd is, and this Python cannot read it: use 3.11, or --socket")
        return {}
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NoPlace(f"{name}: {error}; `chatd config` says more") from error
    return {key: said[key] for key in ("socket", "data_dir") if isinstance(said.get(key), str)}


def _whole(environment, name, key, path):
    if path == "~" or path.startswith("~/"):
        path = os.path.join(environment.get("HOME", ""), path[2:])
    if not os.path.isabs(path):
        raise NoPlace(f"{name}: `{key}` must be a whole path, from `/` or `~/`")
    return path


def _start(given):
    for option in ("data_dir", "config", "profile"):
        if getattr(given, option):
            return f"chatd --{option.replace('_', '-')} {shlex.quote(getattr(given, option))}"
    return "chatd"
