"""What can go wrong, as types: decide by class or by ``kind``, never by the words.

Everything raised on purpose by this package is a :class:`ChatdError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ChatdError(Exception):
    """A failure of the package, of the connection, or of a call."""

    #: Whether the same call may succeed later with nothing else changed.
    retryable: bool = False
    #: What to do about it, for people; part of ``str(error)`` too.
    hint: str | None = None

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} ({self.hint})" if self.hint else text


class NoSocket(ChatdError):
    """The environment does not say where the daemon's socket is, or says nonsense."""


class Disconnected(ChatdError, ConnectionError):
    """The connection broke. A call that was under way may or may not have had its effect."""

    retryable = True


class NotRunning(Disconnected):
    """Nobody listens on the socket: chatd is not running, or it is elsewhere."""

    hint = "start it with `chatd`, or `systemctl --user start chatd`"


class NoAnswer(ChatdError, TimeoutError):
    """The daemon took longer than the caller wanted to wait. The call may or may not have had its effect."""

    retryable = True


class SubscriptionEnded(ChatdError):
    """The daemon ended a subscription; ``reason`` is ``replaced``, ``forgotten``, or the kind of an error."""

    def __init__(self, reason: str) -> None:
        words = {
            "replaced": "another reader took this name: two bots must not share one",
            "forgotten": "the place in the log was forgotten (`events.forget`)",
        }
        super().__init__(words.get(reason, f"the daemon ended the subscription: {reason}"))
        self.reason = reason


class UsageError(ChatdError):
    """What somebody wrote does not fit the command; the text says how it is used."""


class Refused(ChatdError):
    """The daemon answered with an error.

    ``kind`` is the contract (``not_found``, ``rate_limited``, …; ``chatd openrpc`` lists them), the text is for people.
    """

    def __init__(self, method: str, code: int, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(f"{method}: {message}")
        self.method = method
        #: JSON-RPC code.
        self.code = code
        #: The daemon's own words.
        self.message = message
        self.kind = str(data.get("kind", "internal"))
        self.retryable = bool(data.get("retryable", False))
        #: When trying again may help, in milliseconds.
        self.retry_after_ms: int | None = data.get("retry_after_ms")
        #: The parameter that is wrong, as in ``types[0]``.
        self.path: str | None = data.get("path")
        self.hint = data.get("hint")
        #: With ``ambiguous_target``: what it could mean.
        self.candidates: list[str] = list(data.get("candidates", ()))


class InvalidParams(Refused):
    """A parameter is missing, unknown, or not what it should be; ``path`` says which."""


class Unauthenticated(Refused):
    """The daemon has no account yet."""


class NotFound(Refused):
    """No such user, chat, message or value."""


class Blocked(Refused):
    """The user is blocked."""


class NoPermission(Refused):
    """Not yours to change."""


class Offline(Refused):
    """There is no connection to the server, and the call asked for one."""


class TimedOut(Refused):
    """The daemon waited as long as it was told to."""


class RateLimited(Refused):
    """Too often; ``retry_after_ms`` may say when to try again."""


class TooLarge(Refused):
    """The text is over its limit."""


class IdentityChanged(Refused):
    """The peer's identity is not the one known; nothing is sent until somebody accepts it."""


class Conflict(Refused):
    """Something changed meanwhile: for a value in ``kv``, its version."""


class IdempotencyMismatch(Refused):
    """The same ``client_id`` was sent before with another body."""


_BY_KIND: dict[str, type[Refused]] = {
    "invalid_params": InvalidParams,
    "unauthenticated": Unauthenticated,
    "not_found": NotFound,
    "blocked": Blocked,
    "no_permission": NoPermission,
    "offline": Offline,
    "timeout": TimedOut,
    "rate_limited": RateLimited,
    "too_large": TooLarge,
    "identity_changed": IdentityChanged,
    "conflict": Conflict,
    "idempotency_mismatch": IdempotencyMismatch,
}


def refused(method: str, error: Any) -> Refused:
    """Makes the right class of what the daemon put under ``error``; a kind of tomorrow is a plain :class:`Refused`."""
    if not isinstance(error, dict):
        error = {}
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    of_kind = _BY_KIND.get(str(data.get("kind")), Refused)
    return of_kind(method, int(error.get("code", -32603)), str(error.get("message", "unknown error")), data)
