"""Bots and scripts for chatd, on Python's standard library alone.

    from chatd_bot import Bot

    bot = Bot("echo")

    @bot.on("message.new")
    def echo(message):
        message.reply(message.text)

    bot.run()

No message is missed and none answered twice, however the bot, the daemon or the machine ends. ``Client`` is for
scripts that only call; ``AsyncBot`` and ``AsyncClient`` are the same for asyncio. The README beside this package
explains everything with examples.
"""

from .aio import AsyncClient, AsyncNamespace, AsyncEvents
from .async_bot import AsyncBot
from .bot import Bot
from .client import Client, Namespace, Events
from .data import ROOM, Entry, Event, Message, Sent
from .errors import (
    Blocked,
    ChatdError,
    Conflict,
    Disconnected,
    IdempotencyMismatch,
    IdentityChanged,
    InvalidParams,
    NoAnswer,
    NoPermission,
    NoSocket,
    NotFound,
    NotRunning,
    Offline,
    RateLimited,
    Refused,
    SubscriptionEnded,
    TimedOut,
    TooLarge,
    Unauthenticated,
    UsageError,
)
from .guard import RateGuard
from .handling import CrashLoop
from .incoming import AsyncIncoming, Incoming
from .paths import socket_path
from .routes import ANY

__version__ = "0.1.0"
__all__ = [
    "ANY",
    "AsyncBot",
    "AsyncClient",
    "AsyncNamespace",
    "AsyncEvents",
    "AsyncIncoming",
    "Blocked",
    "Bot",
    "ChatdError",
    "Client",
    "Conflict",
    "CrashLoop",
    "Disconnected",
    "Namespace",
    "Entry",
    "Event",
    "Events",
    "IdempotencyMismatch",
    "IdentityChanged",
    "Incoming",
    "InvalidParams",
    "Message",
    "NoAnswer",
    "NoPermission",
    "NoSocket",
    "NotFound",
    "NotRunning",
    "Offline",
    "ROOM",
    "RateGuard",
    "RateLimited",
    "Refused",
    "Sent",
    "SubscriptionEnded",
    "TimedOut",
    "TooLarge",
    "Unauthenticated",
    "UsageError",
    "socket_path",
]
