"""Where the daemon's socket is: the same rules as chatd and chatctl."""

from __future__ import annotations

import os
import pwd
import re
import stat
import sys
from collections.abc import Mapping

from .errors import NoSocket

_PROFILE = re.compile(r"[A-Za-z0-9_-]{1,32}")
#: A place in a configuration file, which is TOML; Python reads that by itself only since 3.11.
_PLACE = re.compile(r"""\s*(data_dir|socket)\s*=\s*(?:"([^"\\]*)"|'([^']*)')\s*(?:#.*)?""")
#: Longest configuration file the daemon reads.
_MAX_BYTES = 64 * 1024


def socket_path(
    socket: str | None = None,
    *,
    profile: str | None = None,
    data_dir: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Finds the socket.

    ``socket``, else ``CHATD_SOCKET``. Else there is a data directory: ``data_dir`` or ``CHATD_DATA_DIR``; else what the
    configuration file says (``CHATD_CONFIG``, or ``chatd/PROFILE.toml`` below ``XDG_CONFIG_HOME``); else
    ``XDG_DATA_HOME/chatd/PROFILE``, where the home of data is ``~/.local/share`` if not set. A daemon that runs has left
    the path of its socket there, in the file ``socket``: it may have been started in another environment than cron's.
    Without that file it is ``chat.sock`` in a data directory that was named; else what the configuration file says; else
    ``XDG_RUNTIME_DIR/chatd/PROFILE.sock`` if that is a directory of this user; else ``chat.sock`` in the data directory.
    The profile is ``profile``, ``CHATD_PROFILE``, or ``default``.

    Raises :class:`NoSocket`.
    """
    env = os.environ if environment is None else environment
    named = socket or _said(env, "CHATD_SOCKET")
    directory = data_dir or _said(env, "CHATD_DATA_DIR")
    profile = profile or _said(env, "CHATD_PROFILE") or "default"
    if not _PROFILE.fullmatch(profile):
        raise NoSocket("profile name must be 1 to 32 letters, digits, `-` or `_`")
    if named:
        return os.fspath(named)
    places = {} if directory else _places(env, profile)
    directory = directory or places.get("data_dir")
    home = directory or os.path.join(_home_of(env, "XDG_DATA_HOME", ".local/share"), "chatd", profile)
    return _told(home) or places.get("socket") or _usual(env, profile, directory, home)


def _usual(env: Mapping[str, str], profile: str, directory: str | None, home: str) -> str:
    """Where a daemon that was started in this environment listens."""
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if directory is None and os.path.isabs(runtime) and _is_own_directory(runtime):
        return os.path.join(runtime, "chatd", profile + ".sock")
    return os.path.join(home, "chat.sock")


def _is_own_directory(path: str) -> bool:
    """`su` leaves the directory of another user behind, and a logout one that is no more."""
    try:
        about = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()


def _told(home: str) -> str | None:
    """Where the daemon that runs on this data says it is; nobody else may be able to say it."""
    try:
        with open(os.path.join(home, "socket"), encoding="utf-8") as sign:
            about = os.fstat(sign.fileno())
            if about.st_uid != os.geteuid() or about.st_mode & 0o022:
                return None
            path, end, rest = sign.read(4096).partition("\n")
        # one that a daemon left when it was killed leads nowhere
        there = end and not rest and os.path.isabs(path) and stat.S_ISSOCK(os.lstat(path).st_mode)
    except (OSError, UnicodeDecodeError):
        return None
    return path if there else None


def _said(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name)
    if value == "":
        # an empty variable is a script's mistake, and must not lead to another account
        raise NoSocket(f"{name} is empty: set it, or `unset {name}`")
    return value


def _home(env: Mapping[str, str]) -> str:
    return env.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir


def _home_of(env: Mapping[str, str], name: str, usual: str) -> str:
    if sys.platform == "darwin":
        return os.path.join(_home(env), "Library", "Application Support")
    named = env.get(name, "")
    return named if os.path.isabs(named) else os.path.join(_home(env), usual)


def _places(env: Mapping[str, str], profile: str) -> dict[str, str]:
    """What the daemon's configuration file says of its places."""
    named = _said(env, "CHATD_CONFIG")
    path = named or os.path.join(_home_of(env, "XDG_CONFIG_HOME", ".config"), "chatd", profile + ".toml")
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o022:
                raise NoSocket(f"{path} can be changed by others: fix it with `chmod go-w {path}`")
            text = file.read(_MAX_BYTES)
    except FileNotFoundError:
        if named is None:
            return {}
        raise NoSocket(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise NoSocket(f"{path}: {error}") from error
    return dict(_read(path, line, _home(env)) for line in _top(text) if re.match(r"\s*(data_dir|socket)\s*=", line))


def _top(text: str) -> list[str]:
    """The lines in front of the first section: there the places are."""
    lines = text.splitlines()
    sections = (number for number, line in enumerate(lines) if line.lstrip().startswith("["))
    return lines[: next(sections, len(lines))]


def _read(path: str, line: str, home: str) -> tuple[str, str]:
    found = _PLACE.fullmatch(line)
    if found is None:
        raise NoSocket(f"{path}: cannot read `{line.strip()}`: set CHATD_SOCKET")
    place = found[2] if found[2] is not None else found[3]
    if place.startswith("~/"):
        place = os.path.join(home, place[2:])
    if not os.path.isabs(place):
        raise NoSocket(f"{path}: `{found[1]}` must be a whole path, from `/` or `~/`: {place}")
    return found[1], place
