"""Where the daemon's socket is: the same rules as chatd and chatctl."""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Mapping

from .errors import NoSocket

_PROFILE = re.compile(r"[A-Za-z0-9_-]{1,32}")


def socket_path(
    socket: str | None = None,
    *,
    profile: str | None = None,
    data_dir: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Finds the socket.

    ``socket``, else ``CHATD_SOCKET``; else ``chat.sock`` in ``data_dir`` or ``CHATD_DATA_DIR``; else
    ``XDG_RUNTIME_DIR/chatd/PROFILE.sock``; else ``XDG_DATA_HOME/chatd/PROFILE/chat.sock``, where the home of data is
    ``~/.local/share`` if not set. The profile is ``profile``, ``CHATD_PROFILE``, or ``default``.

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
    if directory:
        return os.path.join(directory, "chat.sock")
    runtime = env.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return os.path.join(runtime, "chatd", profile + ".sock")
    return os.path.join(_data_home(env), "chatd", profile, "chat.sock")


def _said(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name)
    if value == "":
        # an empty variable is a script's mistake, and must not lead to another account
        raise NoSocket(f"{name} is empty: set it, or `unset {name}`")
    return value


def _data_home(env: Mapping[str, str]) -> str:
    home = env.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support")
    named = env.get("XDG_DATA_HOME", "")
    return named if os.path.isabs(named) else os.path.join(home, ".local", "share")
